"""recipes/enrol.py and recipes/recognise.py from end to end."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from corpora import as_arguments, write_coloured_noise
from exports import make_model_dir, own_embeddings
from runs import run_apart

from local.embeddings.people import read_people
from local.errors import InputError
from local.evaluation.calibration import Calibration
from local.evaluation.decision import of_calibration, write_decision
from local.export.trained import read_trained, write_model_dir
from local.model_files.model_dir import load_model
from local.scoring.cosine import unit_length

ROOT = Path(__file__).resolve().parents[2]
YAML = {name: str(ROOT / "hparams" / f"{name}.yaml") for name in ("enrol", "recognise")}


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    return make_model_dir(tmp_path_factory.mktemp("model") / "model", width=8)


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    """Recordings a0, a1, ... whose embeddings differ."""
    folder = tmp_path_factory.mktemp("audio")
    for number in range(6):
        write_coloured_noise(folder / f"a{number}.wav", seed=number, seconds=0.4 + 0.1 * number)
    return folder


@pytest.fixture
def people(tmp_path):
    return tmp_path / "people.npz"


def run(name, model_dir, people, *arguments, **settings):
    settings = {"model_dir": model_dir, "people": people} | settings
    main = runpy.run_path(str(ROOT / "recipes" / f"{name}.py"))["main"]
    main([YAML[name], *as_arguments(settings), *map(str, arguments)])


def enrol(*arguments, **settings):
    run("enrol", *arguments, **settings)


def recognised(capsys, *arguments, **settings):
    """What recognise.py says as JSON."""
    capsys.readouterr()
    run("recognise", *arguments, "--json", **settings)
    return json.loads(capsys.readouterr().out)


def paths(audio, *numbers):
    return [audio / f"a{number}.wav" for number in numbers]


def unit_mean(model_dir, files):
    mean = own_embeddings(model_dir, files).numpy().mean(axis=0, keepdims=True)
    return unit_length(mean, ["mean"])[0]


def without_cautions(printed):
    """The lines that go to the standard output: the cautions are written between, or before."""
    return [line for line in printed.splitlines() if not line.startswith("Caution")]


def test_both_from_another_directory(model_dir, audio, people):
    command = [YAML["enrol"], "--model_dir", model_dir, "--name", "Anna Ek"]
    code, printed = run_apart("enrol.py", [*command, *paths(audio, 0, 1)], people.parent)
    assert code == 0, printed
    assert without_cautions(printed) == ["Anna Ek: 2 utterances", "people.npz: 1 enrolled"]
    assert "a0.wav has 0.37 s of speech" in printed
    assert [path.name for path in people.parent.iterdir()] == ["people.npz"]
    command = [YAML["recognise"], "--model_dir", model_dir, "--threshold", "0.999999"]
    code, printed = run_apart("recognise.py", [*command, *paths(audio, 0, 3)], people.parent)
    assert code == 0, printed
    lines = without_cautions(printed)
    assert lines[2:] == [
        "",
        "With 1 enrolled, one of them from a cosine of 1.0000 on: by the value that was given.",
    ]
    expected = unit_mean(model_dir, paths(audio, 0, 1))
    cosines = unit_length(own_embeddings(model_dir, paths(audio, 0, 3)).numpy(), "ab") @ expected
    for line, path, cosine in zip(lines[:2], paths(audio, 0, 3), cosines, strict=True):
        assert line == f"{path}: nobody, nearest Anna Ek {cosine:.4f}"


def test_the_nearest_first_and_nobody_below_the_threshold(model_dir, audio, people, capsys):
    for name, numbers in (("anna", (0, 1)), ("boris", (2,)), ("carl", (3, 4))):
        enrol(model_dir, people, "--name", name, *paths(audio, *numbers))
    said = recognised(capsys, model_dir, people, *paths(audio, 2, 5), num_names=2)
    assert said["threshold"] == 0.375  # of the validation
    first, second = said["recordings"]
    assert first["recording"] == str(audio / "a2.wav") and first["name"] == "boris"
    assert first["nearest"][0] == {
        "name": "boris",
        "cosine": pytest.approx(1.0, abs=1e-5),
        "llr": None,
    }
    groups = {"anna": (0, 1), "boris": (2,), "carl": (3, 4)}
    test = unit_mean(model_dir, paths(audio, 5))
    cosines = {n: test @ unit_mean(model_dir, paths(audio, *g)) for n, g in groups.items()}
    best = sorted(cosines, key=cosines.get, reverse=True)[:2]
    assert [near["name"] for near in second["nearest"]] == best
    for near in second["nearest"]:
        assert near["cosine"] == pytest.approx(cosines[near["name"]], abs=1e-5)
    low, high = cosines[best[0]] - 1e-4, cosines[best[0]] + 1e-4
    for threshold, name in ((low, best[0]), (high, None)):
        said = recognised(capsys, model_dir, people, *paths(audio, 5), threshold=threshold)
        assert said["recordings"][0]["name"] == name


def test_enrolling_adds_replaces_lists_and_removes(model_dir, audio, people, capsys):
    enrol(model_dir, people, *paths(audio, 0), "--name", "anna")
    enrol(model_dir, people, "--name", "boris", *paths(audio, 3))
    enrol(model_dir, people, "--name", "anna", *paths(audio, 1, 2))
    found = read_people(people)
    raw = own_embeddings(model_dir, paths(audio, 0, 1, 2)).numpy()
    np.testing.assert_allclose(found.embeddings[0], raw.mean(axis=0), atol=1e-4)
    enrol(model_dir, people, "--replace", "--name", "boris", *paths(audio, 4, 5))
    capsys.readouterr()
    enrol("no model is needed", people, "--list")
    assert capsys.readouterr().out.splitlines() == [
        "anna: 3 utterances",
        "boris: 2 utterances",
        f"{people}: 2 enrolled",
    ]
    raw = own_embeddings(model_dir, paths(audio, 4, 5)).numpy()
    np.testing.assert_allclose(read_people(people).embeddings[1], raw.mean(axis=0), atol=1e-4)
    with pytest.raises(InputError, match="no 'ana' among the people .do you mean anna"):
        enrol(model_dir, people, "--remove", "boris", "--remove", "ana")
    enrol(model_dir, people, "--remove", "anna")
    assert read_people(people).names == ["boris"]
    enrol(model_dir, people, "--remove", "boris")
    with pytest.raises(InputError, match="people.npz: there is nobody in it"):
        run("recognise", model_dir, people, *paths(audio, 0))


def test_a_list_enrols_many_and_speakers_measure(model_dir, audio, people, tmp_path, capsys):
    (tmp_path / "models.txt").write_text("anna a0 a1\nboris a2\n")
    enrol(model_dir, people, enrol_models=tmp_path / "models.txt", data_dir=audio)
    one_by_one = tmp_path / "other.npz"
    enrol(model_dir, one_by_one, "--name", "anna", *paths(audio, 0, 1))
    enrol(model_dir, one_by_one, "--name", "boris", *paths(audio, 2))
    found, expected = read_people(people), read_people(one_by_one)
    assert found.names == expected.names and found.model == expected.model
    np.testing.assert_allclose(found.embeddings, expected.embeddings, atol=1e-4)
    (tmp_path / "speakers.txt").write_text("a0 anna\na2 boris\na3 boris\na4 dora\na5 dora\n")
    (tmp_path / "tests.txt").write_text("a0\na2\na4\n")
    settings = {"data_dir": audio, "speakers": tmp_path / "speakers.txt", "threshold": 0.0}
    said = recognised(capsys, model_dir, people, tmp_path / "tests.txt", **settings)
    figures = said["figures"]
    assert (figures["num_known"], figures["num_unknown"]) == (2, 1)
    assert figures["identification_percent"] == 100.0 and figures["miss_percent"] == 0.0
    dora = said["recordings"][2]
    assert figures["false_alarm_percent"] == (0.0 if dora["name"] is None else 100.0)
    run("recognise", model_dir, people, tmp_path / "tests.txt", **settings)
    assert "Right person is the nearest  100.000 %" in capsys.readouterr().out


def test_with_a_calibration_the_threshold_rises_with_the_number_of_people(
    audio, people, tmp_path, capsys
):
    model_dir = make_model_dir(tmp_path / "model", width=8)
    decision = of_calibration(Calibration({"score": 10.0}, -4.0, 0.05, (), {}))
    write_decision(load_model(model_dir), decision)
    enrol(model_dir, people, "--name", "anna", *paths(audio, 0))
    first = recognised(capsys, model_dir, people, *paths(audio, 0))
    enrol(model_dir, people, "--name", "boris", *paths(audio, 1))
    second = recognised(capsys, model_dir, people, *paths(audio, 0), p_target=0.9)
    assert first["threshold"] == pytest.approx(0.4)
    assert second["threshold"] == pytest.approx((4 + np.log(2) - np.log(9)) / 10)
    anna = first["recordings"][0]["nearest"][0]
    assert anna["cosine"] == pytest.approx(1.0, abs=1e-5)
    assert anna["llr"] == pytest.approx(6.0, abs=1e-3)
    capsys.readouterr()
    run("recognise", model_dir, people, *paths(audio, 0))
    assert ": anna 1.0000 (LLR +6.0), then boris " in capsys.readouterr().out


def test_without_any_threshold_nobody_is_ruled_out(audio, people, tmp_path, capsys):
    model_dir = make_model_dir(tmp_path / "model", width=8)
    (weights,) = model_dir.glob("model_*.pt")
    torch.save(torch.load(weights, weights_only=True) | {"threshold": None}, weights)
    enrol(model_dir, people, "--name", "anna", *paths(audio, 0))
    said = recognised(capsys, model_dir, people, *paths(audio, 0))
    assert said["threshold"] is None and said["recordings"][0]["name"] is None
    run("recognise", model_dir, people, *paths(audio, 0))
    printed = capsys.readouterr().out
    assert printed.startswith(f"{audio / 'a0.wav'}: nearest anna 1.0000\n\nThe nearest people")
    assert "neither a calibration nor a threshold" in printed


def test_an_export_knows_the_people_of_its_model(model_dir, audio, people, tmp_path, capsys):
    enrol(model_dir, people, "--name", "anna", *paths(audio, 0))
    (tmp_path / "export").mkdir()
    write_model_dir(read_trained(model_dir), tmp_path / "export")
    said = recognised(capsys, tmp_path / "export", people, *paths(audio, 0))
    assert said["recordings"][0]["name"] == "anna"


# Wrong input


def test_another_model_is_refused_before_the_work(model_dir, audio, people, tmp_path, monkeypatch):
    other = make_model_dir(tmp_path / "other", seed=1, width=8)
    enrol(model_dir, people, "--name", "anna", *paths(audio, 0))
    monkeypatch.setattr("local.embeddings.embed.embed_batch", None)
    for name, arguments in (("enrol", ["--name", "boris"]), ("recognise", [])):
        with pytest.raises(InputError, match="people.npz: has the people of another model"):
            run(name, other, people, *arguments, *paths(audio, 1))


def test_what_cannot_be_used_is_named_and_the_rest_done(model_dir, audio, people, tmp_path, capsys):
    (tmp_path / "noise.wav").write_bytes(b"no audio")
    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 16000)
    bad = [tmp_path / "noise.wav", tmp_path / "silent.wav", tmp_path / "none.wav"]
    with pytest.raises(InputError) as raised:
        enrol(model_dir, people, "--name", "anna", bad[0], *paths(audio, 0), *bad[1:])
    problems = (
        "noise.wav can't be read as audio",
        "silent.wav: is digital silence",
        "there is no audio file .*none.wav",
    )
    for problem in problems:
        raised.match(problem)
    assert "3 failed:" in capsys.readouterr().err
    assert read_people(people).num_utterances.tolist() == [1]
    with pytest.raises(InputError) as raised:
        run("recognise", model_dir, people, *bad, *paths(audio, 0), "--json")
    for problem in problems:
        raised.match(problem)
    (answer,) = json.loads(capsys.readouterr().out)["recordings"]
    assert answer["name"] == "anna"


def test_nobody_is_enrolled_by_silence(model_dir, audio, people, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 16000)
    with pytest.raises(InputError, match="silent.wav: is digital silence[^$]*anna: gets no utt"):
        enrol(model_dir, people, "--name", "anna", tmp_path / "silent.wav")
    assert not people.exists()
    enrol(model_dir, people, "--name", "anna", *paths(audio, 0))
    with pytest.raises(InputError, match="is digital silence"):
        enrol(model_dir, people, "--replace", "--name", "anna", tmp_path / "silent.wav")
    assert read_people(people).num_utterances.tolist() == [1]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--name", "anna"], "give --name NAME and recordings"),
        (["a0.wav"], "give --name NAME and recordings"),
        (["--name", "anna", "--enrol_models", "l.txt"], "or --enrol_models FILE"),
        (["--name", "a\tb", "a0.wav"], "'a.tb': has characters that can't be shown"),
        (["--name", "anna", "b.txt"], "b.txt: there is no such list, folder or audio file"),
        (["--remove", "anna"], "people.npz: there is no such file of people"),
        (["--list"], "people.npz: there is no such file of people"),
        (["--nmae", "anna", "a0.wav"], "nmae: .*enrol.yaml has no such setting .*name"),
    ],
)
def test_wrong_arguments_of_enrolment(model_dir, audio, people, arguments, message, monkeypatch):
    monkeypatch.chdir(audio)
    with pytest.raises(InputError, match=message):
        enrol(model_dir, people, *arguments)
    assert not people.exists()


@pytest.mark.parametrize(
    "lines, message",
    [
        ("anna a0\nanna a1\n", "models.txt:2: model 'anna' is already on line 1"),
        ("anna a0 a1\nboris a1\n", "models.txt:2: 'a1' is already of 'anna'"),
        ("anna\n", "models.txt:1: model 'anna' has no utterances"),
        ("anna\x1b[2J a0\n", "models.txt:1: 'anna.x1b.2J' has characters that can't be shown"),
        ("", "models.txt: is empty"),
    ],
)
def test_wrong_lists_of_people(model_dir, audio, people, tmp_path, lines, message):
    (tmp_path / "models.txt").write_text(lines)
    with pytest.raises(InputError, match=message):
        enrol(model_dir, people, enrol_models=tmp_path / "models.txt", data_dir=audio)
    assert not people.exists()


def test_wrong_arguments_of_recognition(model_dir, audio, people):
    with pytest.raises(InputError, match="give recordings, or a folder or list of them"):
        run("recognise", model_dir, people)
    with pytest.raises(InputError, match="people.npz: there is no such file of people"):
        run("recognise", model_dir, people, *paths(audio, 0))
    with pytest.raises(InputError, match="threshold must be a number from -1 to 1"):
        run("recognise", model_dir, people, *paths(audio, 0), threshold=30)
