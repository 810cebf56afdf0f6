"""What stands between a speaker and a recording: microphone, telephone line, gain, silence."""

import torch
from scipy.fft import next_fast_len
from torchaudio.functional import mu_law_decoding, mu_law_encoding

from local.augmentation.drawing import at_level_of, beside, between, check_number, check_range
from local.augmentation.part import Part

INT16_SCALE = 32768.0
MU_LAW_LEVELS = 256
# Fewer samples get zeros behind them.
MIN_SIZE = 512


class Equalizer(Part):
    """Filters chunks by a smooth curve that is drawn: another microphone, or another distance.

    The curve has a value in dB in the middle of each of some bands of equal width on the scale of
    mels, and straight lines between them. The level of a chunk stays.

    Arguments
    ---------
    probability : float
    max_db : float
        The values are from -max_db to max_db.
    num_bands : int
    sample_rate : int
        In Hz.

    Example
    -------
    >>> equalizer = Equalizer(probability=1.0)
    >>> equalizer(torch.rand(2, 16000), torch.rand(2, equalizer.num_draws)).shape
    torch.Size([2, 16000])
    """

    def __init__(self, probability=0.3, max_db=8.0, num_bands=6, sample_rate=16000):
        super().__init__("equalizer", probability, num_bands)
        check_number("equalizer: max_db", max_db, 0, 60)
        check_number("equalizer: num_bands", num_bands, 2, 100, is_whole=True)
        self.max_db = max_db
        self.num_bands = int(num_bands)
        self.sample_rate = sample_rate

    def change(self, rows, draws):
        """(rows, samples); the value of each band -> the same shape."""
        num_samples = rows.shape[1]
        size = next_fast_len(max(num_samples, MIN_SIZE), real=True)
        values_db = beside(between(draws, (-self.max_db, self.max_db)), rows)
        spectrum = torch.fft.rfft(rows, size) * 10 ** (values_db @ self._bands(size, rows) / 20)
        return at_level_of(rows, torch.fft.irfft(spectrum, size)[:, :num_samples])

    def _bands(self, size, like):
        """The share of each band's value in each bin of a spectrum: (num_bands, bins)."""
        hz = torch.fft.rfftfreq(size, 1 / self.sample_rate, dtype=like.dtype, device=like.device)
        mels = torch.log1p(hz / 700.0)
        place = (mels * (self.num_bands / mels[-1]) - 0.5).clamp(0, self.num_bands - 1)
        numbers = torch.arange(self.num_bands, dtype=like.dtype, device=like.device)
        return (1 - (place - numbers[:, None]).abs()).clamp(min=0)


class Telephone(Part):
    """Sends chunks over a telephone line: a narrow band, 8 kHz, 8 bits of mu-law.

    Level and length stay.

    Arguments
    ---------
    probability : float
    band_hz : list of float
        [LOW, HIGH]; the edges are a tenth of an octave wide.
    sample_rate : int
        In Hz.

    Example
    -------
    >>> telephone = Telephone(probability=1.0)
    >>> telephone(1000 * torch.randn(2, 16000), torch.rand(2, 1)).shape
    torch.Size([2, 16000])
    """

    line_rate = 8000

    def __init__(self, probability=0.1, band_hz=(300, 3400), sample_rate=16000):
        super().__init__("telephone", probability, 0)
        check_range("telephone: band_hz", band_hz, 1, self.line_rate / 2)
        self.band_hz = band_hz
        self.sample_rate = sample_rate

    def change(self, rows, draws):
        """(rows, samples); nothing -> the same shape."""
        num_samples = rows.shape[1]
        size = next_fast_len(max(num_samples, MIN_SIZE), real=True)
        line_size = min(size, 2 * round(size * self.line_rate / self.sample_rate / 2))
        # A transform of fewer samples makes them larger; the line takes samples from -1 to 1.
        scale = line_size / size / INT16_SCALE
        spectrum = torch.fft.rfft(rows, size)[:, : line_size // 2 + 1]
        line = torch.fft.irfft(spectrum * self._band(size, line_size, rows), line_size) * scale
        line = mu_law_decoding(mu_law_encoding(line.clamp_(-1, 1), MU_LAW_LEVELS), MU_LAW_LEVELS)
        spectrum = torch.fft.rfft(line.to(rows.dtype))
        return at_level_of(rows, torch.fft.irfft(spectrum, size)[:, :num_samples])

    def _band(self, size, line_size, like):
        """The gain of each bin of the line's spectrum: (bins,)."""
        hz = torch.arange(line_size // 2 + 1, dtype=like.dtype, device=like.device)
        hz *= self.sample_rate / size
        low, high = self.band_hz
        octaves = torch.minimum(torch.log2(hz / low), torch.log2(high / hz))
        return (0.5 + 10 * octaves).clamp(0, 1)


class Gain(Part):
    """Makes chunks louder or softer.

    Arguments
    ---------
    probability : float
    range_db : list of float
        [LOW, HIGH]

    Example
    -------
    >>> Gain(probability=1.0, range_db=[20, 20])(torch.ones(1, 2), torch.rand(1, 2))
    tensor([[10., 10.]])
    """

    def __init__(self, probability=0.5, range_db=(-10, 10)):
        super().__init__("gain", probability, 1)
        check_range("gain: range_db", range_db, -100, 100)
        self.range_db = range_db

    def change(self, rows, draws):
        """(rows, samples); how much -> the same shape."""
        return rows.mul_(beside(10 ** (between(draws, self.range_db) / 20), rows))


class Silence(Part):
    """Has chunks begin or end with silence.

    Arguments
    ---------
    probability : float
    share : list of float
        [LOW, HIGH] of the chunk that is silent.

    Example
    -------
    >>> silence = Silence(probability=1.0, share=[0.5, 0.5])
    >>> silence(torch.ones(2, 4), torch.tensor([[0.0, 0.5, 0.2], [0.0, 0.5, 0.7]]))
    tensor([[0., 0., 1., 1.],
            [1., 1., 0., 0.]])
    """

    def __init__(self, probability=0.1, share=(0.05, 0.3)):
        super().__init__("silence", probability, 2)
        check_range("silence: share", share, 0, 0.9)
        self.share = share

    def change(self, rows, draws):
        """(rows, samples); how much, and at which end -> the same shape."""
        share, is_first = between(draws[:, 0], self.share), draws[:, 1] < 0.5
        # Of a chunk, what is from `first` up to `stop` stays.
        first, stop = torch.where(is_first, share, 0), torch.where(is_first, 1, 1 - share)
        first, stop = beside(torch.stack([first, stop]) * rows.shape[1], rows)[:, :, None]
        place = torch.arange(rows.shape[1], dtype=rows.dtype, device=rows.device)
        return rows.mul_((place >= first) & (place < stop))
