"""Chunks in rooms: convolved with impulse responses."""

import torch
from scipy.fft import next_fast_len

from local.augmentation.drawing import at_level_of, beside, check_bool, check_number, check_range
from local.augmentation.part import Part

T60_SECONDS = (0.01, 10.0)
RATIO_DB = (-30.0, 60.0)
MAX_SECONDS = 5.0
MAX_ROOMS = 100_000


class Reverberation(Part):
    """Convolves chunks with impulse responses that are kept in memory, on the device.

    Level and length stay, and the direct path stays where it was.

    Arguments
    ---------
    probability : float
    made : bool
        Whether rooms are made where there is no folder of responses; else there are none.
    t60_seconds : list of float
        [LOW, HIGH] of the time in which made rooms decay by 60 dB.
    direct_db : list of float
        [LOW, HIGH] of the direct path's power over that of all the rest, in made rooms.
    num_rooms : int
        To make, or to take at most of a folder.
    max_seconds : float
        After which a response is cut off.

    Example
    -------
    >>> reverberation = Reverberation(probability=1.0)
    >>> reverberation.set_responses(torch.tensor([[1.0, 0.0, 0.5]]))
    >>> reverberation(torch.tensor([[4.0, 0.0, 0.0]]), torch.rand(1, 2)).abs().round(decimals=2)
    tensor([[3.5800, 0.0000, 1.7900]])
    """

    def __init__(
        self,
        probability=0.3,
        made=False,
        t60_seconds=(0.1, 0.8),
        direct_db=(-3, 12),
        num_rooms=500,
        max_seconds=0.5,
    ):
        super().__init__("reverberation", probability, 1)
        check_bool("reverberation: made", made)
        check_range("reverberation: t60_seconds", t60_seconds, *T60_SECONDS)
        check_range("reverberation: direct_db", direct_db, *RATIO_DB)
        check_number("reverberation: num_rooms", num_rooms, 1, MAX_ROOMS, is_whole=True)
        check_number("reverberation: max_seconds", max_seconds, 0.01, MAX_SECONDS)
        self.made = made
        self.t60_seconds = t60_seconds
        self.direct_db = direct_db
        self.num_rooms = num_rooms
        self.max_seconds = max_seconds
        self.responses = None

    def set_responses(self, responses):
        """Takes over impulse responses, (rooms, taps), whose direct path is the first tap."""
        del self.responses
        self.register_buffer("responses", responses, persistent=False)

    def change(self, rows, draws):
        """(rows, samples); the number of each one's room -> the same shape."""
        rooms = beside((draws[:, 0] * len(self.responses)).long(), rows)
        return at_level_of(rows, convolve(rows, self.responses[rooms].to(rows.dtype)))


def convolve(waveforms, responses):
    """The first samples of the convolution of each waveform with a response of its own.

    Arguments
    ---------
    waveforms, responses : torch.Tensor
        (batch, samples), (batch, taps)

    Returns
    -------
    convolved : torch.Tensor
        (batch, samples)

    Example
    -------
    >>> convolve(torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[1.0, 1.0]])).round(decimals=3)
    tensor([[1., 3., 2.]])
    """
    num_samples = waveforms.shape[1]
    size = next_fast_len(num_samples + responses.shape[1] - 1, real=True)
    spectrum = torch.fft.rfft(waveforms, size).mul_(torch.fft.rfft(responses, size))
    return torch.fft.irfft(spectrum, size)[:, :num_samples]
