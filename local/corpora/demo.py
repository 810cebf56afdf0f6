"""The demo corpus: synthetic speech of many voices, made offline in seconds.

    python local/corpora/demo.py data/demo

It writes audio files and the lists that one's own data would come with: train_labels.txt,
valid_clients.txt and valid_impostors.txt. A corpus that is already there with the same settings
stays as it is; the same settings always give the same bytes.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from soundfile import SoundFileError

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local import command_line
from local.atomic import folder_beside
from local.corpora.espeak import find_espeak
from local.corpora.lists import choose_trials, write_lines, write_lists
from local.corpora.synthetic import VOICES, Settings, cast_speakers, describe, record_speaker
from local.errors import InputError
from local.machine.signals import end_with_parent

DESCRIPTION = "corpus.json"  # written last: a folder that has it is complete
# While another process makes it, this one waits.
PATIENCE_SECONDS = 600.0
# The corpus that hparams/vgg.yaml names, relative to the working directory.
DEFAULT_DIR = Path("data/demo")
DEFAULT_SETTINGS = {
    "train_data_dir": "data/demo/audio",
    "train_labels_path": "data/demo/train_labels.txt",
    "valid_data_dir": "data/demo/audio",
    "valid_clients": "data/demo/valid_clients.txt",
    "valid_impostors": "data/demo/valid_impostors.txt",
}


def main(arguments=None):
    """Makes the corpus that the command line asks for; returns the exit code."""
    options = vars(_parser().parse_args(arguments))
    out_dir, workers = options.pop("out_dir"), options.pop("workers")
    try:
        made = make_corpus(out_dir, Settings(**options), workers)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{out_dir}: demo corpus {'made' if made else 'already there'}")
    return 0


def make_if_missing(settings):
    """Makes the demo corpus if the settings name it and nothing is there.

    `settings` is the dictionary of those of hparams/vgg.yaml. If one of the paths to data is not
    the default, or data/demo holds anything, nothing is done. Raises an InputError if the corpus
    can't be made.
    """
    is_default = all(settings[name] == path for name, path in DEFAULT_SETTINGS.items())
    if not is_default or not _is_free(DEFAULT_DIR):
        return
    print(
        f"{DEFAULT_DIR} is missing: making the demo corpus, synthetic speech to train on",
        flush=True,
    )
    # In a process of its own, in which torch is not loaded and espeak-ng can stay behind.
    made = subprocess.run([sys.executable, __file__, DEFAULT_DIR], stderr=subprocess.PIPE)
    if made.returncode:
        raise InputError(made.stderr.decode(errors="replace").strip())


def make_corpus(out_dir, settings, workers=1):
    """Makes the corpus, complete or not at all; returns whether it was not there already.

    A demo corpus of other Settings that is at the pathlib.Path `out_dir` is replaced. As many
    processes as `workers` record; the bytes do not depend on it. Raises an InputError if the
    settings can't be met, or out_dir holds something else or can't be written.
    """
    _check(settings)
    description = json.dumps(describe(settings), indent=2)
    try:
        if _is_there(out_dir, description):
            return False
        find_espeak()
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(out_dir, PATIENCE_SECONDS) as work:
            if not _is_there(out_dir, description):
                _build(work / "corpus", settings, workers)
                write_lines(work / "corpus" / DESCRIPTION, [description])
            if _is_there(out_dir, description):
                return False  # another process was faster
            if out_dir.exists():
                out_dir.rename(work / "old")
            (work / "corpus").rename(out_dir)
    except (OSError, SoundFileError) as error:
        raise InputError(f"{out_dir}: the demo corpus can't be written ({error})") from error
    return True


def _check(settings):
    num_speakers = settings.train_speakers + settings.trial_speakers
    if num_speakers > len(VOICES):
        raise InputError(f"{num_speakers} speakers asked for, but there are {len(VOICES)} voices")
    least = {"train_speakers": 2, "trial_speakers": 2, "utterances": 2, "trials": 1}
    for name, smallest in least.items():
        if getattr(settings, name) < smallest:
            raise InputError(f"--{name} {getattr(settings, name)}: the smallest is {smallest}")


def _is_free(out_dir):
    return not out_dir.exists() or (out_dir.is_dir() and not any(out_dir.iterdir()))


def _is_there(out_dir, description):
    """Whether this very corpus is there; raises an InputError if something else is."""
    if _is_free(out_dir):
        return False
    if not (out_dir / DESCRIPTION).is_file():
        raise InputError(f"{out_dir} holds something else than a demo corpus; name a new folder")
    return (out_dir / DESCRIPTION).read_text(encoding="utf-8") == f"{description}\n"


def _build(corpus, settings, workers):
    recordings = _record_all(cast_speakers(settings), corpus / "audio", workers)
    training = recordings[: settings.train_speakers]
    trial_speakers = dict(enumerate(recordings[settings.train_speakers :]))
    rng = random.Random(settings.seed)
    write_lists(corpus, training, *choose_trials(trial_speakers, settings.trials, rng))


def _record_all(speakers, audio_dir, workers):
    record = partial(record_speaker, audio_dir=audio_dir)
    if workers < 2:
        return [record(speaker) for speaker in speakers]
    # "spawn", because the fork of a process with threads may hang.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        return list(pool.map(record, speakers))


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out_dir", type=Path, help="folder to make")
    for name, explanation in {
        "seed": "decides voices, texts, sounds and trials",
        "train_speakers": "voices to train on",
        "trial_speakers": "other voices, for the trials",
        "utterances": "of each voice",
        "trials": "of each kind, client and impostor",
    }.items():
        default = getattr(Settings, name)
        parser.add_argument(
            f"--{name}", type=int, default=default, help=f"{explanation} ({default})"
        )
    workers = min(4, os.cpu_count() or 1)
    parser.add_argument("--workers", type=int, default=workers, help=f"processes ({workers})")
    return parser


if __name__ == "__main__":
    command_line.run(lambda arguments: sys.exit(main(arguments)))
