"""Times and memory of prepare_training, cold and warm, beside a plain loop over soundfile.info.

    python tests/benchmarks/preparation.py
    python tests/benchmarks/preparation.py --num_files 1000 --num_lines 1100000

Makes `num_files` tiny WAV files in a temporary directory. With more lines than files, the rest are
hard links to them: other names, as many files to look up and open, without the disk space.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local.manifests import prepare_training

UTTERANCES_PER_SPEAKER = 200


def make_corpus(folder, num_files, num_lines):
    """Audio named as VoxCeleb's, and its label file. Returns the paths of the audio."""
    paths = [folder / "audio" / f"{_name(line)}.wav" for line in range(num_lines)]
    samples = np.zeros(3200, dtype=np.int16)
    for line, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        if line < num_files:
            soundfile.write(path, samples, 16000)
        else:
            os.link(paths[line % num_files], path)
    with open(folder / "labels.txt", "w") as file:
        for line in range(num_lines):
            file.write(f"{_name(line)} {line // UTTERANCES_PER_SPEAKER} -1\n")
    return paths


def _name(line):
    speaker, utterance = divmod(line, UTTERANCES_PER_SPEAKER)
    return f"id{speaker:05d}/video{utterance // 10:06d}/{utterance:05d}"


def timed(function, *arguments, **keywords):
    """The seconds that a call takes."""
    start = time.perf_counter()
    function(*arguments, **keywords)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num_files", type=int, default=5000)
    parser.add_argument("--num_lines", type=int, help="of the label file (num_files)")
    arguments = parser.parse_args()
    num_lines = arguments.num_lines or arguments.num_files
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_corpus(folder, arguments.num_files, num_lines)
        sample = [str(path) for path in paths[:5000]]
        seconds_each = timed(lambda: [soundfile.info(path) for path in sample]) / len(sample)
        del paths
        show("soundfile.info in a loop", seconds_each * num_lines, num_lines)
        prepare = (folder / "labels.txt", folder / "audio", folder / "train.csv")
        show("prepare_training, first run", timed(prepare_training, *prepare), num_lines)
        show("prepare_training, second run", timed(prepare_training, *prepare), num_lines)
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def show(what, seconds, num_lines):
    """Prints one line of the table."""
    print(f"{what:30} {seconds:8.2f} s {seconds / num_lines * 1e6:8.1f} us a line", flush=True)


if __name__ == "__main__":
    main()
