"""The training lists of several corpora to one: variety helps more than anything else.

    python local/corpora/join.py LISTS_A LISTS_B ... --out_dir lists

Each of LISTS_A, LISTS_B ... is a folder that a script of local/corpora/ has written. A label file
of one's own, and the data directory in which its paths are looked up, may be added, several times:

    python local/corpora/join.py LISTS_A --labels FILE DATA_DIR --out_dir lists

It writes train_labels.txt, in which the labels of each corpus follow those of the one before;
speakers.txt, the speaker of each label; and, if one of the folders has them, the trials of the
first that has (valid_clients.txt, valid_impostors.txt), to choose the best model by. Paths are
below the folder that the corpora share, which is the next --train_data_dir.
"""

import os
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local import command_line
from local.atomic import locked
from local.audio.packed_index import is_packed
from local.audio.recordings import utterance_name
from local.corpora.arguments import lists_parser
from local.corpora.commands import train_command
from local.corpora.lists import write_lines, write_training
from local.corpora.parts import Part, join_parts, read_data_dirs, write_data_dirs
from local.errors import InputError, Problems
from local.lists.fields import read_fields
from local.lists.labels import read_labels

LABELS, SPEAKERS = "train_labels.txt", "speakers.txt"
TRIALS = ("valid_clients.txt", "valid_impostors.txt")


class Corpus(NamedTuple):
    """The training list of one corpus."""

    labels: object  # local.lists.labels.Labels
    data_dir: Path
    speakers: list  # the name of each label
    lists_dir: Path | None


def main(arguments):
    """Writes the lists that the command line asks for."""
    options = _parser().parse_args(arguments)
    corpora = [_read_folder(folder) for folder in options.lists]
    corpora += [_read_corpus(Path(file), Path(folder)) for file, folder in options.labels]
    if len(corpora) < 2:
        raise InputError("give two corpora or more: folders of lists, or --labels FILE DATA_DIR")
    if any(Path(options.out_dir).resolve() == folder.resolve() for folder in options.lists):
        raise InputError(f"{options.out_dir}: would be replaced; give another --out_dir")
    places = _refuse_repeats(corpora)
    trials_of = next((corpus for corpus in corpora if _has_trials(corpus)), None)
    valid_dir = _valid_dir(trials_of, places) if trials_of else None
    train_dir, training = join_parts([_part(*one) for one in enumerate(corpora)])
    with locked(options.out_dir):
        labels = write_training(options.out_dir, training)
        lists = [labels, *_copy_trials(trials_of, options.out_dir)] if trials_of else None
        write_data_dirs(options.out_dir, train_dir, valid_dir)
    if lists:
        command = train_command(train_dir, valid_dir, lists, Path("results/joined"))
        print(f"To train:\n  {command}")
    else:
        print(f"To train: --train_data_dir {train_dir} --train_labels_path {labels}, and trials")


def _read_folder(folder):
    if not folder.is_dir():
        raise InputError(
            f"{folder}: is no folder of lists; a label file goes with --labels FILE DATA_DIR"
        )
    data_dir = read_data_dirs(folder).get("train_data_dir")
    if data_dir is None or not (folder / LABELS).is_file():
        raise InputError(f"{folder}: has no {LABELS}: its script was asked for trials only")
    return _read_corpus(folder / LABELS, Path(data_dir), folder)


def _read_corpus(path, data_dir, lists_dir=None):
    """A Corpus; `lists_dir` is the folder of a script's lists."""
    labels = read_labels(path)
    if not data_dir.is_dir():
        raise InputError(
            f"{data_dir}: there is no such data directory, for {path}; if it has moved, name it by "
            f"--labels {path} DATA_DIR"
        )
    if is_packed(data_dir):
        raise InputError(f"{data_dir}: holds packed audio: join the lists first, then pack")
    name = (lists_dir or path).resolve().name
    speakers = _read_speakers(lists_dir / SPEAKERS) if lists_dir else {}
    number = range(max(labels.speakers) + 1)
    speakers = [f"{name}/{speakers.get(str(label), label)}" for label in number]
    return Corpus(labels, data_dir, speakers, lists_dir)


def _read_speakers(path):
    """Label -> speaker, both str; empty without the file."""
    problems = Problems()
    pairs = read_fields(path, "LABEL SPEAKER", problems) if path.is_file() else ()
    speakers = {label: speaker for _, (label, speaker) in pairs}
    problems.raise_if_any()
    return speakers


def _part(number, corpus):
    """A corpus as a Part, whose speakers are none of another corpus, whatever their names."""
    utterances = [[] for _ in corpus.speakers]
    for name, label in zip(corpus.labels.names, corpus.labels.speakers, strict=True):
        utterances[label].append(name)
    speakers = [_Speaker(name, number, label) for label, name in enumerate(corpus.speakers)]
    return Part(corpus.data_dir, dict(zip(speakers, utterances, strict=True)))


class _Speaker(NamedTuple):
    """A speaker of a corpus."""

    name: str
    corpus: int
    label: int

    def __str__(self):
        return self.name


def _refuse_repeats(corpora):
    """(path, line) of each recording in the corpora; an InputError if one is there twice."""
    problems, places = Problems(), {}
    for corpus in corpora:
        data_dir = os.path.realpath(corpus.data_dir)
        for name, line in zip(corpus.labels.names, corpus.labels.lines, strict=True):
            place = (corpus.labels.path, line)
            first = places.setdefault(_recording(data_dir, name), place)
            if first is not place:
                message = f"'{name}' is the recording of {first[0]}:{first[1]}, too"
                problems.add(*place, message)
    problems.raise_if_any()
    return places


def _recording(data_dir, name):
    return utterance_name(os.path.normpath(os.path.join(data_dir, name)))


def _has_trials(corpus):
    return corpus.lists_dir and all((corpus.lists_dir / name).is_file() for name in TRIALS)


def _valid_dir(corpus, places):
    """The data directory of a corpus's trials; an InputError if they have a training recording."""
    data_dir = read_data_dirs(corpus.lists_dir).get("valid_data_dir")
    if data_dir is None:
        raise InputError(f"{corpus.lists_dir}: does not say where its trials are looked up")
    problems = Problems()
    for name in TRIALS:
        path = corpus.lists_dir / name
        for line, pair in read_fields(path, "PATH PATH", problems):
            for utterance in pair:
                place = places.get(_recording(os.path.realpath(data_dir), utterance))
                if place:
                    message = f"'{utterance}' is trained on, too: {place[0]}:{place[1]}"
                    problems.add(path, line, message)
    problems.raise_if_any()
    return Path(data_dir)


def _copy_trials(corpus, out_dir):
    """Copies client and impostor trials of a corpus; returns the new paths."""
    paths = []
    for name in TRIALS:
        lines = (corpus.lists_dir / name).read_text(encoding="utf-8").splitlines()
        paths.append(write_lines(out_dir / name, lines))
    print(f"{paths[0]}, {paths[1].name}: those of {corpus.lists_dir}")
    return paths


def _parser():
    parser = lists_parser(__doc__)
    parser.add_argument("lists", nargs="*", type=Path, help="folders of lists")
    parser.add_argument(
        "--labels",
        nargs=2,
        metavar=("FILE", "DATA_DIR"),
        action="append",
        default=[],
        help="a label file, and where its paths are looked up",
    )
    return parser


if __name__ == "__main__":
    command_line.run(main)
