"""Log-mel features to those of the frames that are loud enough to be speech."""

import math

import torch

from local.models.padding import beside, length_mask

# A power's natural logarithm times this is its level in dB.
_DB = 10 / math.log(10)
# No frame is 200 dB below another, and a second on either side is enough.
MAX_RANGE_DB = 200.0
MAX_CONTEXT = 100


def check_limits(kind, range_db, context):
    """Raises a ValueError for another kind than none and energy, or limits that make no sense."""
    if kind not in ("none", "energy"):
        raise ValueError(f"vad is none or energy, not {kind!r}")
    is_context = type(context) is int and 0 <= context <= MAX_CONTEXT
    if not (is_context and 0 < range_db <= MAX_RANGE_DB):
        raise ValueError(
            f"vad_range_db is a number above 0 and up to {MAX_RANGE_DB:g}, vad_context a whole "
            f"number from 0 to {MAX_CONTEXT}, not {range_db!r} and {context!r}"
        )


def loud_frames(log_mel, num_frames, range_db, context):
    """Which frames are loud, or near a loud one.

    An energy-based voice activity detector as Kaldi's compute-vad is one, but relative to the
    loudest frame of an utterance: the level of a recording has no effect.

    Arguments
    ---------
    log_mel : torch.Tensor
        (batch, frames, num_mels), natural logarithms of magnitudes.
    num_frames : torch.Tensor or None
        (batch,) frames of each utterance; None where all fill the batch.
    range_db : float
        A frame is loud if its power is at most so many dB below that of the loudest.
    context : int
        Frames before and behind a loud one that stay with it.

    Returns
    -------
    is_kept : torch.Tensor
        bool (batch, frames); at least one frame of each utterance.

    Example
    -------
    >>> log_mel = torch.tensor([0.0, 9.0, 0.0, 0.0]).view(1, 4, 1)
    >>> loud_frames(log_mel, None, range_db=30.0, context=1)
    tensor([[ True,  True,  True, False]])
    """
    levels = _DB * torch.logsumexp(2 * log_mel, dim=2)
    is_frame = None
    if num_frames is not None:
        is_frame = length_mask(beside(num_frames, levels), levels.shape[1])
        levels = levels.masked_fill(~is_frame, -torch.inf)
    is_loud = levels >= levels.amax(dim=1, keepdim=True) - range_db
    width = 2 * context + 1
    near = torch.nn.functional.max_pool1d(is_loud.to(levels.dtype), width, 1, context) > 0
    return near if is_frame is None else near & is_frame


def leave_out(log_mel, num_frames, is_kept):
    """Moves the frames that are kept together.

    Arguments
    ---------
    log_mel : torch.Tensor
        (batch, frames, num_mels)
    num_frames : torch.Tensor or None
        (batch,) frames of each utterance; None where all fill the batch.
    is_kept : torch.Tensor
        bool (batch, frames), from `loud_frames`.

    Returns
    -------
    log_mel : torch.Tensor
        (batch, frames, num_mels). Behind the end of an utterance, values have no meaning; where
        num_frames is None, its frames are repeated instead, as a short recording is in training.
    num_frames : torch.Tensor or None
        (batch,) frames that are left.

    Example
    -------
    >>> log_mel = torch.arange(4.0).view(1, 4, 1)
    >>> is_kept = torch.tensor([[False, True, False, True]])
    >>> leave_out(log_mel, None, is_kept)[0].flatten()
    tensor([1., 3., 1., 3.])
    """
    places = is_kept.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    num_kept = is_kept.sum(dim=1)
    if num_frames is None:
        count = torch.arange(places.shape[1], device=places.device)
        places = places.gather(1, count % num_kept[:, None])
    log_mel = log_mel.gather(1, places[:, :, None].expand(-1, -1, log_mel.shape[2]))
    return log_mel, None if num_frames is None else num_kept
