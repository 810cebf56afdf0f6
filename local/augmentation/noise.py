"""Noise, music and babble, added to chunks at a level that is drawn."""

import torch

from local.augmentation.drawing import (
    at_level_of,
    beside,
    between,
    check_bool,
    check_number,
    check_probability,
    check_range,
    whole_between,
)
from local.augmentation.part import Part

SNR_DB = (-40.0, 100.0)
MAX_SPEAKERS = 20
MAX_MINUTES = 10_000


class Noise(Part):
    """Adds pieces of noise that is kept in memory, on the device.

    Arguments
    ---------
    probability : float
        Of noise of any kind.
    made : bool
        Whether noise is made where there is no folder of it; else none is added.
    noise_snr_db, music_snr_db, babble_snr_db : list of float
        [LOW, HIGH] of the power of the chunk over that of what is added, both over the whole chunk.
    babble_speakers : list of int
        [LOW, HIGH] of the voices that are added up.
    babble_share : float
        Of the noise that is babble. Of the rest, noise and music have equal shares, if both are
        there.
    minutes : float
        Of audio of each kind that is kept in memory, at most: at 16 kHz 2 MB each.

    Example
    -------
    >>> noise = Noise(probability=1.0, noise_snr_db=[10, 10], babble_share=0.0)
    >>> noise.set_banks({"noise": torch.randint(-999, 999, (50000,), dtype=torch.int16)})
    >>> waveforms = 1000 * torch.randn(2, 16000)
    >>> noisy = noise(waveforms.clone(), torch.rand(2, noise.num_draws))
    >>> snr = (waveforms.square().sum(1) / (noisy - waveforms).square().sum(1)).log10() * 10
    >>> [round(value, 2) for value in snr.tolist()]
    [10.0, 10.0]
    """

    def __init__(
        self,
        probability=0.4,
        made=False,
        noise_snr_db=(0, 15),
        music_snr_db=(5, 15),
        babble_snr_db=(13, 20),
        babble_speakers=(3, 7),
        babble_share=1 / 3,
        minutes=60,
    ):
        super().__init__("noise", probability, 0)
        check_bool("noise: made", made)
        check_probability("noise: babble_share", babble_share)
        check_number("noise: minutes", minutes, 0.01, MAX_MINUTES)
        self.snr_db = {"noise": noise_snr_db, "music": music_snr_db, "babble": babble_snr_db}
        for kind, values in self.snr_db.items():
            check_range(f"noise: {kind}_snr_db", values, *SNR_DB)
        check_range("noise: babble_speakers", babble_speakers, 1, MAX_SPEAKERS, is_whole=True)
        self.layers = {"noise": (1, 1), "music": (1, 1), "babble": tuple(map(int, babble_speakers))}
        self.made = made
        self.babble_share = babble_share
        self.minutes = minutes
        # Besides whether: the kind, the level, how many speakers, where each one's piece begins.
        self.num_draws = 4 + self.layers["babble"][1]
        self.kinds = []

    def set_banks(self, banks):
        """Takes over what is added.

        Arguments
        ---------
        banks : dict
            noise, music or babble -> int16 (samples,): recordings of about the same level, one
            behind the other. For babble they are of one speaker at a time.
        """
        self.kinds = list(banks)
        for kind, bank in banks.items():
            self.register_buffer(kind, bank, persistent=False)

    def change(self, rows, draws):
        """(rows, samples); numbers for the kind, the level, the pieces -> the same shape."""
        noise, snr_db = torch.zeros_like(rows), torch.zeros_like(draws[:, 0])
        kinds = self._kinds(draws[:, 0])
        for number, kind in enumerate(self.kinds):
            own = (kinds == number).nonzero()[:, 0]
            snr_db[own] = between(draws[own, 1], self.snr_db[kind])
            layers = whole_between(draws[own, 2], self.layers[kind])
            for layer in range(self.layers[kind][1]):
                some = own[layers > layer]
                pieces = self._pieces(kind, draws[some, 3 + layer], noise)
                noise.index_add_(0, beside(some, noise), pieces)
        factor = beside(10 ** (-snr_db / 20), rows)[:, None]
        return rows.add_(at_level_of(rows, noise).mul_(factor))

    def _kinds(self, uniform):
        """The place of each chunk's kind in `kinds`."""
        others = [number for number, kind in enumerate(self.kinds) if kind != "babble"]
        if len(others) in (0, len(self.kinds)):
            return (uniform * len(self.kinds)).long()
        babble = self.kinds.index("babble")
        rest = (uniform - self.babble_share).clamp(min=0) / max(1e-9, 1 - self.babble_share)
        number = torch.tensor(others)[(rest * len(others)).long().clamp(max=len(others) - 1)]
        return torch.where(uniform < self.babble_share, babble, number)

    def _pieces(self, kind, uniform, like):
        """Pieces of a bank that begin anywhere in it: (rows,) -> (rows, samples)."""
        windows = getattr(self, kind).unfold(0, like.shape[1], 1)
        starts = (uniform * len(windows)).long()
        return windows[beside(starts, like)].to(like.dtype)
