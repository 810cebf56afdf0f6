"""VoxCeleb1 and VoxCeleb2, as they are found on disks, to labels and the official trials.

    python local/corpora/voxceleb.py --vox2_dir V2 --vox1_dir V1 --lists_dir L --out_dir lists

V1 and V2 have wav/idNNNNN/VIDEO/UTT.wav, dev/aac/idNNNNN/VIDEO/UTT.m4a, or the like, at some depth;
L has those of the lists veri_test.txt, veri_test2.txt, list_test_all.txt ... that are wanted.

It writes train_labels.txt of the speakers to train on (--train) and speakers.txt, the speaker of
each label; for each official list a trial list (vox1_o_cleaned.txt ...); vox1_speakers.txt, the
speaker of each utterance in them; valid_clients.txt and valid_impostors.txt, by which the training
chooses the best model. The 40 test speakers of VoxCeleb1 are never trained on. .m4a is not read:
--convert_to flac DIR makes FLAC files of it, by ffmpeg, and goes on where it was interrupted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local import command_line
from local.atomic import locked
from local.corpora.arguments import allow_missing, lists_parser
from local.corpora.commands import command, train_command
from local.corpora.converting import KINDS
from local.corpora.lists import write_lines, write_training
from local.corpora.missing import refuse_missing
from local.corpora.parts import join_parts, write_data_dirs
from local.corpora.voxceleb_parts import find_vox1, find_vox2_dev, vox1_dev
from local.corpora.voxceleb_trials import OFFICIAL, find_lists, read_lists
from local.errors import InputError

ALL_LISTS = ("O", "E", "H")
TRAIN = {"vox2": ("vox2",), "vox1": ("vox1",), "both": ("vox2", "vox1"), "none": ()}


def main(arguments):
    """Writes the lists that the command line asks for."""
    options = _parser().parse_args(arguments)
    corpora = _corpora_to_train_on(options)
    keys = _keys_of_trials(options, corpora)
    official = find_lists(options.lists_dir or options.vox1_dir, keys, bool(options.trials))
    problems = []
    vox1, parts = [], []
    if options.vox1_dir:
        vox1 = find_vox1(options.vox1_dir, options.convert_to, problems)
    if "vox2" in corpora:
        parts += find_vox2_dev(options.vox2_dir, options.convert_to, options.lists_dir, problems)
    if "vox1" in corpora:
        parts += vox1_dev(vox1, problems)
    valid_dir, utterances = join_parts(vox1) if vox1 else (None, {})
    trial_lists = read_lists(official, utterances, valid_dir, problems)
    refuse_missing(problems, options.allow_missing)
    train_dir, training = join_parts(parts) if parts else (None, {})
    if len(training) == 1:
        raise InputError(f"{train_dir}: has only one speaker: training needs two or more")
    with locked(options.out_dir):
        lists = _write(options.out_dir, training, trial_lists, utterances)
        write_data_dirs(options.out_dir, train_dir, valid_dir)
    _print_commands(options, lists, train_dir, valid_dir, trial_lists)


def _corpora_to_train_on(options):
    """Which corpora are trained on, of "vox1" and "vox2"; checks that they are given."""
    if not (options.vox1_dir or options.vox2_dir):
        raise InputError("give --vox1_dir, --vox2_dir, or both: see -h")
    corpora = TRAIN[options.train or ("vox2" if options.vox2_dir else "vox1")]
    for corpus in corpora:
        if not getattr(options, f"{corpus}_dir"):
            raise InputError(f"--train {options.train}: give --{corpus}_dir, too")
    return corpora


def _keys_of_trials(options, corpora):
    """The official lists that may be used: no speaker is both in training and in trials."""
    if not options.vox1_dir:
        if options.trials:
            raise InputError("--trials are of VoxCeleb1: give --vox1_dir, too")
        print("Without --vox1_dir there are no trials, and only labels are written")
        return ()
    if "vox1" not in corpora:
        return options.trials or ALL_LISTS
    refused = sorted(set(options.trials or ()) - {"O"})
    if refused:
        raise InputError(
            f"--trials {' '.join(refused)}: these trials are of the speakers that --train "
            f"{options.train or 'vox1'} trains on, all of VoxCeleb1; train on vox2, or take O"
        )
    print("Trials of VoxCeleb1-E and -H are left out: they are of speakers to train on")
    return ("O",)


def _write(out_dir, training, trial_lists, utterances):
    """Writes the lists; returns the paths of labels, client and impostor trials, None if not."""
    labels = clients = impostors = None
    if training:
        labels = write_training(out_dir, training)
    for name in {official.name for official in OFFICIAL} - {t.official.name for t in trial_lists}:
        (out_dir / f"{name}.txt").unlink(missing_ok=True)  # of an earlier run, on other speakers
    for trial_list in trial_lists:
        official, trials = trial_list.official, trial_list.trials
        path = write_lines(out_dir / f"{official.name}.txt", (" ".join(t) for t in trials))
        print(f"{path}: {len(trials):,} trials (published: {official.num_trials:,})")
    if trial_lists:
        speakers = [f"{name} {speaker}" for speaker in utterances for name in utterances[speaker]]
        path = write_lines(out_dir / "vox1_speakers.txt", speakers)
        print(f"{path}: the speaker of each utterance of VoxCeleb1")
        first = trial_lists[0]
        clients = write_lines(out_dir / "valid_clients.txt", first.pairs("1"))
        impostors = write_lines(out_dir / "valid_impostors.txt", first.pairs("0"))
        print(f"{clients}, {impostors.name}: the trials of {first.official.file}, in two files")
    return labels, clients, impostors


def _print_commands(options, lists, train_dir, valid_dir, trial_lists):
    labels, clients, _ = lists
    if labels and clients:
        out_dir, presets = Path("results/voxceleb"), ["voxceleb.yaml"]
        print(f"To train:\n  {train_command(train_dir, valid_dir, lists, out_dir, presets)}")
    if trial_lists:
        names = {}  # of the trials of -O, -E and -H: cleaned, where there are such
        for trial_list in trial_lists:
            names.setdefault(trial_list.official.key, trial_list.official.name)
        verify = command(
            "verify.py",
            "verify.yaml",
            model_dir="results/voxceleb",
            valid_data_dir=valid_dir,
            trials=[options.out_dir / f"{name}.txt" for name in names.values()],
            speakers=options.out_dir / "vox1_speakers.txt",
        )
        print(f"To verify:\n  {verify}")


def _parser():
    parser = lists_parser(__doc__)
    parser.add_argument("--vox1_dir", type=Path, help="VoxCeleb1, dev and test")
    parser.add_argument("--vox2_dir", type=Path, help="VoxCeleb2, dev")
    parser.add_argument(
        "--lists_dir",
        type=Path,
        help="the official lists, perhaps with vox2_meta.csv (--vox1_dir)",
    )
    parser.add_argument(
        "--train", choices=TRAIN, help="what to train on (vox2 if it is given, else vox1)"
    )
    parser.add_argument(
        "--trials", nargs="+", choices=ALL_LISTS, help="the lists to write (all there are)"
    )
    parser.add_argument(
        "--convert_to",
        nargs=2,
        metavar=("{" + ",".join(KINDS) + "}", "DIR"),
        help="convert .m4a to files of this kind below DIR",
    )
    allow_missing(parser, "speakers, utterances or trials")
    return parser


if __name__ == "__main__":
    command_line.run(main)
