"""The features of a training batch, on one core."""

import librosa
import numpy as np
import torch
import torchaudio
from speechbrain.lobes.features import Fbank
from tables import Table, compared
from timing import interleaved

from local.features.log_mel import LogMel

SAMPLE_RATE, NUM_MELS, FFT_SIZE, WINDOW, HOP = 16000, 80, 512, 400, 160


def measure(options):
    """The recipe's features, cmn included, beside libraries' log-mel of the same size."""
    torch.set_num_threads(1)
    batch_size, num_samples = (2, 8000) if options.quick else (64, 24000)
    waveforms = torch.randint(-3000, 3000, (batch_size, num_samples), dtype=torch.int16)
    on_device = waveforms.to(options.device)
    calls = {
        "the recipe": of_recipe(options.device),
        "librosa": of_librosa,
        "torchaudio, MelSpectrogram": of_torchaudio(options.device),
        "SpeechBrain, Fbank": of_speechbrain(options.device),
        "limit: windows and FFT alone": only_fft(options.device),
    }
    if options.quick:
        del calls["librosa"]  # numba compiles it, for half a minute, when it is first used
    inputs = {name: waveforms if name == "librosa" else on_device for name in calls}
    bound = {name: waiting(call, inputs[name]) for name, call in calls.items()}
    times = interleaved(bound, rounds=15, warm_up=2, quick=options.quick)
    targets = {"librosa": 4, "SpeechBrain, Fbank": 1.5}
    seconds = num_samples / SAMPLE_RATE
    title = f"Log-mel features: {batch_size} chunks of {seconds:g} s on one core"
    note = "librosa has pre-emphasis, logarithm and cmn as the recipe; the others only logarithms."
    return Table(title, compared(times, targets), note)


def waiting(call, waveforms):
    """The call, up to where a GPU has finished it."""

    @torch.inference_mode()
    def finished():
        call(waveforms)
        if waveforms.is_cuda:
            torch.cuda.synchronize()

    return finished


def of_recipe(device):
    return LogMel(remove_dc_offset=True).to(device)


def of_librosa(waveforms):
    features = []
    for samples in waveforms.numpy().astype(np.float32):
        signal = samples - 0.97 * np.concatenate([samples[:1], samples[:-1]])
        mel = librosa.feature.melspectrogram(
            y=signal,
            sr=SAMPLE_RATE,
            n_fft=FFT_SIZE,
            hop_length=HOP,
            win_length=WINDOW,
            window="hamming",
            center=False,
            power=1.0,
            n_mels=NUM_MELS,
            norm=None,
        )
        log_mel = np.log(np.maximum(1.0, mel))
        features.append(log_mel - log_mel.mean(axis=1, keepdims=True))
    return features


def of_torchaudio(device):
    mel = torchaudio.transforms.MelSpectrogram(
        SAMPLE_RATE,
        n_fft=FFT_SIZE,
        win_length=WINDOW,
        hop_length=HOP,
        n_mels=NUM_MELS,
        power=1.0,
        center=False,
        window_fn=torch.hamming_window,
        mel_scale="slaney",
    ).to(device)
    return lambda waveforms: mel(waveforms.float()).clamp(min=1.0).log()


def of_speechbrain(device):
    fbank = Fbank(sample_rate=SAMPLE_RATE, n_fft=FFT_SIZE, n_mels=NUM_MELS).to(device)
    return lambda waveforms: fbank(waveforms.float())


def only_fft(device):
    window = torch.hamming_window(FFT_SIZE, device=device)
    return lambda waveforms: torch.fft.rfft(waveforms.unfold(1, FFT_SIZE, HOP) * window)
