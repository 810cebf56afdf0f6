"""recipes/verify.py: back-ends, enrolment and calibration by setting, and score files again."""

import itertools
import json
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpora import TINY, as_arguments, write_corpus

from local.data.manifest_files import read_manifest
from local.embeddings import embed as embedding
from local.errors import InputError
from local.evaluation import calibration
from local.evaluation.decision import read_decision
from local.model_files.model_dir import load_model
from local.report import outputs
from local.scoring.score_files import read_scores

ROOT = Path(__file__).resolve().parents[2]


def run(name, yaml_name, settings):
    """Runs a script in this process."""
    yaml_path = str(ROOT / "hparams" / yaml_name)
    main = runpy.run_path(str(ROOT / "recipes" / f"{name}.py"))["main"]
    main([yaml_path, "--noprogressbar", *as_arguments(settings)])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Six speakers to train on, two for the trials."""
    return write_corpus(tmp_path_factory.mktemp("corpus"), num_speakers=8)


@pytest.fixture(scope="module")
def model_dir(corpus, tmp_path_factory):
    out_dir = tmp_path_factory.mktemp("model")
    settings = {"width": 32, "pooling": "statistics", "augment": False, "max_masked_mels": 0}
    # Validated at its end alone: after a few updates, all embeddings may still be the same.
    settings |= {"number_of_epochs": 1, "validate_every": 120, "average_decay": 0}
    run("train_vgg", "vgg.yaml", TINY | corpus | settings | {"out_dir": out_dir})
    return out_dir


@pytest.fixture
def drawn():
    """A test that asks for this gets the pictures of a verification."""


@pytest.fixture(autouse=True)
def pictures_if_drawn(request, monkeypatch):
    """Drawing takes most of the time of a verification; most tests don't look at pictures."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(outputs, "_pictures", lambda *_: [])


def run_verification(corpus, model_dir, output_dir, **settings):
    trials = {key: value for key, value in corpus.items() if key.startswith("valid")}
    fixed = {"device": "cpu", "model_dir": model_dir, "output_dir": output_dir}
    run("verify", "verify.yaml", trials | fixed | settings)
    return output_dir, read_metrics(output_dir)


@pytest.fixture
def verify(corpus, model_dir, tmp_path):
    """Verifies with more settings: the output directory, and its metrics.json."""

    def call(name="out", **settings):
        return run_verification(corpus, model_dir, tmp_path / name, **settings)

    return call


@pytest.fixture(scope="module")
def by_default(corpus, model_dir, tmp_path_factory):
    """What verification with the default settings gives, once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outputs, "_pictures", lambda *_: [])
        return run_verification(corpus, model_dir, tmp_path_factory.mktemp("default") / "out")


@pytest.fixture
def verified(by_default, tmp_path):
    """A copy of it, to work on."""
    output_dir, metrics = by_default
    return shutil.copytree(output_dir, tmp_path / "out"), metrics


def read_metrics(output_dir):
    return json.loads((output_dir / "metrics.json").read_text())


def test_everything_is_written(verify, drawn, capsys):
    output_dir, metrics = verify()
    names = {path.name for path in output_dir.iterdir() if path.suffix != ".npz"}
    pictures = {f"{n}.{end}" for n in ("det", "scores", "calibration") for end in ("png", "pdf")}
    texts = {"scores.txt", "quality.txt", "metrics.json", "report.html", "utterances.csv"}
    assert names == pictures | texts | {"warnings.txt"}
    printed = capsys.readouterr().out
    for key in ("eer_percent", "eer_hull_percent"):
        assert f"{metrics[key]:.3f} %" in printed
    for key in ("min_dcf_0.01", "act_dcf_0.05", "cllr", "min_cllr"):
        assert f"{metrics[key]:.4f}" in printed
    assert "note: No intervals: the trials have 2 speakers" in printed
    report = (output_dir / "report.html").read_text()
    assert f"{metrics['eer_percent']:.3f}" in report and "model_0" in report
    assert report.count("data:image/svg+xml") >= 4  # three pictures and training curves
    assert ".wav" in report


def trials_of_trained_speakers(folder):
    """Trials of speakers that even a tiny model can tell apart: clients have the higher cosines."""
    names = [[f"s{speaker}/u.{index}" for index in range(4)] for speaker in range(6)]
    clients = [pair for one in names for pair in itertools.combinations(one, 2)]
    two = itertools.combinations(names, 2)
    impostors = [pair for sides in two for pair in itertools.product(*sides)]
    for name, pairs in {"clients": clients, "impostors": impostors}.items():
        (folder / name).write_text("".join(f"{one} {other}\n" for one, other in pairs))
    return {f"valid_{name}": str(folder / name) for name in ("clients", "impostors")}


def test_the_model_decides_as_the_trials_say(corpus, model_dir, tmp_path, capsys):
    model_dir, output_dir = shutil.copytree(model_dir, tmp_path / "model"), tmp_path / "out"
    corpus = corpus | trials_of_trained_speakers(tmp_path)
    run_verification(corpus, model_dir, output_dir, keep_calibration=True)
    printed = capsys.readouterr().out
    assert f"Decision: {model_dir}/decision.json" in printed
    decision = read_decision(load_model(model_dir))
    trials, scores = read_scores(output_dir / "scores.txt")
    learnt = calibration.fit(scores[:, None].astype(float), trials.is_client, 0.5)
    assert decision.calibration.weights == pytest.approx(learnt.weights)
    assert decision.threshold == pytest.approx(-learnt.offset / learnt.weights["score"])
    # One that was learnt elsewhere is kept as it is.
    path = output_dir / "calibration.json"
    calibration.save(path, calibration.Calibration({"score": 9.0}, -4.5, 0.01, (), {}))
    run_verification(corpus, model_dir, output_dir, keep_calibration=True, calibration=path)
    assert read_decision(load_model(model_dir)).calibration == calibration.load(path)


@pytest.mark.parametrize(
    "settings",
    [
        {"score_norm": "s"},
        {"subtract_mean": True},
        {"num_crops": 2},
        {"scores": "scores.txt"},
        {"enrol_models": "models.txt"},
    ],
)
def test_a_model_decides_by_cosines_alone(verify, settings):
    with pytest.raises(InputError, match="keep_calibration: a model decides by the cosine of two"):
        verify(keep_calibration=True, **settings)


SYSTEMS = [
    {"subtract_mean": True},
    {"score_norm": "as", "top_n": 5},
    {"score_norm": "z", "cohort_kind": "speakers"},
    {"backend": "plda", "plda_rank": 3, "score_norm": "s", "cohort_size": 20},
    {"num_crops": 3, "crop_seconds": 0.5},
]


@pytest.mark.parametrize("settings", SYSTEMS, ids=lambda settings: next(iter(settings)))
def test_systems_differ_from_the_cosine(verify, by_default, settings):
    expected, _ = by_default
    output_dir, _ = verify("system", bootstrap_draws=0, **settings)
    trials, scores = read_scores(output_dir / "scores.txt")
    others, cosines = read_scores(expected / "scores.txt")
    assert trials.utterances == others.utterances and np.isfinite(scores).all()
    assert np.abs(scores - cosines).max() > 1e-3
    has_cohort = "num_crops" not in settings
    quality = (output_dir / "quality.txt").read_text().splitlines()[1:]
    assert all(line.endswith(" -") != has_cohort for line in quality)


def test_cohort_is_of_the_training_speakers(verify):
    output_dir, _ = verify(score_norm="s", cohort_size=8)
    rows = list(read_manifest(output_dir / "cohort.csv"))
    assert len(rows) == 8 and {row["spk_id"] for row in rows} == set("012345")


def test_a_small_cohort_is_said_and_taken(verify, caplog):
    verify(score_norm="as", top_n=1000)
    assert "The cohort has 24 members, fewer than top_n (1000)" in caplog.text


@pytest.mark.parametrize("enrol_mean", ["embeddings", "scores"])
def test_models_of_several_utterances(verify, tmp_path, enrol_mean):
    models = tmp_path / "models.txt"
    models.write_text("six s6/u.0 s6/u.1\nseven s7/u.0 s7/u.1 s7/u.2\n")
    trials = tmp_path / "trials.txt"
    pairs = [
        (m, f"s{s}/u.3", m == n) for m in ("six", "seven") for s, n in ((6, "six"), (7, "seven"))
    ]
    trials.write_text("".join(f"{m} {t} {'target' if c else 'nontarget'}\n" for m, t, c in pairs))
    output_dir, metrics = verify(
        enrol_models=models, trials=trials, enrol_mean=enrol_mean, score_norm="as", top_n=7
    )
    assert metrics["num_trials"] == 4 and metrics["num_speakers"] == 2
    assert metrics["speakers_from"] == "the first folder"
    read, _ = read_scores(output_dir / "scores.txt")
    assert read.utterances[read.enrol[0]] == "six"
    seconds = dict(line.split()[:2] for line in (output_dir / "quality.txt").open())
    assert float(seconds["six"]) == pytest.approx(1.0 + 1.125)


def test_score_files_again(verified):
    output_dir, metrics = verified
    before = (output_dir / "scores.txt").read_bytes()
    run("verify", "verify.yaml", {"scores": output_dir / "scores.txt"})
    again = read_metrics(output_dir)
    assert again == metrics
    assert (output_dir / "scores.txt").read_bytes() == before
    assert ".wav" in (output_dir / "report.html").read_text()


def test_score_files_compared(verify, by_default, drawn, tmp_path):
    first = shutil.copytree(by_default[0], tmp_path / "first")
    second, _ = verify("second", subtract_mean=True)
    arguments = [str(ROOT / "hparams" / "verify.yaml"), "--output_dir", str(tmp_path / "both")]
    for folder in (first, second):
        arguments += ["--scores", str(folder / "scores.txt")]
    runpy.run_path(str(ROOT / "recipes" / "verify.py"))["main"](arguments)
    metrics = read_metrics(tmp_path / "both")
    assert metrics["systems"]["first"] == read_metrics(first)
    assert metrics["systems"]["second"] == read_metrics(second)
    names = {path.name for path in (tmp_path / "both").iterdir()}
    assert {"det.png", "scores_1.pdf", "calibration_2.png", "report.html"} <= names


def test_calibration_is_learnt_and_applied(verify, verified, tmp_path):
    output_dir, _ = verified
    run("calibrate", "calibrate.yaml", {"scores": output_dir / "scores.txt"})
    learnt = output_dir / "calibration.json"
    raw = (output_dir / "scores.txt").read_bytes()
    with_model, metrics = verify("calibrated", calibration=learnt)
    assert metrics["is_calibrated"] and (with_model / "scores.txt").read_bytes() == raw
    assert metrics["cllr"] < 1.0
    again = {"scores": output_dir / "scores.txt", "calibration": learnt}
    run("verify", "verify.yaml", again | {"output_dir": tmp_path / "again"})
    assert read_metrics(tmp_path / "again") == metrics
    llrs = [read_scores(folder / "llrs.txt")[1] for folder in (with_model, tmp_path / "again")]
    np.testing.assert_array_equal(*llrs)
    run("verify", "verify.yaml", {"scores": with_model / "llrs.txt", "are_llrs": True})
    assert read_metrics(with_model) == metrics


def test_quality_measures_of_the_cohort_are_asked_for(verify, tmp_path):
    output_dir, _ = verify("normed", score_norm="as")
    settings = {"scores": output_dir / "scores.txt", "quality": "[log_seconds, cohort_mean]"}
    run("calibrate", "calibrate.yaml", settings)
    learnt = output_dir / "calibration.json"
    _, metrics = verify("with", score_norm="as", calibration=learnt)
    assert metrics["is_calibrated"]
    with pytest.raises(InputError, match="cohort_mean"):
        verify("without", calibration=learnt)


def test_tables_of_conditions(verify, tmp_path):
    (tmp_path / "table.csv").write_text("speaker,sex\ns6,F\ns7,M\n")
    _, metrics = verify(speaker_table=tmp_path / "table.csv", duration_edges=1.2, p_targets=0.1)
    assert "min_dcf_0.1" in metrics and metrics["p_targets"] == [0.1]
    assert set(metrics["conditions"]) == {"sex", "shorter side"}
    rows = {row["name"]: row for row in metrics["conditions"]["sex"]}
    assert rows["cross sex"]["num_impostors"] == 16 and rows["F"]["num_clients"] == 3


def test_an_interrupted_verification_goes_on(verify, monkeypatch):
    settings = {"score_norm": "as", "top_n": 5, "bootstrap_draws": 0, "batch_seconds": 3.0}
    embed_batch, calls, stops = embedding.embed_batch, [], set()

    def stop(*arguments):
        calls.append(arguments)
        if len(calls) in stops:
            raise KeyboardInterrupt
        return embed_batch(*arguments)

    monkeypatch.setattr(embedding, "embed_batch", stop)
    expected, _ = verify("whole", **settings)
    num_batches = len(calls)
    calls.clear()
    # In the utterances of the trials, and in the cohort: each time, a batch is begun in vain.
    stops |= {2, num_batches + 1}
    for _ in stops:
        with pytest.raises(KeyboardInterrupt):
            verify("stopped", **settings)
    output_dir, _ = verify("stopped", **settings)
    assert len(calls) == num_batches + len(stops)
    for name in ("scores.txt", "quality.txt", "metrics.json"):
        assert (output_dir / name).read_bytes() == (expected / name).read_bytes()
    assert {path.name for path in output_dir.iterdir()} == {
        path.name for path in expected.iterdir()
    }


def test_silent_recordings(verify, corpus, tmp_path, caplog):
    audio = shutil.copytree(corpus["valid_data_dir"], tmp_path / "audio")
    soundfile.write(audio / "s6" / "u.1.wav", np.zeros(16000), 16000)
    soundfile.write(audio / "s7" / "u.2.wav", np.full(16000, 1e-3), 16000)
    with pytest.raises(InputError) as raised:
        verify(valid_data_dir=audio)
    message = str(raised.value)
    assert message.count("is digital silence") == 2 and "clients.txt:1: " in message
    assert "s6/u.1.wav" in message and "s7/u.2.wav" in message
    assert not (tmp_path / "out" / "scores.txt").exists()
    # A crop may be a pause.
    with caplog.at_level("WARNING"):
        verify(valid_data_dir=audio, num_crops=2, crop_seconds=0.5)
    assert "4 recordings are digital silence" in caplog.text


# Wrong input


def test_a_default_model_that_is_missing_is_told_how_to_train_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = r"results/vgg_demo: there is no model here; .*train_vgg.py \S*hparams/vgg.yaml"
    with pytest.raises(InputError, match=message):
        run("verify", "verify.yaml", {})
    with pytest.raises(InputError, match="other: no trained model here"):
        run("verify", "verify.yaml", {"model_dir": "other"})


def test_a_score_file_never_replaces_itself(verified, tmp_path):
    output_dir, _ = verified
    run("calibrate", "calibrate.yaml", {"scores": output_dir / "scores.txt"})
    llrs = tmp_path / "other" / "llrs.txt"
    llrs.parent.mkdir()
    llrs.write_bytes((output_dir / "scores.txt").read_bytes())
    settings = {"scores": llrs, "calibration": output_dir / "calibration.json"}
    with pytest.raises(InputError, match="llrs.txt: would be replaced"):
        run("verify", "verify.yaml", settings)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"backend": "lda"}, "backend is one of cosine, plda, not 'lda'"),
        ({"score_norm": "az"}, "score_norm is one of none, z, t, s, as, not 'az'"),
        ({"top_n": 0}, "top_n must be a whole number from 1 to .*, not 0"),
        ({"top_n": "all"}, "top_n must be a whole number from 1 to .*, not 'all'"),
        ({"cohort_size": 0}, "cohort_size must be a whole number from 1 to .*, or null, not 0"),
        ({"score_norm": "s", "cohort": "none.csv"}, "none.csv: can't be read"),
        ({"score_norm": "s", "cohort_size": 1}, "scores against the cohort are the same"),
        ({"backend": "plda", "cohort_size": 6}, "PLDA of embeddings with 8 values"),
        ({"calibration": "none.json"}, "none.json"),
        (
            {"p_targets": "[0.01, 1.5]"},
            r"p_targets must be a number above 0 and below 1, .*, not \[0.01, 1.5\]",
        ),
        ({"p_targets": "high"}, "p_targets must be a number above 0 and below 1"),
        ({"p_targets": "[0.5, 0.5]"}, "p_targets: expected different priors"),
        ({"c_miss": 0}, "c_miss must be a number above 0"),
        ({"group_edges": 5}, "group_edges is an object"),
        ({"duration_edges": "x"}, "duration_edges must be a number"),
        ({"duration_edges": "[4, 2]"}, "duration_edges: expected ascending numbers"),
        ({"group_edges": "{age: [.nan]}"}, "age: expected ascending numbers"),
        ({"bootstrap_draws": -3}, "bootstrap_draws"),
        ({"enrol_models": "none.txt"}, "none.txt: can't be read"),
        ({"speakers": "none.txt"}, "none.txt: can't be read"),
        ({"speaker_table": "none.csv"}, "none.csv: can't be read"),
        ({"num_crops": -1}, "num_crops"),
        ({"num_crops": 2, "crop_seconds": 0}, "crop_seconds"),
    ],
)
def test_wrong_settings_are_named(verify, settings, message):
    with pytest.raises(InputError, match=re.compile(message)):
        verify(**settings)


@pytest.mark.parametrize(
    "line, message",
    [
        ("a/1 b/1 nontarget", "scores.txt:2: expected 4 fields"),
        ("a/1 b/1 no 0.5", "scores.txt:2: label 'no' is neither"),
        ("a/1 b/1 nontarget nan", "scores.txt:2: score 'nan' is not a finite number"),
        ("a/1 b/1 nontarget -inf", "scores.txt:2: score '-inf' is not a finite number"),
        ("a/1 a/3 target 0.5", "scores.txt: has only client trials"),
    ],
)
def test_wrong_score_files_are_named(tmp_path, line, message):
    (tmp_path / "scores.txt").write_text(f"a/1 a/2 target 0.7\n{line}\n")
    with pytest.raises(InputError, match=message):
        run("verify", "verify.yaml", {"scores": tmp_path / "scores.txt"})
    assert [path.name for path in tmp_path.iterdir()] == ["scores.txt"]


def test_several_score_files_take_no_calibration(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text("x y target 1\nx z nontarget 0\n")
    content = {"weights": {"score": 1.0}, "offset": 0.0, "p_target": 0.5, "quality": []}
    (tmp_path / "c.json").write_text(json.dumps(content | {"learnt_on": {}}))
    arguments = [str(ROOT / "hparams" / "verify.yaml"), "--calibration", str(tmp_path / "c.json")]
    arguments += ["--scores", str(tmp_path / "a"), f"--scores={tmp_path / 'b'}"]
    with pytest.raises(InputError, match="calibration: it is for the scores of one system"):
        runpy.run_path(str(ROOT / "recipes" / "verify.py"))["main"](arguments)
