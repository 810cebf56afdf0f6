"""One's own recordings, in a folder for each speaker, to the lists for training and trials.

    python local/corpora/folder.py FOLDER --out_dir lists

From FOLDER/SPEAKER/**/*.wav (or .flac .ogg .opus .mp3 .sph) it makes train_labels.txt,
valid_clients.txt and valid_impostors.txt, and speakers.txt, the speaker of each label. No speaker
is both in training and in the trials. The same arguments always give the same lists.
"""

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local import command_line
from local.atomic import locked
from local.audio.recordings import find_utterances
from local.corpora.arguments import lists_parser
from local.corpora.commands import train_command
from local.corpora.lists import choose_trials, write_lists, write_speakers
from local.corpora.parts import write_data_dirs
from local.errors import InputError


def main(arguments):
    """Writes the lists that the command line asks for."""
    options = _parser().parse_args(arguments)
    if options.trials < 1:
        raise InputError(f"--trials {options.trials}: at least 1 is needed")
    rng = random.Random(options.seed)
    utterances = find_utterances(options.folder)
    training, others = _split_speakers(utterances, options.trial_speakers, rng)
    clients, impostors = choose_trials(others, options.trials, rng)
    out_dir = options.out_dir
    with locked(out_dir):
        lists = write_lists(out_dir, list(training.values()), clients, impostors)
        speakers_path = write_speakers(out_dir, training)
        write_data_dirs(out_dir, options.folder, options.folder)
    num_utterances = sum(map(len, training.values()))
    print(f"{lists[0]}: {num_utterances} utterances of {len(training)} speakers")
    print(f"{lists[1]}: {len(clients)} trials of {len(others)} other speakers")
    print(f"{lists[2]}: {len(impostors)} trials of the same")
    print(f"{speakers_path}: the speaker of each label")
    results = Path("results", options.folder.resolve().name)
    print(f"To train:\n  {train_command(options.folder, options.folder, lists, results)}")


def _split_speakers(utterances, trial_speakers, rng):
    """Splits speakers into two or more to train on and two or more for the trials.

    Both are dictionaries like `utterances`, speaker -> list of names. Trials are only made of
    speakers with two utterances or more.
    """
    is_share = 0 < trial_speakers < 1
    wanted = max(2, round(trial_speakers * len(utterances))) if is_share else int(trial_speakers)
    eligible = [speaker for speaker, names in utterances.items() if len(names) > 1]
    if wanted < 2:
        raise InputError(
            f"--trial_speakers {trial_speakers:g}: impostor trials need 2 speakers or more"
        )
    if len(utterances) < wanted + 2:
        raise InputError(
            f"{len(utterances)} speakers are too few: {wanted} for trials (--trial_speakers) and "
            "at least 2 others to train on are needed"
        )
    if len(eligible) < wanted:
        raise InputError(
            f"{wanted} speakers are needed for trials (--trial_speakers), but only {len(eligible)} "
            "have the two recordings or more that client trials take"
        )
    for_trials = sorted(rng.sample(eligible, wanted))
    training = {name: own for name, own in utterances.items() if name not in for_trials}
    return training, {name: utterances[name] for name in for_trials}


def _parser():
    parser = lists_parser(__doc__)
    parser.add_argument("folder", type=Path, help="has a folder for each speaker")
    parser.add_argument(
        "--trial_speakers",
        type=float,
        default=0.2,
        help="speakers for the trials: their number or, below 1, their share (0.2)",
    )
    parser.add_argument(
        "--trials", type=int, default=5000, help="of each kind, client and impostor (5000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides speakers and trials (0)")
    return parser


if __name__ == "__main__":
    command_line.run(main)
