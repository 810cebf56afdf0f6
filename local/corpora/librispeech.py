"""LibriSpeech to labels, and to trials that are drawn of its test parts.

    python local/corpora/librispeech.py LS --train train-clean-100 train-clean-360 \\
        --test test-clean test-other --out_dir lists

LS has PART/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac, itself or in its folder LibriSpeech, and
SPEAKERS.TXT, by which half of the impostor trials are of speakers of one sex.

It writes train_labels.txt and speakers.txt, the speaker of each label; valid_clients.txt and
valid_impostors.txt; trial_speakers.txt, the speaker of each utterance in them, and
speaker_table.csv, the sex of these speakers. The same arguments always give the same lists.
"""

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local import command_line
from local.atomic import locked, read_text
from local.corpora.arguments import allow_missing, lists_parser
from local.corpora.commands import command, train_command
from local.corpora.lists import choose_trials, write_lines, write_training, write_trials
from local.corpora.missing import describe, refuse_missing, some
from local.corpora.parts import check_names, write_data_dirs
from local.corpora.trees import recordings
from local.errors import InputError

# Speakers and utterances, as published.
PUBLISHED = {
    "train-clean-100": (251, 28_539),
    "train-clean-360": (921, 104_014),
    "train-other-500": (1_166, 148_688),
    "dev-clean": (40, 2_703),
    "dev-other": (33, 2_864),
    "test-clean": (40, 2_620),
    "test-other": (33, 2_939),
}


def main(arguments):
    """Writes the lists that the command line asks for."""
    options = _parser().parse_args(arguments)
    if options.trials < 1:
        raise InputError(f"--trials {options.trials}: at least 1 is needed")
    folder = _find(options.folder)
    problems = []
    training = _read_parts(folder, options.train, problems)
    others = _read_parts(folder, options.test, problems)
    _refuse_shared(training, others)
    refuse_missing(problems, options.allow_missing)
    if min(len(training), len(others)) < 2:
        raise InputError(f"{folder}: training and trials need two speakers or more each")
    check_names(folder, (name for own in [*training.values(), *others.values()] for name in own))
    sexes = _read_sexes(folder / "SPEAKERS.TXT", others)
    trials = choose_trials(others, options.trials, random.Random(options.seed), sexes)
    out_dir = options.out_dir
    with locked(out_dir):
        lists = [write_training(out_dir, training), *write_trials(out_dir, *trials)]
        table = _write_speakers(out_dir, others, sexes)
        write_data_dirs(out_dir, folder, folder)
    for path, pairs in zip(lists[1:], trials, strict=True):
        print(f"{path}: {len(pairs):,} trials of {len(others)} other speakers")
    _print_commands(folder, lists, out_dir, table)


def _print_commands(folder, lists, out_dir, table):
    results = Path("results/librispeech")
    print(f"To train:\n  {train_command(folder, folder, lists, results)}")
    verify = command(
        "verify.py",
        "verify.yaml",
        model_dir=results,
        valid_data_dir=folder,
        valid_clients=lists[1],
        valid_impostors=lists[2],
        speakers=out_dir / "trial_speakers.txt",
        speaker_table=table,
    )
    print(f"To verify:\n  {verify}")


def _find(folder):
    """The folder that has the parts."""
    for place in (folder, folder / "LibriSpeech"):
        if any((place / part).is_dir() for part in PUBLISHED):
            return place
    raise InputError(f"{folder}: is no LibriSpeech: none of {', '.join(PUBLISHED)} is there")


def _read_parts(folder, parts, problems):
    """The utterances of parts, speaker -> sorted names; counts them, and notes what is missing."""
    utterances = {}
    for part in dict.fromkeys(parts):
        if not (folder / part).is_dir():
            raise InputError(f"{folder / part}: is not a folder")
        own = {}
        for name, _ in recordings(str(folder / part), levels=2):
            own.setdefault(name.split("/")[0], []).append(f"{part}/{name}")
        numbers = {speaker: len(names) for speaker, names in own.items()}
        if part in PUBLISHED:
            problems += describe(part, numbers, PUBLISHED[part])
        for speaker, names in own.items():
            utterances.setdefault(speaker, []).extend(names)
    return {speaker: sorted(utterances[speaker]) for speaker in sorted(utterances)}


def _refuse_shared(training, others):
    shared = [speaker for speaker in training if speaker in others]
    if shared:
        raise InputError(f"speakers are in --train and in --test: {some(shared)}")


def _read_sexes(path, speakers):
    """Speaker -> sex (f or m); None if the table is not there."""
    if not path.is_file():
        print(f"{path} is not there: impostor trials are drawn without regard to sex")
        return None
    rows = [line.split("|") for line in read_text(path).splitlines() if line[:1] != ";"]
    sexes = {row[0].strip(): row[1].strip().lower() for row in rows if len(row) > 1}
    unknown = [speaker for speaker in speakers if sexes.get(speaker) not in ("f", "m")]
    if unknown:
        raise InputError(f"{path}: does not tell the sex (F or M) of {some(unknown)}")
    return {speaker: sexes[speaker] for speaker in speakers}


def _write_speakers(out_dir, others, sexes):
    """Writes who speaks in the trials; returns the path of the table of sexes, None without."""
    lines = [f"{name} {speaker}" for speaker, own in others.items() for name in own]
    write_lines(out_dir / "trial_speakers.txt", lines)
    if not sexes:
        (out_dir / "speaker_table.csv").unlink(missing_ok=True)
        return None
    rows = [f"{speaker},{sex}" for speaker, sex in sexes.items()]
    return write_lines(out_dir / "speaker_table.csv", ["speaker,sex", *rows])


def _parser():
    parser = lists_parser(__doc__)
    parser.add_argument("folder", type=Path, help="has the parts, or a folder LibriSpeech")
    for name, what in (("train", "to train on"), ("test", "whose speakers the trials are of")):
        parser.add_argument(
            f"--{name}", nargs="+", metavar="PART", required=True, help=f"the parts {what}"
        )
    parser.add_argument(
        "--trials", type=int, default=20000, help="of each kind, client and impostor (20000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides the trials (0)")
    allow_missing(parser, "speakers or utterances")
    return parser


if __name__ == "__main__":
    command_line.run(main)
