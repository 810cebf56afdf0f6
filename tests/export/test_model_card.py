"""The model card: front matter, and what is known of a run and its verification."""

import shutil

import pytest
from exports import make_model_dir, write_weights
from ruamel.yaml import YAML
from systems import drawn_scores, drawn_trials, make_system

from local.data.manifest_files import write_manifest
from local.errors import InputError
from local.evaluation.summary import write_json
from local.export.model_card import read_results, training_data, training_settings, write_card
from local.export.trained import read_trained, write_model_dir
from local.report.outputs import metrics_of

INTERVALS = {"eer_percent": [2.5, 8.25], "min_dcf_0.01": [0.2, 0.6]}


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    return make_model_dir(
        tmp_path_factory.mktemp("made") / "model", train_data_dir="/home/anna/voices"
    )


@pytest.fixture
def model_dir(made_once, tmp_path):
    return shutil.copytree(made_once, tmp_path / "model")


@pytest.fixture
def card_of(model_dir, tmp_path):
    """Writes the card of a model that is called `voices`; returns its text."""

    def call(onnx=False, **settings):
        trained = read_trained(model_dir)
        folder = tmp_path / "export"
        folder.mkdir()
        write_model_dir(trained, folder)
        if onnx:
            (folder / "model.onnx").touch()
        write_card(folder, "voices", trained, 8, read_results(model_dir, **settings))
        return (folder / "README.md").read_text()

    return call


def front_matter(card):
    _, text, _ = card.split("---\n", 2)
    assert card.startswith("---\n")
    return YAML(typ="safe").load(text), text


def rows_of(card):
    """The rows of all tables of two columns."""
    cells = [line[2:-2].split(" | ") for line in card.splitlines() if line.startswith("| ")]
    return dict(row for row in cells if len(row) == 2)


def verified(**summary):
    """What metrics.json holds of drawn scores."""
    trials = drawn_trials(400)
    return metrics_of([make_system(trials, drawn_scores(trials), **summary)])


def write_verification(path, metrics):
    path.parent.mkdir(exist_ok=True)
    write_json(path, metrics)


def test_front_matter_leaves_the_licence_to_the_user(card_of):
    content, text = front_matter(card_of())
    assert content["library_name"] == "speechbrain" and "license" not in content
    assert "# license: " in text and "onnx" not in content["tags"]
    assert content["metrics"] == ["EER", "minDCF"] and "speaker-verification" in content["tags"]


def test_onnx_is_told_of_where_it_is(card_of):
    card = card_of(onnx=True)
    assert "onnx" in front_matter(card)[0]["tags"] and "voices/model.onnx" in card


def test_card_shows_the_call_and_says_that_it_runs_code(card_of):
    card = card_of()
    assert 'source="voices"' in card and 'pymodule_file="custom_interface.py"' in card
    assert "`custom_interface.py` is code, and this call runs it: read it before" in card
    assert "a cosine of 0.375 on" in card


def test_without_a_verification_the_eer_of_the_weights_is_told(card_of):
    card = card_of()
    assert "EER 3.46 % on the validation trials" in card and "chosen on the same\ntrials" in card
    assert "95 %" not in card


@pytest.mark.parametrize("eer_percent", [None, float("nan")])
def test_without_any_results_none_are_told(card_of, model_dir, eer_percent):
    write_weights(model_dir, eer_percent=eer_percent)
    card = card_of()
    assert "## Results\n\nNone are known.\n" in card and "nan" not in card.lower()


def test_verification_is_told_with_intervals(card_of, model_dir):
    metrics = verified(intervals=INTERVALS, num_draws=1000)
    write_verification(model_dir / "verification" / "metrics.json", metrics)
    card = card_of()
    rows = rows_of(card)
    assert rows["trials"] == "400"
    assert rows["EER"] == f"{metrics['eer_percent']:.2f} % [2.50, 8.25]"
    assert rows["minDCF (p = 0.01)"] == f"{metrics['min_dcf_0.01']:.3f} [0.200, 0.600]"
    assert rows["minDCF (p = 0.05)"] == f"{metrics['min_dcf_0.05']:.3f}"
    assert "95 % intervals, of 1,000 draws of the 8 speakers" in card and "3.46" not in card


def test_verification_without_intervals_has_none(card_of, model_dir):
    write_verification(model_dir / "verification" / "metrics.json", verified())
    card = card_of()
    assert rows_of(card)["EER"].endswith(" %") and "95 %" not in card


def test_what_may_mislead_is_told_once(card_of, model_dir):
    fixed = {"duration": 1.0, "start": 0, "stop": 9}
    for name, label in (("train", "0"), ("valid", "")):
        rows = [{"ID": "anna/1", "wav": f"/{name}/anna/1.wav", "spk_id": label}]
        (model_dir / "manifests").mkdir(exist_ok=True)
        write_manifest(model_dir / "manifests" / f"{name}.csv", [fixed | row for row in rows])
    path = model_dir / "verification" / "metrics.json"
    write_verification(path, verified(warnings=["These trials chose it."] * 2))
    card = card_of()
    assert card.count("**These trials chose it.**") == 1
    assert "**1 training speaker seems to be in the trials too (anna):" in card


def test_systems_of_a_comparison_are_told_apart(card_of, tmp_path):
    trials = drawn_trials(400)
    systems = [make_system(trials, drawn_scores(trials), name) for name in ("cosine", "a|b")]
    write_verification(tmp_path / "both.json", metrics_of(systems))
    card = card_of(metrics_path=tmp_path / "both.json")
    assert "\ncosine:\n\n| | |\n" in card and "\na\\|b:\n\n| | |\n" in card


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", '{"num_trials": 3}', '{"systems": [1]}'])
def test_other_files_are_refused_as_metrics(tmp_path, text):
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(InputError, match="metrics.json: is no metrics.json of recipes/verify.py"):
        read_results(tmp_path, path)


def test_named_metrics_must_be_there(tmp_path):
    assert read_results(tmp_path) == {}
    with pytest.raises(InputError, match="none.json: can't be read"):
        read_results(tmp_path, tmp_path / "none.json")


def test_training_data_are_counted(card_of, model_dir):
    rows = [
        {"ID": f"u{index}", "duration": 1800, "wav": "w", "spk_id": index % 2} for index in range(5)
    ]
    (model_dir / "manifests").mkdir()
    write_manifest(model_dir / "manifests" / "train.csv", rows)
    card = card_of()
    told = rows_of(card)
    assert (told["speakers"], told["utterances"], told["hours"]) == ("2", "5", "2.5")
    assert told["audio"] == "`voices`" and told["labels"] == "`train_labels.txt`"
    assert "/home/anna" not in card and str(model_dir.parent) not in card


def test_without_a_manifest_the_classifier_tells_the_speakers(tmp_path):
    path = tmp_path / "none.csv"
    assert training_data(path, 5994, {}) == [("speakers", "5,994")]
    settings = {"init_from": "../results/other/", "train_data_dir": None}
    assert training_data(path, None, settings) == [("began with the weights of", "`other`")]
    assert training_data(path, None, {}) == []


def test_without_settings_the_card_tells_the_model(card_of, model_dir):
    (model_dir / "hyperparams.yaml").unlink()
    write_weights(model_dir, classifier=None)
    card = card_of()
    assert "## Training data\n\nNot known.\n" in card
    assert "!apply:local.models.front_ends.make_front_end" in card and "batch_size" not in card
    assert front_matter(card)[0]["library_name"] == "speechbrain"


def test_settings_of_the_training_are_told(card_of):
    rows = rows_of(card_of())
    assert rows["loss"].startswith("MarginSoftmax (kind aam, margin 0.2")
    assert rows["optimizer"].startswith("Adam (lr 0.003") and rows["batch_size"] == "4"
    assert training_settings({"seed": 0, "batch_size": None}) == [("seed", "0")]


def test_cards_have_no_gaps(card_of, model_dir):
    write_verification(model_dir / "verification" / "metrics.json", verified())
    card = card_of(onnx=True)
    assert "\n\n\n" not in card and "{{" not in card and card.count("None") == 1  # of ONNX Runtime
