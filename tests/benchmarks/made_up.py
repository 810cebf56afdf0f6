"""Corpora of noise, and trials, of any size: enough to measure speed on."""

import os

import numpy as np
import soundfile

from local.lists.trials import Trials

SMALL = {"num_speakers": 4, "num_utterances": 2, "seconds": 1.0}  # for `write_corpus`


def write_noise(path, seconds, seed=0, sample_rate=16000):
    """A file of 16-bit noise, in the format of its extension."""
    samples = np.random.default_rng(seed).normal(0, 1000, int(seconds * sample_rate))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.astype(np.int16), sample_rate, subtype="PCM_16")


def write_corpus(folder, num_speakers=16, num_utterances=8, seconds=3.0):
    """WAV files and lists; returns the settings of hparams/vgg.yaml for them."""
    names = [f"s{s}/{u}" for s in range(num_speakers) for u in range(num_utterances)]
    for seed, name in enumerate(names):
        write_noise(folder / f"{name}.wav", seconds, seed)
    labels = "".join(f"{name} {name.split('/')[0][1:]} -1\n" for name in names)
    lists = {
        "train_labels_path": labels,
        "valid_clients": "s0/0 s0/1\n",
        "valid_impostors": "s0/0 s1/1\n",
    }
    for name, content in lists.items():
        (folder / f"{name}.txt").write_text(content)
    settings = {name: str(folder / f"{name}.txt") for name in lists}
    return settings | {"train_data_dir": str(folder), "valid_data_dir": str(folder)}


def as_arguments(settings):
    """Settings as `--key value` of a command line."""
    return [part for key, value in settings.items() for part in (f"--{key}", str(value))]


def make_trials(utterances, enrol, test):
    """Trials of these indices, about half of them of clients; a pair is always of one kind."""
    is_client = (enrol + test) % 2 == 0
    places = [("trials.txt", 1)] * len(utterances)
    return Trials(utterances, enrol.astype(np.int32), test.astype(np.int32), is_client, places)


def write_large_corpus(folder, num_files, num_lines, utterances_per_speaker=200):
    """Tiny audio files under names like VoxCeleb's, and their label file.

    With more lines than files, the rest are hard links: other names, as many files to look up and
    open, without the disk space. Returns the paths of the audio.
    """
    names = [_large_corpus_name(*divmod(line, utterances_per_speaker)) for line in range(num_lines)]
    paths = [folder / "audio" / f"{name}.wav" for name in names]
    for line, path in enumerate(paths):
        if line < num_files:
            write_noise(path, 0.2, line)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(paths[line % num_files], path)
    with open(folder / "labels.txt", "w") as file:
        for line, name in enumerate(names):
            file.write(f"{name} {line // utterances_per_speaker} -1\n")
    return paths


def _large_corpus_name(speaker, utterance):
    return f"id{speaker:05d}/video{utterance // 10:06d}/{utterance:05d}"
