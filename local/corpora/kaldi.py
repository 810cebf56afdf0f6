"""A Kaldi data directory to the lists for training and trials.

    python local/corpora/kaldi.py DATA_DIR --out_dir lists [--test_dir DIR] [--enrol_dir DIR]

A data directory has wav.scp, utt2spk or spk2utt, and perhaps segments (utterances are parts of
recordings), reco2file_and_channel (recordings have several channels) and trials. DATA_DIR is to
train on, the trials are those of --test_dir or else of DATA_DIR, whose speakers in the trials are
then not trained on. Trials `MODEL UTTERANCE target` are of the models in spk2utt of --enrol_dir.

It writes train_labels.txt, and speakers.txt, the speaker of each label; of trials kaldi_trials.txt,
kaldi_models.txt (if they are of models), kaldi_speakers.txt, the speaker of each side, and
valid_clients.txt and valid_impostors.txt, by which the training chooses the best model; and
utterances.scp, the Kaldi name of each utterance. Commands in wav.scp (`sph2pipe ... |`) are only
run with --run_pipes: what they write becomes FLAC files in the folder audio beside the lists, once.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local import command_line
from local.atomic import locked
from local.corpora.arguments import lists_parser
from local.corpora.commands import command, train_command
from local.corpora.kaldi_dirs import read_dir, read_speakers
from local.corpora.kaldi_names import name_utterances
from local.corpora.kaldi_pipes import run_pipes
from local.corpora.kaldi_trials import read_evaluation, write_evaluation
from local.corpora.lists import write_lines, write_training
from local.corpora.missing import some
from local.corpora.parts import check_names, write_data_dirs
from local.errors import InputError, Problems

SCP = "utterances.scp"


def main(arguments):
    """Writes the lists that the command line asks for."""
    options = _parser().parse_args(arguments)
    folders = _folders(options)
    problems = Problems()
    dirs = {folder: read_dir(folder, problems) for folder in dict.fromkeys(folders)}
    data_dir, *others = (dirs[folder] for folder in folders)
    speakers = read_speakers(data_dir, problems)
    evaluation = read_evaluation(*others, problems) if others else None
    problems.raise_if_any()
    training = _training(data_dir, speakers, evaluation)
    wanted = [(data_dir, [name for own in training.values() for name in own])]
    if evaluation:
        enrolled = dict.fromkeys(name for own in evaluation.enrolled.values() for name in own)
        wanted += [(evaluation.enrol, enrolled), (evaluation.test, evaluation.tested)]
    audio = _run_pipes(wanted, options, problems)
    names = [name_utterances(*one, audio, problems) for one in wanted]
    problems.raise_if_any()
    train_dir, train_names = _below_one_folder(names[0])
    valid_dir, *valid_names = _below_one_folder(*names[1:])
    training = {s: [train_names[name] for name in own] for s, own in training.items()}
    with locked(options.out_dir):
        labels = write_training(options.out_dir, training) if training else None
        lists = write_evaluation(options.out_dir, evaluation, *valid_names) if evaluation else None
        paths = {utterance: path for own in names for utterance, path in own.items()}
        scp = write_lines(options.out_dir / SCP, (" ".join(pair) for pair in paths.items()))
        print(f"{scp}: the name of each utterance, for --files of extract_embeddings.py")
        write_data_dirs(options.out_dir, train_dir, valid_dir)
    _print_commands(labels, lists, train_dir, valid_dir)


def _folders(options):
    """The data directories to train on, to test, to enrol with; without trials only the first."""
    folder, test_dir, enrol_dir = options.folder, options.test_dir, options.enrol_dir
    if test_dir is None and (folder / "trials").is_file():
        test_dir = folder
    if test_dir is None and enrol_dir:
        raise InputError(f"{folder}: has no trials, and there is no --test_dir, for --enrol_dir")
    return [folder, test_dir, enrol_dir or test_dir] if test_dir else [folder]


def _training(data_dir, speakers, evaluation):
    """The utterances to train on, by speaker; no speaker is in the trials."""
    training = {speaker: [] for speaker in sorted(set(speakers.values()))}
    for name in data_dir.utterances:
        training[speakers[name]].append(name)
    print(f"{data_dir.folder}: {len(speakers):,} utterances of {len(training):,} speakers")
    if evaluation:
        in_trials = {evaluation.speakers[name] for name in evaluation.trials.utterances}
        shared = [speaker for speaker in training if speaker in in_trials]
        if shared and evaluation.test is not data_dir:
            raise InputError(
                f"speakers are in {data_dir.folder} and in the trials of "
                f"{evaluation.test.folder}: {some(shared)}"
            )
        training = {s: own for s, own in training.items() if s not in in_trials}
        if len(training) < 2 and shared:
            print("Nothing is left to train on: its speakers are in the trials")
            return {}
    if len(training) < 2:
        raise InputError(f"{data_dir.folder}: training needs two speakers or more")
    return training


def _run_pipes(wanted, options, problems):
    """Command -> the path of what it has written, for the utterances that are wanted."""
    commands = {}
    for data_dir, utterances in wanted:
        for name in utterances:
            recording = data_dir.utterances[name].recording
            if data_dir.recordings[recording].is_command:
                commands[recording, data_dir.folder] = data_dir.recordings[recording]
    if not commands:
        return {}
    if not options.run_pipes:
        for recording in commands.values():
            message = f"is a command to run ({recording.source}): --run_pipes runs it"
            problems.add(*recording.place, message)
        problems.raise_if_any()
    commands = [(name, recording) for (name, _), recording in commands.items()]
    audio = run_pipes(commands, options.out_dir.absolute() / "audio", problems)
    problems.raise_if_any()
    return audio


def _below_one_folder(*names):
    """The folder that absolute names share, and dictionaries, ID -> name below it."""
    paths = {path for own in names for path in own.values()}
    if not paths:
        return None, *names
    folder = os.path.commonpath({os.path.dirname(path) for path in paths})
    start = len(folder.rstrip("/")) + 1
    below = [{name: path[start:] for name, path in own.items()} for own in names]
    check_names(folder, (path for own in below for path in own.values()))
    return Path(folder), *below


def _print_commands(labels, lists, train_dir, valid_dir):
    results = Path("results/kaldi")
    if lists is None:
        print(f"To train: --train_data_dir {train_dir} --train_labels_path {labels}, and trials")
        return
    options, pairs = lists
    if labels:
        print(f"To train:\n  {train_command(train_dir, valid_dir, [labels, *pairs], results)}")
    options = {"model_dir": results, "valid_data_dir": valid_dir} | options
    print(f"To verify:\n  {command('verify.py', 'verify.yaml', **options)}")


def _parser():
    parser = lists_parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DATA_DIR", help="to train on")
    parser.add_argument("--test_dir", type=Path, help="has the trials (DATA_DIR)")
    parser.add_argument(
        "--enrol_dir", type=Path, help="has the models or utterances to enrol (--test_dir)"
    )
    parser.add_argument(
        "--run_pipes", action="store_true", help="run the commands of wav.scp, as your own"
    )
    return parser


if __name__ == "__main__":
    command_line.run(main)
