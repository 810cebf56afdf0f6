"""Log-mel features: computed from audio, and stored on disk."""

from local.features.log_mel import LogMel

__all__ = ["LogMel"]
