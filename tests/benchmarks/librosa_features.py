"""Features of a folder of audio files as pickles, by librosa: a process for each core.

python tests/benchmarks/librosa_features.py FOLDER OUT
"""

import os
import pickle
import sys
from multiprocessing import Pool
from pathlib import Path

import librosa
import numpy as np
import soundfile

AUDIO = (".wav", ".flac", ".ogg")


def extract(paths):
    """Writes the features of one file: (80, frames)."""
    source, target = paths
    samples, sample_rate = soundfile.read(source, dtype="float32")
    signal = samples * 32768
    signal = signal - 0.97 * np.concatenate([signal[:1], signal[:-1]])
    mel = librosa.feature.melspectrogram(
        y=signal,
        sr=sample_rate,
        n_fft=512,
        hop_length=160,
        win_length=400,
        window="hamming",
        center=False,
        power=1.0,
        n_mels=80,
        norm=None,
    )
    with open(target, "wb") as file:
        pickle.dump(np.log(np.maximum(1.0, mel)), file)


def main(folder, out):
    sources = sorted(path for path in Path(folder).rglob("*") if path.suffix in AUDIO)
    targets = [Path(out) / path.relative_to(folder).with_suffix(".pickle") for path in sources]
    for parent in {target.parent for target in targets}:
        parent.mkdir(parents=True, exist_ok=True)
    pairs = zip(sources, targets, strict=True)
    with Pool(len(os.sched_getaffinity(0))) as pool:
        for _ in pool.imap_unordered(extract, pairs, chunksize=16):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
