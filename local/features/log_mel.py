"""Batches of waveforms to log-mel features, on the device of the model."""

import math

import numpy as np
import torch

from local.features.vad import check_limits, leave_out, loud_frames
from local.models.padding import Padding, beside
from local.models.precision import in_float32

# Utterances at once on a CPU, few enough for the processor's cache to hold what is computed.
CPU_BLOCK = 8
# Frames at once, because intermediate results take 50 times the memory of the audio.
MAX_FRAMES = 6000
# A frame of 20 ms at 768 kHz fits in.
MAX_FFT_SIZE = 2**14
# With these, the filters take 67 MB.
MAX_MELS = 2**10
# cmvn takes smaller deviations as 1, so as not to amplify a constant bin (digital silence).
MIN_DEVIATION = 0.01


def hz_to_slaney_mel(hz):
    """Slaney's mel scale: linear below 1 kHz (200/3 Hz a mel), logarithmic above."""
    hz = np.asarray(hz, dtype=np.float64)
    logarithmic = 15.0 + np.log(np.maximum(hz, 1000.0) / 1000.0) * 27.0 / math.log(6.4)
    return np.where(hz < 1000.0, hz * 3.0 / 200.0, logarithmic)


def slaney_mel_to_hz(mel):
    """The inverse of `hz_to_slaney_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    return np.where(
        mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp((mel - 15.0) * math.log(6.4) / 27.0)
    )


def mel_filters(num_mels, fft_size, sample_rate):
    """Triangular filters on Slaney's mel scale from 0 Hz to half the rate, peaks at 1.

    torchaudio.functional.melscale_fbanks makes the same filters, in float32 only.

    Returns
    -------
    filters : np.ndarray
        float64 (num_bins, num_mels), where num_bins = fft_size // 2 + 1.

    Example
    -------
    >>> mel_filters(num_mels=80, fft_size=512, sample_rate=16000).shape
    (257, 80)
    """
    bins = np.linspace(0.0, sample_rate / 2, fft_size // 2 + 1)[:, None]
    top = hz_to_slaney_mel(sample_rate / 2)
    corners = slaney_mel_to_hz(np.linspace(0.0, top, num_mels + 2))
    widths = np.diff(corners)
    rising = (bins - corners[:-2]) / widths[:-1]
    falling = (corners[2:] - bins) / widths[1:]
    return np.maximum(0.0, np.minimum(rising, falling))


class LogMel(torch.nn.Module):
    """Waveforms to normalised log-mel features.

    Pre-emphasis, periodic Hamming window, magnitude spectrum, Slaney mel filters, natural
    logarithm of at least 1, then mean (and deviation) normalisation over the frames of each
    utterance. Frames are not centred: an utterance of n samples has 1 + (n - fft_size) // hop
    of them, and at least one.

    Arguments
    ---------
    sample_rate : int
        In Hz.
    num_mels : int
        Mel filters.
    window_size, hop, fft_size : int
        In samples; the window sits in the middle of the fft_size samples of its frame.
    preemphasis : float
        x[n] - preemphasis * x[n - 1]; the first sample is its own predecessor.
    remove_dc_offset : bool
        Takes the mean, weighted by the window, off each frame, so that a constant in the waveform
        has no effect. False is what models were trained with that know no such setting.
    normalization : str
        "cmn" (mean), "cmvn" (mean and deviation) or "none".
    vad : str
        "energy" leaves out quiet frames before the normalisation, "none" does not.
    vad_range_db, vad_context : float, int
        What is quiet: see `loud_frames`.
    dtype : torch.dtype
        Of the computation; float32 differs from float64 by up to 3e-4.

    Example
    -------
    >>> waveforms = torch.randint(-1000, 1000, (2, 56000), dtype=torch.int16)
    >>> features, num_frames = LogMel()(waveforms, torch.tensor([56000, 16000]))
    >>> features.shape, num_frames.tolist()
    (torch.Size([2, 347, 80]), [347, 97])
    """

    def __init__(
        self,
        sample_rate=16000,
        num_mels=80,
        window_size=400,
        hop=160,
        fft_size=512,
        preemphasis=0.97,
        remove_dc_offset=False,
        normalization="cmn",
        vad="none",
        vad_range_db=35.0,
        vad_context=5,
        dtype=torch.float32,
    ):
        super().__init__()
        if normalization not in ("cmn", "cmvn", "none"):
            raise ValueError(f"normalization is cmn, cmvn or none, not {normalization!r}")
        check_limits(vad, vad_range_db, vad_context)
        is_frame = 0 < window_size <= fft_size <= MAX_FFT_SIZE and hop > 0
        if not (is_frame and 0 < num_mels <= min(fft_size, MAX_MELS)):
            raise ValueError("window_size, hop, fft_size and num_mels don't go together")
        self.hop = hop
        self.fft_size = fft_size
        self.num_mels = num_mels
        self.preemphasis = preemphasis
        self.normalization = normalization
        self.vad = vad
        self.vad_limits = (vad_range_db, vad_context)
        # The window sits where torch.stft and librosa put one that is shorter than the frame.
        window = np.zeros(fft_size)
        window[(fft_size - window_size) // 2 :][:window_size] = np.hamming(window_size + 1)[:-1]
        filters = mel_filters(num_mels, fft_size, sample_rate)
        # Derived from the arguments, hence not part of the checkpoints.
        self.register_buffer("window", torch.tensor(window, dtype=dtype), persistent=False)
        self.register_buffer("filters", torch.tensor(filters, dtype=dtype), persistent=False)
        self.remove_dc_offset = remove_dc_offset
        # The spectrum of a frame of constants, over its value at 0 Hz: (num_bins, 2).
        constant = torch.view_as_real(torch.from_numpy(np.fft.rfft(window) / window.sum()))
        self.register_buffer("constant", constant.to(dtype), persistent=False)

    def num_frames(self, num_samples):
        """The number of frames of a number of samples, an int or a tensor of them."""
        frames = (num_samples - self.fft_size) // self.hop + 1
        return frames.clamp(min=1) if torch.is_tensor(frames) else max(1, frames)

    def num_samples(self, num_frames):
        """The smallest number of samples with this number of frames."""
        return (num_frames - 1) * self.hop + self.fft_size

    @in_float32
    def forward(self, waveforms, lengths=None):
        """Computes the features of a batch.

        Arguments
        ---------
        waveforms : torch.Tensor
            (batch, samples) of any type, on the scale of int16 samples; or the result of `log_mel`,
            (batch, frames, num_mels), which is then only normalised.
        lengths : torch.Tensor, optional
            (batch,) samples (or frames) of each utterance, best on the CPU (see
            `local.models.padding.Padding`); what follows them has no effect.

        Returns
        -------
        features : torch.Tensor
            (batch, frames, num_mels), zero after the end of an utterance.
        num_frames : torch.Tensor or None
            (batch,) frames of each utterance, with a vad those that it leaves, on the device of the
            lengths. None where lengths is None: its frames are then repeated up to the number that
            there was.
        """
        log_mel, num_frames = waveforms, lengths
        if waveforms.ndim == 2:
            log_mel, num_frames = self.log_mel(waveforms, lengths)
        if self.vad == "energy":
            is_kept = loud_frames(log_mel, num_frames, *self.vad_limits)
            log_mel, num_kept = leave_out(log_mel, num_frames, is_kept)
            num_frames = None if lengths is None else num_kept.to(lengths.device)
        padding = None if lengths is None else Padding(num_frames, log_mel.shape[1])
        return self._normalize(log_mel.to(self.window.dtype), padding), num_frames

    def num_loud_frames(self, waveforms, lengths):
        """Frames of each utterance that a vad keeps, (batch,), whether or not this one does."""
        return loud_frames(*self.log_mel(waveforms, lengths), *self.vad_limits).sum(dim=1)

    def log_mel(self, waveforms, lengths=None):
        """The features before normalisation; after the end of an utterance they have no meaning.

        The arguments and shapes are those of `forward`.
        """
        block = CPU_BLOCK if waveforms.device.type == "cpu" else max(1, len(waveforms))
        blocks = waveforms.split(block)
        block_lengths = [None] * len(blocks) if lengths is None else lengths.split(block)
        pairs = zip(blocks, block_lengths, strict=True)
        log_mel = torch.cat([self._log_mel(*pair) for pair in pairs])
        return log_mel, None if lengths is None else self.num_frames(lengths)

    def _log_mel(self, waveforms, lengths):
        num_frames = self.num_frames(waveforms.shape[1])
        stops = range(MAX_FRAMES, num_frames + MAX_FRAMES, MAX_FRAMES)
        parts = [
            self._part(waveforms, lengths, stop - MAX_FRAMES, min(stop, num_frames))
            for stop in stops
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _part(self, waveforms, lengths, first, stop):
        """The frames from first to stop: (batch, stop - first, num_mels)."""
        first_sample = first * self.hop
        before = min(first_sample, 1)
        signal = waveforms[:, first_sample - before : self.num_samples(stop)].to(self.window.dtype)
        if self.remove_dc_offset:  # also in utterances shorter than a frame, which get zeros
            signal = signal - signal[:, :1]
        previous = torch.cat([signal[:, :1], signal[:, :-1]], dim=1)
        signal = torch.sub(signal, previous, alpha=self.preemphasis)[:, before:]
        if lengths is not None and not first:
            shortest = int(lengths.min())
            # Only an utterance shorter than a frame has a frame that reaches beyond its end.
            if shortest < self.fft_size:
                Padding(lengths, signal.shape[1], shortest).fill_(signal, 0.0)
        if signal.shape[1] < self.fft_size:
            signal = torch.nn.functional.pad(signal, (0, self.fft_size - signal.shape[1]))
        frames = signal.unfold(1, self.fft_size, self.hop) * self.window
        spectrum = torch.view_as_real(torch.fft.rfft(frames))
        if self.remove_dc_offset:
            spectrum -= spectrum[..., :1, :1] * self.constant
        # Much cheaper than abs(), which guards against an overflow that can't happen here.
        spectrum = spectrum.square_()
        magnitude = (spectrum[..., 0] + spectrum[..., 1]).sqrt_()
        return (magnitude @ self.filters).clamp_(min=1.0).log_()

    def _normalize(self, log_mel, padding):
        if self.normalization == "none":
            return log_mel if padding is None else padding.fill_(log_mel, 0.0)
        centred = log_mel - _mean(log_mel, padding)
        if self.normalization == "cmvn":
            deviation = _mean(centred.square(), padding).sqrt()
            centred = centred / deviation.masked_fill(deviation < MIN_DEVIATION, 1.0)
        return centred if padding is None else padding.fill_(centred, 0.0)


def _mean(values, padding):
    """The mean over the frames of each utterance; may change the padding."""
    if padding is None:
        return values.mean(dim=1, keepdim=True)
    lengths = beside(padding.lengths, values)[:, None, None]
    return padding.fill_(values, 0.0).sum(dim=1, keepdim=True) / lengths
