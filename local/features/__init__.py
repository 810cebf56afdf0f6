"""Log-mel features: computed, and kept on disk."""

from local.features.log_mel import LogMel

__all__ = ["LogMel"]
