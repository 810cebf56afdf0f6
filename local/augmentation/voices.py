"""Other voices of a speaker, by speed or by the length of the vocal tract."""

import functools
from fractions import Fraction

import numpy as np
import torch
from torchaudio.transforms import Resample

from local.augmentation.drawing import beside, check_bool, check_probability
from local.features.log_mel import hz_to_slaney_mel, slaney_mel_to_hz

SPEEDS = (0.5, 2.0)
WARPS = (0.7, 1.4)
# Of the highest frequency, or of where it goes to: from there on, a line leads up to it.
WARPED_SHARE = 0.85


class Voices:
    """What can be done to a speaker's voice: nothing, one of some speeds, or one of some warps.

    Each is a voice, with a number: 0 is the speaker's own. A speed of 1.1 makes a chunk 1.1 times
    as fast and all frequencies 1.1 times as high; a warp of 1.1 moves formants only, by the same
    ratio, and leaves pitch and pace.

    Arguments
    ---------
    speeds, warps : list of float
    probability : float
        Of a voice that is not the speaker's own; all of these are equally probable.
    new_speakers : bool
        Whether each of them counts as another speaker in training.
    sample_rate : int
        In Hz.
    num_mels : int

    Example
    -------
    >>> voices = Voices(speeds=[0.9, 1.1], warps=[], probability=0.6)
    >>> voices.numbers(np.array([0.1, 0.5, 0.7])), voices.copies
    (array([1, 2, 0]), 3)
    >>> voices.num_samples(24000, voice=2)
    26400
    >>> voices.at_speeds(torch.zeros(3, 26400), np.array([1, 2, 0]), length=24000).shape
    torch.Size([3, 24000])
    """

    def __init__(
        self,
        speeds=(0.8, 0.9, 1.1, 1.2),
        warps=(),
        probability=0.8,
        new_speakers=True,
        sample_rate=16000,
        num_mels=80,
    ):
        check_probability("voices: probability", probability)
        _check_factors("speeds", speeds, *SPEEDS)
        _check_factors("warps", warps, *WARPS)
        check_bool("voices: new_speakers", new_speakers)
        self.speeds = [1.0, *speeds, *[1.0] * len(warps)]
        self.warps = [1.0, *[1.0] * len(speeds), *warps]
        self.probability = probability if len(self.speeds) > 1 else 0.0
        self.new_speakers = new_speakers
        self._sizes = {"sample_rate": sample_rate, "num_mels": num_mels}
        self._ratios = [Fraction(speed).limit_denominator(100) for speed in self.speeds]
        self._matrices = {
            warp: torch.from_numpy(warp_matrix(warp, num_mels, sample_rate))
            for warp in {*self.warps} - {1.0}
        }

    @property
    def copies(self):
        """How many speakers there are in training for each that the labels have."""
        return len(self.speeds) if self.new_speakers else 1

    @property
    def changes_speed(self):
        """Whether there is a speed that is ever taken."""
        return any(ratio != 1 for ratio in self._ratios) and self.probability > 0

    def without_speeds(self):
        """These voices, but for those with another speed."""
        warps = [warp for warp in self.warps if warp != 1.0]
        return Voices((), warps, self.probability, self.new_speakers, **self._sizes)

    def numbers(self, uniform):
        """Uniform numbers from 0 to below 1 to those of voices: np.ndarray -> the same shape."""
        others = len(self.speeds) - 1
        place = 1 + (others * uniform / max(self.probability, 1e-9)).astype(np.int64)
        return np.where(uniform < self.probability, np.minimum(place, others), 0)

    def label(self, label, voice, num_speakers):
        """The label that a speaker's voice has in training.

        Example
        -------
        >>> Voices(speeds=[0.9, 1.1]).label(5, voice=2, num_speakers=101)
        207
        """
        return label + voice * num_speakers if self.new_speakers else label

    def num_samples(self, length, voice):
        """How many samples `at_speeds` needs, to make at least so many of them."""
        ratio = self._ratios[voice]
        return -(-length * ratio.numerator // ratio.denominator)

    def at_speeds(self, waveforms, voices, length):
        """Chunks at the speeds of their voices, resampled.

        Arguments
        ---------
        waveforms : torch.Tensor
            (batch, samples): of each chunk, the first num_samples(length, voice) count.
        voices : np.ndarray
            int (batch,)
        length : int

        Returns
        -------
        waveforms : torch.Tensor
            (batch, length)
        """
        if not any(self._ratios[voice] != 1 for voice in voices):
            return waveforms[:, :length]
        changed = waveforms.new_empty(len(waveforms), length)
        for voice in np.unique(voices):
            ratio = self._ratios[voice]
            rows = beside(torch.from_numpy(np.flatnonzero(voices == voice)), waveforms)
            own = waveforms[rows, : self.num_samples(length, voice)]
            if ratio != 1:
                own = _resampler(ratio, own.device, own.dtype)(own)[:, :length]
            changed.index_copy_(0, rows, own)
        return changed

    def warped(self, features, voices):
        """Features with the vocal tracts of their voices.

        Arguments
        ---------
        features : torch.Tensor
            (batch, frames, num_mels); changed in place.
        voices : np.ndarray
            int (batch,)
        """
        for voice in np.unique(voices):
            if self.warps[voice] != 1.0:
                rows = beside(torch.from_numpy(np.flatnonzero(voices == voice)), features)
                matrix = beside(self._matrices[self.warps[voice]], features)
                features.index_copy_(0, rows, features[rows] @ matrix)
        return features


@functools.lru_cache
def _resampler(ratio, device, dtype):
    return Resample(ratio.numerator, ratio.denominator).to(device, dtype)


def _check_factors(name, factors, low, high):
    is_list = isinstance(factors, list | tuple) and len({*map(repr, factors)}) == len(factors)
    for factor in factors if is_list else ():
        is_number = isinstance(factor, int | float) and not isinstance(factor, bool)
        is_list = is_list and is_number and low <= factor <= high and factor != 1
    if not is_list:
        raise ValueError(
            f"augmentation: voices: {name} is a list of numbers from {low} to {high}, without 1 "
            f"and none twice, not {factors!r}"
        )


def warp_matrix(warp, num_mels, sample_rate):
    """The matrix that warps log-mel features.

    A value of the result is that of the features at another frequency, between two mel bands a
    share of both. Frequencies are divided by the warp, but for the highest, which stay within the
    band: vocal tract length normalisation as Kaldi has it, on finished features.

    Returns
    -------
    matrix : np.ndarray
        float64 (num_mels, num_mels), for features @ matrix.

    Example
    -------
    >>> warp_matrix(1.1, num_mels=80, sample_rate=16000).sum(axis=0).round(9).tolist() == [1.0] * 80
    True
    """
    highest = sample_rate / 2
    mels = np.linspace(0.0, hz_to_slaney_mel(highest), num_mels + 2)
    knee = WARPED_SHARE * highest * min(1.0, warp)
    source = np.interp(slaney_mel_to_hz(mels[1:-1]), [0, knee, highest], [0, knee / warp, highest])
    place = np.clip(hz_to_slaney_mel(source) / mels[1] - 1.0, 0.0, num_mels - 1.0)
    return np.maximum(0.0, 1.0 - np.abs(np.arange(num_mels)[:, None] - place))
