import json
import shlex

import pytest

from local.audio.finding import find_file
from local.corpora import cnceleb
from local.errors import InputError
from local.evaluation.speakers import find_speakers
from local.lists.enrolment import read_enrolment
from local.lists.labels import read_labels
from local.lists.trials import read_trials
from tests.helpers.trees import check_messages, read_fields, speakers_of, texts, touch, write

DEV, EVAL, SECOND = ("id00000", "id00012"), ("id00800", "id00801"), ("id10000", "id11999")
FIRST_DIR, SECOND_DIR = "CN-Celeb_flac", "CN-Celeb2_flac"
UTTERANCES = ("singing-01-001", "singing-01-002", "speech-02-001")


@pytest.fixture
def tree(tmp_path):
    first, second = tmp_path / FIRST_DIR, tmp_path / SECOND_DIR
    touch(first / "data", *(f"{s}/{u}.flac" for s in DEV + EVAL for u in UTTERANCES))
    touch(second / "data", *(f"{s}/{u}.flac" for s in SECOND for u in UTTERANCES[:2]))
    write(first / "dev" / "dev.lst", *DEV)
    write(second / "spk.lst", *SECOND)
    touch(first / "eval", *(f"enroll/{s}-enroll.flac" for s in EVAL))
    touch(first / "eval", *(f"test/{s}-drama-01-00{n}.flac" for s in EVAL for n in (1, 2)))
    lists = first / "eval" / "lists"
    write(lists / "enroll.lst", *(f"{s}-enroll enroll/{s}-enroll.wav" for s in EVAL))
    maps = [f"{s}-enroll " + " ".join(f"{s}/{u}.wav" for u in UTTERANCES[:2]) for s in EVAL]
    write(lists / "enroll.map", *maps)
    trials = [
        f"{model}-enroll test/{s}-drama-01-00{n}.wav {int(model == s)}"
        for model in EVAL
        for s in EVAL
        for n in (1, 2)
    ]
    write(lists / "trials.lst", *trials)
    return tmp_path


def run(tree, *options, allow=True):
    arguments = [str(tree), "--out_dir", str(tree / "out"), *options]
    cnceleb.main([*arguments, *["--allow_missing"] * allow])
    return tree / "out"


def check_refusal(tree, *messages, **options):
    check_messages(lambda: run(tree, **options), *messages)
    assert texts(tree / "out") == {}


def enrolment_of(out):
    trials, models = (out / name for name in cnceleb.NAMES[:2])
    return read_enrolment(trials, None, None, models)


def test_labels_of_both_corpora(tree):
    out = run(tree)
    labels = read_labels(out / "train_labels.txt")
    assert speakers_of(out) == [*DEV, *SECOND]
    assert labels.names[0] == f"{FIRST_DIR}/data/id00000/singing-01-001"
    assert len(labels.names) == 2 * 3 + 2 * 2
    assert all(find_file(tree, name) for name in labels.names)
    assert json.loads(texts(out)["data_dirs.json"]) == {
        "train_data_dir": str(tree),
        "valid_data_dir": str(tree / FIRST_DIR),
    }


def test_models_of_several_recordings(tree):
    out = run(tree)
    enrolment = enrolment_of(out)
    assert len(enrolment.trials) == 8 and enrolment.trials.is_client.sum() == 4
    assert all(find_file(tree / FIRST_DIR, name) for name in enrolment.utterances)
    assert [len(members) for members in enrolment.members] == [2, 2, 1, 1, 1, 1]
    speakers = find_speakers(enrolment.trials, out / "cnceleb_speakers.txt")
    assert speakers.names == list(EVAL)


def test_models_of_one_recording(tree):
    out = run(tree, "--enrol", "lst")
    assert read_fields(out / "cnceleb_models.txt")[0] == [
        "id00800-enroll",
        "eval/enroll/id00800-enroll",
    ]
    assert all(find_file(tree / FIRST_DIR, name) for name in enrolment_of(out).utterances)


def test_trials_for_the_training(tree):
    out = run(tree, "--valid_trials", "3")
    trials = read_trials(out / "valid_clients.txt", out / "valid_impostors.txt")
    assert len(trials) == 6 and trials.is_client.sum() == 3
    assert all(find_file(tree / FIRST_DIR, name) for name in trials.utterances)
    assert texts(run(tree, "--valid_trials", "3")) == texts(out)


@pytest.mark.parametrize("place", [FIRST_DIR, SECOND_DIR])
def test_one_of_the_corpora(tree, place, capsys):
    cnceleb.main([str(tree / place), "--out_dir", str(tree / "out"), "--allow_missing"])
    names = read_labels(tree / "out" / "train_labels.txt").names
    assert all(find_file(tree / place, name) for name in names)
    assert (tree / "out" / "cnceleb_trials.txt").exists() == (place == FIRST_DIR)
    assert ("there are no trials" in capsys.readouterr().out) == (place == SECOND_DIR)


def test_prints_what_was_published_and_the_next_commands(tree, capsys):
    out = run(tree)
    printed = capsys.readouterr().out
    assert "dev.lst: 6 utterances of 2 speakers (published: 107,953 of 797)" in printed
    assert "spk.lst: 4 utterances of 2 speakers (published: 524,787 of 1,996)" in printed
    assert "8 trials (published: 3,484,292)" in printed
    verify = shlex.split(printed.splitlines()[-1])
    assert verify[verify.index("--enrol_models") + 1] == str(out / "cnceleb_models.txt")


def test_what_is_missing_is_counted_and_named(tree):
    first = tree / FIRST_DIR
    (first / "eval/test/id00800-drama-01-001.flac").unlink()
    (first / "data/id00801/singing-01-002.flac").unlink()
    write(first / "dev/dev.lst", *DEV, "id00044")
    check_refusal(
        tree,
        f"{first}/dev/dev.lst: there is nothing in data of id00044",
        f"{first}/eval/lists/enroll.map: 1 recordings are not there: data/id00801/singing-01-002",
        f"{first}/eval/lists/trials.lst: has 8 trials, but 3,484,292 are published",
        f"{first}/eval: 1 test recordings are not there: test/id00800-drama-01-001.wav",
        "--allow_missing goes on with what is there",
        allow=False,
    )
    out = run(tree)
    trials = enrolment_of(out).trials
    assert len(trials) == 3 and trials.is_client.sum() == 1


def test_a_speaker_in_training_and_trials(tree):
    write(tree / FIRST_DIR / "dev/dev.lst", *DEV, EVAL[1])
    check_refusal(tree, "speakers are in training and in the trials: id00801")


def test_a_folder_that_is_not_cnceleb(tree, tmp_path):
    check_refusal(tmp_path / "out", "/out: is no CN-Celeb: there is neither a folder with data and")


@pytest.mark.parametrize(
    "file, line, message",
    [
        ("dev/dev.lst", "anna", "'anna' is no speaker such as id00012"),
        ("eval/lists/trials.lst", "id00900-enroll test/a.wav 1", "no such model, or no label"),
        ("eval/lists/trials.lst", "id00800-enroll test/a.wav target", "no such model, or no lab"),
        ("eval/lists/trials.lst", "1 a b c", "expected 3 fields, 'MODEL PATH LABEL', but found 4"),
        ("eval/lists/enroll.map", "id00800-enroll a/b.wav", "is there twice, or has no recordings"),
        ("eval/lists/enroll.map", "id00802-enroll", "is there twice, or has no recordings"),
    ],
)
def test_wrong_lines(tree, file, line, message):
    path = tree / FIRST_DIR / file
    lines = path.read_text().splitlines()
    write(path, *lines, line)
    check_refusal(tree, f"{path}:{len(lines) + 1}: ", message)


def test_a_missing_list(tree):
    (tree / FIRST_DIR / "eval/lists/enroll.map").unlink()
    check_refusal(tree, "/eval/lists/enroll.map: can't be read (No such file or directory)")


def test_no_trials_are_left(tree):
    for path in (tree / FIRST_DIR / "eval/test").iterdir():
        path.unlink()
    check_refusal(tree, "trials.lst: there are no client and impostor trials of what is there")


def test_no_trials_for_the_training(tree):
    with pytest.raises(InputError, match="--valid_trials 0: at least 1 is needed"):
        run(tree, "--valid_trials", "0")
