"""Waveforms to what is wrong with their levels, and this to warnings."""

import logging

import numpy as np

logger = logging.getLogger(__name__)

FINE, CONSTANT, QUIET, CLIPPED = range(4)
DESCRIPTIONS = {
    CONSTANT: "digital silence: all samples are the same",
    QUIET: "nearly silent: no sample is beyond 0.1 % of full scale",
    CLIPPED: "clipped: 0.5 % of the samples or more are at full scale",
}

MAX_NAMES = 10
_FULL_SCALE, _CLIPPED_SHARE = 32_700, 0.005
_QUIET_RANGE = 66
# Resampling bends a constant signal at its two ends, and by 0.1 % from sample to sample.
_NUM_END_SAMPLES = 400
_RIPPLE = 0.002


def judge_level(samples):
    """FINE, CONSTANT, QUIET or CLIPPED, for int16 (num_samples,).

    Example
    -------
    >>> judge_level(np.zeros(16000, np.int16)) == CONSTANT
    True
    """
    if len(samples) > 4 * _NUM_END_SAMPLES:
        samples = samples[_NUM_END_SAMPLES:-_NUM_END_SAMPLES]
    low, high = int(samples.min()), int(samples.max())
    peak = max(-low, high)
    if high - low <= _RIPPLE * peak:
        return CONSTANT
    if high - low < _QUIET_RANGE:
        return QUIET
    if peak >= _FULL_SCALE:
        num_clipped = ((samples >= _FULL_SCALE) | (samples <= -_FULL_SCALE)).sum()
        if num_clipped >= _CLIPPED_SHARE * len(samples):
            return CLIPPED
    return FINE


def warn_of_levels(levels, names, kinds):
    """Warns of recordings whose levels, int (num_recordings,), are of some kinds, by name."""
    for kind in kinds:
        rows = np.flatnonzero(levels == kind).tolist()
        if rows:
            shown = ", ".join(names[row] for row in rows[:MAX_NAMES])
            rest = f" and {len(rows) - MAX_NAMES} more" if len(rows) > MAX_NAMES else ""
            logger.warning(f"{len(rows)} recordings are {DESCRIPTIONS[kind]}: {shown}{rest}")
