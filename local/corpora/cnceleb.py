"""CN-Celeb1 and CN-Celeb2 to labels, and to the enrolment models and trials of CN-Celeb.Eval.

    python local/corpora/cnceleb.py CN --out_dir lists

Below CN are CN-Celeb_flac (data/idNNNNN/*.flac, dev/dev.lst, eval/) and CN-Celeb2_flac
(data/idNNNNN/*.flac, spk.lst), or one of them; the folders may have other names.

It writes train_labels.txt, of the speakers of dev.lst and spk.lst, and speakers.txt, the speaker of
each label; cnceleb_trials.txt and cnceleb_models.txt, the trials and the recordings that their
models are enrolled from, by enroll.map (--enrol lst: the one recording that enroll.lst names, all
of them in a row); cnceleb_speakers.txt, the speaker of each model and test recording; and
valid_clients.txt and valid_impostors.txt, some of these trials, by which the training chooses the
best model. The same arguments always give the same lists.
"""

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local import command_line
from local.atomic import locked
from local.corpora.arguments import allow_missing, lists_parser
from local.corpora.cnceleb_parts import NUM_TRIALS, find_folders, read_evaluation, read_training
from local.corpora.commands import command, train_command
from local.corpora.lists import write_lines, write_training, write_trials
from local.corpora.missing import refuse_missing, some
from local.corpora.parts import join_parts, write_data_dirs
from local.errors import InputError

NAMES = ("cnceleb_trials.txt", "cnceleb_models.txt", "cnceleb_speakers.txt")


def main(arguments):
    """Writes the lists that the command line asks for."""
    options = _parser().parse_args(arguments)
    problems = []
    first, second = find_folders(options.folder)
    training = read_training(first, second, problems)
    evaluation = read_evaluation(first, options.enrol, problems) if first else None
    if options.valid_trials < 1:
        raise InputError(f"--valid_trials {options.valid_trials}: at least 1 is needed")
    if evaluation:
        _refuse_shared(training, evaluation)
    refuse_missing(problems, options.allow_missing)
    train_dir, utterances = join_parts(training)
    if len(utterances) < 2:
        raise InputError(f"{options.folder}: training needs two speakers or more")
    with locked(options.out_dir):
        lists = [write_training(options.out_dir, utterances)]
        if evaluation:
            rng = random.Random(options.seed)
            lists += _write_evaluation(options.out_dir, evaluation, options.valid_trials, rng)
        write_data_dirs(options.out_dir, train_dir, first if evaluation else None)
    if evaluation:
        _print_commands(options.out_dir, lists, train_dir, first)
    else:
        print(f"{options.folder}: without CN-Celeb1 there are no trials")


def _refuse_shared(training, evaluation):
    """Raises an InputError if a speaker is both in training and in trials."""
    trained = {speaker for part in training for speaker in part.utterances}
    shared = sorted(trained & set(evaluation.speakers.values()))
    if shared:
        raise InputError(f"speakers are in training and in the trials: {some(shared)}")


def _write_evaluation(out_dir, evaluation, num_valid, rng):
    """Writes models and trials; returns the paths of client and impostor trials for training."""
    trials, models, speakers = (out_dir / name for name in NAMES)
    write_lines(trials, (" ".join(trial) for trial in evaluation.trials))
    print(f"{trials}: {len(evaluation.trials):,} trials (published: {NUM_TRIALS:,})")
    write_lines(models, (" ".join([model, *own]) for model, own in evaluation.models.items()))
    print(f"{models}: {len(evaluation.models):,} enrolment models (published: 196)")
    write_lines(speakers, (" ".join(pair) for pair in evaluation.speakers.items()))
    print(f"{speakers}: the speaker of each model and test recording")
    chosen = [_choose_pairs(evaluation, label, num_valid, rng) for label in "10"]
    lists = write_trials(out_dir, *chosen)
    for path, own in zip(lists, chosen, strict=True):
        print(f"{path}: {len(own):,} of them, by the first recording of each model")
    return lists


def _choose_pairs(evaluation, label, count, rng):
    """Some pairs of the first recording of a model and a test recording, in their order."""
    numbers = [number for number, trial in enumerate(evaluation.trials) if trial[0] == label]
    chosen = sorted(rng.sample(numbers, min(count, len(numbers))))
    trials = (evaluation.trials[number] for number in chosen)
    return [(evaluation.models[model][0], test) for _, model, test in trials]


def _print_commands(out_dir, lists, train_dir, valid_dir):
    results = Path("results/cnceleb")
    print(f"To train:\n  {train_command(train_dir, valid_dir, lists, results, ['voxceleb.yaml'])}")
    trials, models, speakers = (out_dir / name for name in NAMES)
    verify = command(
        "verify.py",
        "verify.yaml",
        model_dir=results,
        valid_data_dir=valid_dir,
        trials=trials,
        enrol_models=models,
        speakers=speakers,
    )
    print(f"To verify:\n  {verify}")


def _parser():
    parser = lists_parser(__doc__)
    parser.add_argument("folder", type=Path, help="has CN-Celeb1, CN-Celeb2 or both")
    parser.add_argument(
        "--enrol",
        choices=("map", "lst"),
        default="map",
        help="models of several recordings (map), or of these in one file (lst)",
    )
    parser.add_argument(
        "--valid_trials", type=int, default=17000, help="of each kind, while training (17000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides these trials (0)")
    allow_missing(parser, "recordings")
    return parser


if __name__ == "__main__":
    command_line.run(main)
