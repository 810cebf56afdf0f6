"""Tiny corpora for tests: voices of a few harmonics, so that speakers can be told apart."""

import numpy as np
import soundfile

# Settings of hparams/vgg.yaml that train on such a corpus in less than a second.
TINY = {
    "width": 8,
    "embedding_size": 8,
    "pooling": "double_multi_head",
    "num_heads": 4,
    "batch_size": 4,
    "chunk_samples": 8000,
    "number_of_epochs": 3,
    "validate_every": "null",
    "precision": "fp32",
    "device": "cpu",
}

# All that changes training chunks, and little to keep in memory for it.
EVERY_AUGMENTATION = {
    "augment": True,
    "vad": "energy",
    "augmentation": {
        **{name: {"probability": 0.5} for name in "silence equalizer telephone gain".split()},
        "mixup": {"probability": 0.5},
        "noise": {"probability": 0.8, "minutes": 0.1, "made": True},
        "reverberation": {"probability": 0.5, "num_rooms": 5, "made": True},
        "time_masks": {"probability": 0.5},
        "voices": {"speeds": [0.9, 1.1], "warps": [0.9, 1.1], "probability": 0.8},
    },
}


def write_voice(path, pitch, seconds=1.0, sample_rate=16000, seed=0):
    """Writes a WAV of harmonics of a pitch in Hz, with noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    phase = rng.uniform(0, 6)
    voice = sum(np.sin(2 * np.pi * pitch * k * time + phase * k) / k for k in range(1, 6))
    samples = 0.1 * voice + 0.01 * rng.standard_normal(len(time))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, sample_rate, subtype="PCM_16")


def write_coloured_noise(path, seed, seconds=1.3, sample_rate=16000):
    """Writes a WAV of noise whose spectrum and loudness follow a random course.

    Utterances differ much more than those of `write_voice` do: a batch norm divides by no small
    number.
    """
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(int(seconds * sample_rate)))
    spectrum *= 10 ** _random_course(rng, -2.0, 0.0, len(spectrum))
    samples = np.fft.irfft(spectrum)
    samples *= _random_course(rng, 0.05, 1.0, len(samples))
    soundfile.write(path, 0.3 * samples / np.abs(samples).max(), sample_rate, subtype="PCM_16")


def _random_course(rng, low, high, length, num_corners=12):
    """A line through random points."""
    corners = np.linspace(0, length, num_corners)
    return np.interp(np.arange(length), corners, rng.uniform(low, high, num_corners))


def write_corpus(folder, num_speakers=4, num_utterances=4, seconds=1.0):
    """Writes audio, label file and trials; returns the settings of hparams/vgg.yaml for them.

    The last two speakers are for the trials.
    """
    labels, names = [], []
    for speaker in range(num_speakers):
        speaker_names = [f"s{speaker}/u.{index}" for index in range(num_utterances)]
        for index, name in enumerate(speaker_names):
            path = folder / "audio" / f"{name}.wav"
            write_voice(path, 100 * 1.3**speaker, seconds * (1 + index / 8), seed=17 * index)
        names.append(speaker_names)
        if speaker < num_speakers - 2:
            labels += [f"{name} {speaker} -1\n" for name in speaker_names]
    first, second = names[-2:]
    pairs = list(zip(range(num_utterances), range(1, num_utterances), strict=False))
    clients = [f"{side[i]} {side[j]}\n" for side in (first, second) for i, j in pairs]
    impostors = [f"{one} {other}\n" for one in first for other in second]
    (folder / "labels.txt").write_text("".join(labels))
    (folder / "clients.txt").write_text("".join(clients))
    (folder / "impostors.txt").write_text("".join(impostors))
    return {
        "train_data_dir": str(folder / "audio"),
        "train_labels_path": str(folder / "labels.txt"),
        "valid_data_dir": str(folder / "audio"),
        "valid_clients": str(folder / "clients.txt"),
        "valid_impostors": str(folder / "impostors.txt"),
    }


def as_arguments(settings):
    """Settings as `--key value` of a command line."""
    return [part for key, value in settings.items() for part in (f"--{key}", str(value))]
