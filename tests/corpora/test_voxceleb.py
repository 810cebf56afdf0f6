import json
import shlex
from pathlib import Path

import pytest

from local.audio.finding import find_file
from local.corpora import commands, voxceleb
from local.errors import InputError
from local.evaluation.speakers import find_speakers
from local.lists.labels import read_labels
from local.lists.trials import read_trial_list, read_trials
from tests.helpers.trees import check_messages, read_fields, speakers_of, texts, touch, write

DEV, TEST = ("id10001", "id10002", "id11251"), ("id10270", "id10309")
VOX2 = ("id00012", "id00015", "id09272")
UTTERANCES = ("aBc-_1/00001", "aBc-_1/00002", "xYz/00001")


def vox(root, speakers, place="wav", extension=".wav"):
    touch(root, *(f"{place}/{s}/{u}{extension}" for s in speakers for u in UTTERANCES))
    return root


def trials_of(first, second):
    """Lines as those of the official lists: pairs of one speaker, then of two."""
    paths = [[f"{speaker}/{u}.wav" for u in UTTERANCES] for speaker in (first, second)]
    return [
        f"1 {paths[0][0]} {paths[0][2]}",
        f"0 {paths[0][0]} {paths[1][0]}",
        f"1 {paths[1][1]} {paths[1][2]}",
        f"0 {paths[0][1]} {paths[1][2]}",
    ]


@pytest.fixture
def tree(tmp_path):
    """VoxCeleb2 dev, VoxCeleb1 as its two archives unpack, and all official lists."""
    vox(tmp_path / "v2", VOX2, "dev/aac", ".wav")
    vox(tmp_path / "v1", DEV, "vox1_dev_wav/wav")
    vox(tmp_path / "v1", TEST, "vox1_test_wav/wav")
    for name in ("veri_test.txt", "veri_test2.txt"):
        write(tmp_path / "l" / name, *trials_of(*TEST))
    for name in ("all", "all2", "hard", "hard2"):
        write(tmp_path / "l" / f"list_test_{name}.txt", *trials_of("id10001", "id10270"))
    return tmp_path


def run(tree, *options, allow=True):
    arguments = ["--out_dir", str(tree / "out"), "--lists_dir", str(tree / "l")]
    for name in ("v1", "v2"):
        if (tree / name).exists() and f"--vox{name[1]}_dir" not in options:
            arguments += [f"--vox{name[1]}_dir", str(tree / name)]
    voxceleb.main([*arguments, *["--allow_missing"] * allow, *options])
    return tree / "out"


def check_refusal(tree, *messages, options=(), allow=True):
    check_messages(lambda: run(tree, *options, allow=allow), *messages)
    assert texts(tree / "out") == {}


def test_labels_are_of_voxceleb2_dev(tree):
    out = run(tree)
    labels = read_labels(out / "train_labels.txt")
    assert speakers_of(out) == list(VOX2)
    assert labels.names[:3] == [f"dev/aac/id00012/{u}" for u in UTTERANCES]
    assert list(labels.speakers) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert all(find_file(tree / "v2", name) for name in labels.names)


def test_each_official_list_becomes_one_for_verification(tree):
    out = run(tree)
    names = [f"vox1_{key}{kind}.txt" for key in "oeh" for kind in ("", "_cleaned")]
    for name in names:
        trials = read_trial_list(out / name)
        assert trials.is_client.tolist() == [True, False, True, False]
        assert all(find_file(tree / "v1", utterance) for utterance in trials.utterances)
    assert read_fields(out / "vox1_e.txt")[1] == [
        "0",
        f"vox1_dev_wav/wav/id10001/{UTTERANCES[0]}",
        f"vox1_test_wav/wav/id10270/{UTTERANCES[0]}",
    ]
    speakers = find_speakers(read_trial_list(out / "vox1_e.txt"), out / "vox1_speakers.txt")
    assert speakers.names == ["id10001", "id10270"]


def test_the_training_chooses_by_the_cleaned_trials_of_the_test_speakers(tree):
    write(tree / "l" / "veri_test2.txt", *trials_of(*TEST)[:2])
    out = run(tree)
    trials = read_trials(out / "valid_clients.txt", out / "valid_impostors.txt")
    assert len(trials) == 2
    assert {name.split("/")[2] for name in trials.utterances} == set(TEST)


@pytest.mark.parametrize(
    "place", [".", "wav", "vox1/wav", "vox1_test_wav/wav", "a/b/c/wav", "test/wav"]
)
def test_layouts_of_voxceleb1(tmp_path, place):
    vox(tmp_path / "v1", DEV + TEST, place, ".flac")
    write(tmp_path / "l" / "veri_test2.txt", *trials_of(*TEST))
    out = run(tmp_path, "--train", "vox1")
    assert speakers_of(out) == list(DEV)  # the test speakers are left out, wherever they are
    for _, *pair in read_fields(out / "vox1_o_cleaned.txt"):
        assert all(find_file(tmp_path / "v1", name) for name in pair)


@pytest.mark.parametrize("place", [".", "aac", "dev/aac", "wav", "vox2_dev_aac/dev/aac"])
def test_layouts_of_voxceleb2(tmp_path, place):
    vox(tmp_path / "v2", VOX2, place)
    out = run(tmp_path)
    names = read_labels(out / "train_labels.txt").names
    assert len(names) == 9 and all(find_file(tmp_path / "v2", name) for name in names)


def test_extensions_in_capitals_and_links(tmp_path):
    vox(tmp_path / "disk", VOX2[:2], extension=".WAV")
    vox(tmp_path / "disk", VOX2[2:], "other", ".FLAC")
    (tmp_path / "v2").mkdir()
    (tmp_path / "v2" / "wav").symlink_to(tmp_path / "disk" / "wav")
    (tmp_path / "v2" / VOX2[2]).symlink_to(tmp_path / "disk" / "other" / VOX2[2])
    names = read_labels(run(tmp_path) / "train_labels.txt").names
    assert len(names) == 9 and all(find_file(tmp_path / "v2", name) for name in names)


def test_what_is_no_recording_is_left_out(tmp_path):
    vox(tmp_path / "v2", VOX2)
    touch(tmp_path / "v2", *(f"txt/id00012/aBc/0000{n}.txt" for n in range(3)))
    touch(tmp_path / "v2", "wav/id00012/aBc-_1/._00001.wav", "mp4/id00033/aBc/00001.mp4")
    assert speakers_of(run(tmp_path)) == list(VOX2)
    assert len(read_labels(tmp_path / "out" / "train_labels.txt").names) == 9


def test_a_recording_that_is_there_twice_is_taken_once(tmp_path, capsys):
    vox(tmp_path / "v2", VOX2, "dev/aac")
    vox(tmp_path / "v2", VOX2[:1], "dev/wav", ".flac")
    vox(tmp_path / "v2", VOX2, "dev/aac", ".m4a")
    out = run(tmp_path)
    assert len(read_labels(out / "train_labels.txt").names) == 9
    assert "3 recordings are there twice" in capsys.readouterr().out


def test_the_test_part_of_voxceleb2_is_left_out_by_its_folder_or_by_the_table(tmp_path):
    vox(tmp_path / "v2", VOX2, "dev/aac")
    vox(tmp_path / "v2", ["id00017"], "vox2_test_aac/aac")
    vox(tmp_path / "v2", ["id00061"], "dev/aac")
    assert speakers_of(run(tmp_path)) == sorted([*VOX2, "id00061"])
    rows = ["VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set ", "id00012 ,n000012 ,m ,dev "]
    write(tmp_path / "l" / "vox2_meta.csv", *rows, "id00061 ,n000061 ,f ,test ")
    assert speakers_of(run(tmp_path)) == list(VOX2)


def test_both_corpora_below_the_folder_that_they_share(tree):
    out = run(tree, "--train", "both")
    labels = read_labels(out / "train_labels.txt")
    assert speakers_of(out) == [*VOX2, *DEV]
    assert labels.names[0] == f"v2/dev/aac/id00012/{UTTERANCES[0]}"
    assert labels.names[-1] == f"v1/vox1_dev_wav/wav/id11251/{UTTERANCES[-1]}"
    assert json.loads((out / "data_dirs.json").read_text()) == {
        "train_data_dir": str(tree),
        "valid_data_dir": str(tree / "v1"),
    }


def test_trials_of_speakers_to_train_on_are_left_out_and_refused(tree, capsys):
    run(tree)
    out = run(tree, "--train", "vox1")
    lists = {path.name for path in out.glob("vox1_?*.txt")}
    assert lists == {"vox1_o.txt", "vox1_o_cleaned.txt", "vox1_speakers.txt"}
    assert "E and -H are left out: they are of speakers to train on" in capsys.readouterr().out
    with pytest.raises(InputError, match="--trials E H: these trials are of the speakers"):
        run(tree, "--train", "both", "--trials", "E", "O", "H")


def test_chosen_lists_only(tree):
    out = run(tree, "--trials", "H", "--train", "none")
    assert {path.name for path in out.iterdir()} >= {"vox1_h.txt", "valid_clients.txt"}
    assert not (out / "vox1_o.txt").exists() and not (out / "train_labels.txt").exists()


def test_prints_what_was_published_and_the_next_commands(tree, capsys, monkeypatch):
    monkeypatch.chdir(commands.ROOT)
    out = run(tree)
    printed = capsys.readouterr().out
    v2 = tree / "v2"
    assert f"VoxCeleb2 dev ({v2}): 9 utterances of 3 speakers (published: 1,092,009 of 5,994)" in (
        printed
    )
    assert f"{out}/vox1_e_cleaned.txt: 4 trials (published: 579,818)" in printed
    train, verify = (shlex.split(line) for line in printed.splitlines() if "recipes/" in line)
    assert train[:3] == ["python", "recipes/train_vgg.py", "hparams/vgg.yaml"]
    options = dict(zip(train[3::2], train[4::2], strict=True))
    assert options["--train_data_dir"] == str(v2)
    assert options["--valid_impostors"] == f"{out}/valid_impostors.txt"
    assert all(Path(commands.ROOT, train[place]).is_file() for place in (1, 2, 4))
    lists = [verify[place + 1] for place, word in enumerate(verify) if word == "--trials"]
    assert lists == [f"{out}/vox1_{key}_cleaned.txt" for key in "oeh"]


def test_what_is_missing_is_counted_and_named(tree):
    (tree / "v1" / "vox1_test_wav/wav/id10270" / f"{UTTERANCES[0]}.wav").unlink()
    check_refusal(
        tree,
        f"VoxCeleb2 dev ({tree}/v2): 5,991 speakers and 1,092,000 utterances are missing",
        f"{tree}/l/veri_test2.txt: has 4 trials, but 37,611 are published: download it again",
        f"{tree}/v1: 1 utterances of {tree}/l/veri_test.txt are not there: "
        f"id10270/{UTTERANCES[0]} (--trials leaves lists out)",
        "--allow_missing goes on with what is there",
        allow=False,
    )
    out = run(tree)
    assert len(read_fields(out / "vox1_o.txt")) == 2


def test_a_list_without_trials_of_both_kinds_is_left_out(tree):
    for utterance in UTTERANCES[:2]:
        (tree / "v1" / "vox1_test_wav/wav/id10270" / f"{utterance}.wav").unlink()
    out = run(tree)
    assert not (out / "vox1_o.txt").exists()  # one client trial was left
    assert (out / "vox1_e.txt").exists()


def test_missing_speakers_of_voxceleb1_are_named(tree):
    with pytest.raises(InputError) as raised:
        run(tree, "--train", "vox1", allow=False)
    assert "VoxCeleb1 dev: nothing of id10003, id10004, " in str(raised.value)
    assert " and 1,198 more" in str(raised.value)


@pytest.mark.parametrize(
    "line, message",
    [
        ("1 id00012/a/00001.wav id10270/b/00001.wav", "'id00012/a/00001.wav' is no utterance of"),
        (
            "1 voices/1.wav voices/2.wav",
            "'voices/1.wav' is no utterance of VoxCeleb1: expected id1",
        ),
        ("id10270/a/1.wav id10270/b/1.wav target", "label 'id10270/a/1.wav' is neither 1 nor 0"),
        ("id10270/a/1.wav id10270/b/1.wav", "expected 3 fields, 'LABEL PATH PATH', but found 2"),
    ],
)
def test_a_list_of_another_corpus(tree, line, message):
    write(tree / "l" / "list_test_all.txt", *trials_of(*TEST), line)
    check_refusal(tree, f"{tree}/l/list_test_all.txt:5: {message}")


def test_an_empty_list(tree):
    (tree / "l" / "veri_test.txt").write_text("")
    check_refusal(tree, f"{tree}/l/veri_test.txt: is empty")


def test_without_lists(tree):
    for path in (tree / "l").iterdir():
        path.unlink()
    check_refusal(tree, f"{tree}/l: there is no list of VoxCeleb1-E, -H, -O (veri_test2.txt, ")
    write(tree / "l" / "veri_test.txt", *trials_of(*TEST))
    message = "there is no list of VoxCeleb1-H (list_test_hard2.txt, list_test_hard.txt): download"
    check_refusal(tree, message, options=["--trials", "O", "H"])
    run(tree)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--vox2_dir", "{}/l"], "/l: there is nothing of VoxCeleb2 dev: expected recordings such"),
        (["--vox2_dir", "{}/v1"], "/v1: there is nothing of VoxCeleb2 dev"),
        (
            ["--vox1_dir", "{}/v2"],
            "/v2: there is nothing of VoxCeleb1: expected recordings such as",
        ),
        (["--vox1_dir", "{}/cn"], "/cn: there is nothing of VoxCeleb1"),
        (["--vox1_dir", "{}/none"], "/none: is not a folder"),
    ],
)
def test_a_folder_that_is_not_the_corpus(tree, options, message):
    touch(tree / "cn", "data/id10001/singing-01-001.flac")  # CN-Celeb2 has such speakers, too
    check_refusal(tree, message, options=[option.format(tree) for option in options])


@pytest.mark.parametrize(
    "options, message",
    [
        (["--out_dir", "o"], "give --vox1_dir, --vox2_dir, or both"),
        (["--out_dir", "o", "--vox2_dir", "v", "--train", "both"], "both: give --vox1_dir, too"),
        (["--out_dir", "o", "--vox1_dir", "v", "--train", "vox2"], "vox2: give --vox2_dir, too"),
        (["--out_dir", "o", "--vox2_dir", "v", "--trials", "O"], "--trials are of VoxCeleb1"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(InputError, match=message):
        voxceleb.main(options)


def test_only_one_speaker(tmp_path):
    check_refusal(Path(vox(tmp_path / "v2", VOX2[:1])).parent, "has only one speaker")


def test_a_shared_folder_with_a_blank_in_its_name(tmp_path):
    tree = tmp_path / "my data"
    vox(tmp_path / "v1", DEV + TEST)
    vox(tree, VOX2)
    write(tmp_path / "l" / "veri_test.txt", *trials_of(*TEST))
    options = ["--vox2_dir", str(tree), "--train", "both"]
    check_refusal(tmp_path, f"{tree}/wav/id00012/{UTTERANCES[0]}: holds a blank", options=options)
    run(tmp_path, *options[:2])  # its own folder may have one


def test_a_place_that_cannot_be_written(tree):
    (tree / "file").touch()
    with pytest.raises(InputError, match="/file/out: can't be written"):
        run(tree, "--out_dir", str(tree / "file" / "out"))
