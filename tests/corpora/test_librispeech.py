import shlex

import pytest

from local.audio.finding import find_file
from local.corpora import librispeech
from local.errors import InputError
from local.evaluation.speakers import find_speakers
from local.lists.labels import read_labels
from local.lists.speaker_table import read_speaker_table
from local.lists.trials import read_trials
from tests.helpers.trees import check_messages, read_fields, speakers_of, texts, touch, write

PARTS = {
    "train-clean-100": ("103", "1034", "19"),
    "train-other-500": ("20",),
    "test-clean": ("1089", "61", "121", "237"),
    "test-other": ("367",),
}
SEXES = {"1089": "M", "61": "M", "121": "F", "237": "F", "367": "F"}


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "LibriSpeech"
    for part, speakers in PARTS.items():
        names = [f"{s}/{c}/{s}-{c}-{n:04}" for s in speakers for c in (7, 70968) for n in (0, 1)]
        touch(folder / part, *(f"{name}.flac" for name in names), "61/7/61-7.trans.txt")
    rows = [f"{s:<5}| {sex} | test-clean       | 8.05  | A Name" for s, sex in SEXES.items()]
    write(folder / "SPEAKERS.TXT", "; comment", ";ID  |SEX| SUBSET  |MINUTES| NAME", *rows)
    return tmp_path


def run(tree, *options, train=("train-clean-100",), test=("test-clean",), allow=True):
    arguments = [str(tree), "--train", *train, "--test", *test, "--out_dir", str(tree / "out")]
    librispeech.main([*arguments, *options, *["--allow_missing"] * allow])
    return tree / "out"


def check_refusal(tree, *messages, **options):
    check_messages(lambda: run(tree, **options), *messages)
    assert texts(tree / "out") == {}


def test_labels_and_trials(tree):
    out = run(tree, train=("train-clean-100", "train-other-500"))
    labels = read_labels(out / "train_labels.txt")
    names = ["103", "1034", "19", "20"]
    assert speakers_of(out) == names
    assert labels.names[0] == "train-clean-100/103/7/103-7-0000" and len(labels.names) == 16
    trials = read_trials(out / "valid_clients.txt", out / "valid_impostors.txt")
    for name in [*labels.names, *trials.utterances]:
        assert find_file(tree / "LibriSpeech", name)
    assert {name.split("/")[1] for name in trials.utterances} == set(PARTS["test-clean"])


def test_half_of_the_impostor_trials_are_of_one_sex(tree):
    out = run(tree, "--trials", "30")
    pairs = [
        [name.split("/")[1] for name in pair] for pair in read_fields(out / "valid_impostors.txt")
    ]
    assert len(pairs) == 30
    assert sum(SEXES[first] == SEXES[second] for first, second in pairs) == 15
    assert all(first != second for first, second in pairs)


def test_the_speakers_of_the_trials_and_their_sexes(tree):
    out = run(tree, test=("test-clean", "test-other"))
    trials = read_trials(out / "valid_clients.txt", out / "valid_impostors.txt")
    speakers = find_speakers(trials, out / "trial_speakers.txt")
    assert set(speakers.names) == set(SEXES)
    assert read_speaker_table(out / "speaker_table.csv") == {
        "sex": {speaker: sex.lower() for speaker, sex in SEXES.items()}
    }


def test_without_the_table_of_speakers(tree, capsys):
    (tree / "LibriSpeech" / "SPEAKERS.TXT").unlink()
    out = run(tree, "--trials", "7")
    assert len(read_fields(out / "valid_impostors.txt")) == 7
    assert "SPEAKERS.TXT is not there: impostor trials are drawn without" in capsys.readouterr().out
    assert not (out / "speaker_table.csv").exists()


def test_the_seed_decides(tree):
    first = texts(run(tree, "--trials", "10"))
    assert texts(run(tree, "--trials", "10")) == first
    assert texts(run(tree, "--trials", "10", "--seed", "1")) != first


def test_prints_what_was_published_and_the_next_commands(tree, capsys):
    out = run(tree)
    printed = capsys.readouterr().out
    assert "train-clean-100: 12 utterances of 3 speakers (published: 28,539 of 251)" in printed
    commands = [shlex.split(line) for line in printed.splitlines() if "recipes/" in line]
    assert str(tree / "LibriSpeech") in commands[0] and str(out / "train_labels.txt") in commands[0]
    assert str(out / "speaker_table.csv") in commands[1]


def test_what_is_missing_is_an_error(tree):
    check_refusal(
        tree,
        "train-clean-100: 248 speakers and 28,527 utterances are missing: is all of it unpacked?",
        "test-clean: 36 speakers",
        "--allow_missing goes on with what is there",
        allow=False,
    )


def test_a_speaker_in_training_and_test(tree):
    options = {"train": ("train-clean-100", "test-clean"), "test": ("test-clean", "test-other")}
    check_refusal(tree, "speakers are in --train and in --test: 1089, 121, 237, 61", **options)


def test_a_folder_that_is_not_librispeech(tree, tmp_path):
    check_refusal(tmp_path / "out", "/out: is no LibriSpeech: none of train-clean-100, ")
    check_refusal(tree, "/LibriSpeech/dev-clean: is not a folder", test=("dev-clean",))


def test_too_few_speakers(tree):
    check_refusal(tree, "need two speakers or more each", train=("train-other-500",))


def test_a_speaker_of_no_sex(tree):
    write(tree / "LibriSpeech" / "SPEAKERS.TXT", "1089 | M | x", "61 | ? | x", "121 | F | x")
    check_refusal(tree, "/SPEAKERS.TXT: does not tell the sex (F or M) of 237, 61")


def test_no_trials(tree):
    with pytest.raises(InputError, match="--trials 0: at least 1 is needed"):
        run(tree, "--trials", "0")
