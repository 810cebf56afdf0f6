"""Exported models, loaded by SpeechBrain in a process that knows nothing of this repository."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from corpora import write_coloured_noise
from exports import (
    NUM_SPEAKERS,
    ROOT,
    load_elsewhere,
    make_model_dir,
    own_cosines,
    own_embeddings,
    write_weights,
)

import local
from local.atomic import new_directory
from local.export.speechbrain_dir import write_speechbrain
from local.export.trained import read_trained, write_model_dir
from local.lists.trials import Trials
from local.model_files.combined import combine
from local.model_files.definition import ADMITTED
from local.model_files.model_dir import load_model
from local.scoring.cosine import cosine_scores

OTHER_FRONT_END = '''
"""A front end that is no part of the recipe yet."""

from local.models.vgg import VGG, vgg_channels


class Turned(VGG):
    def __init__(self, name, num_features, width, num_blocks, batch_norm):
        super().__init__(vgg_channels(num_blocks, width), num_features, batch_norm)

    def forward(self, features, lengths=None):
        return super().forward(features.flip(2), lengths)
'''
TURNED = "apply:local.models.front_ends.make_front_end", "new:local.other_front_end.Turned"
# A model of each pooling, and what else can differ from one model to another.
MODELS = {
    "attention": {"replaced": [TURNED]},
    "multi_head": {"front_end": "repvgg", "num_mels": 80},  # without the settings of its training
    "double_multi_head": {"front_end": "ecapa", "projection": True},
    "temporal_average": {"normalization": "cmvn", "num_mels": 40, "num_blocks": 2, "vad": "energy"},
    "statistics": {"batch_norm": False, "hidden_size": 6, "embedding_relu": True},
    "attentive_statistics": {"front_end": "resnet34"},  # without a classifier
    "x_vector": {"front_end": "xvector", "pooling": "statistics", "num_centres": 2},
}
# And two of them as one.
ENSEMBLE = "statistics", "double_multi_head"
NAMES = [*MODELS, "ensemble"]
WITHOUT_CLASSIFIER = ["attentive_statistics", "ensemble"]


@pytest.fixture(scope="module", autouse=True)
def other_front_end(tmp_path_factory):
    """The module local.other_front_end."""
    folder = tmp_path_factory.mktemp("more")
    (folder / "other_front_end.py").write_text(OTHER_FRONT_END)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "__path__", [*local.__path__, str(folder)])
        importlib.invalidate_caches()
        name = "local.other_front_end.Turned"
        patch.setitem(ADMITTED, name, importlib.import_module("local.other_front_end").Turned)
        yield


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    """Two recordings, the first of them the shorter one."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("audio")
    paths = [folder / "a.wav", folder / "b.wav"]
    for seed, path in enumerate(paths):
        write_coloured_noise(path, seed, seconds=1.0 + 0.3 * seed)
    return paths


@pytest.fixture(scope="module")
def model_dirs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    dirs = {
        name: make_model_dir(folder / name, seed=7, **{"pooling": name} | settings)
        for name, settings in MODELS.items()
    }
    write_weights(dirs["attentive_statistics"], seed=7, classifier=None)
    (dirs["multi_head"] / "hyperparams.yaml").unlink()
    dirs["ensemble"] = folder / "ensemble"
    combine([dirs[name] for name in ENSEMBLE], dirs["ensemble"])
    return dirs


@pytest.fixture(scope="module")
def exports(model_dirs, tmp_path_factory):
    """Each of them, exported and then moved."""
    folder = tmp_path_factory.mktemp("exports")
    (folder / "moved").mkdir()
    for name, model_dir in model_dirs.items():
        trained = read_trained(model_dir, threshold=0.375 if name == "ensemble" else None)
        with new_directory(folder / name) as export:
            write_speechbrain(trained, export)
            write_model_dir(trained, export)
        (folder / name).rename(folder / "moved" / name)
    return {name: folder / "moved" / name for name in NAMES}


@pytest.fixture(scope="module")
def found(exports, audio, tmp_path_factory):
    """What SpeechBrain gives for them."""
    folder = tmp_path_factory.mktemp("elsewhere")
    return load_elsewhere(folder, audio[0].parent, exports.values())


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_are_those_of_the_recipe(name, found, model_dirs, audio):
    expected = own_embeddings(model_dirs[name], audio)
    least = 0.05 if name == "ensemble" else 0.5  # its values are those of unit lengths
    assert (expected[0] - expected[1]).abs().max() > least
    batch = found[f"{name}/batch"]
    assert batch.shape == (2, 1, expected.shape[1])
    np.testing.assert_allclose(batch[:, 0], expected, atol=1e-5)
    one = found[f"{name}/one"]
    assert one.shape == (1, 1, expected.shape[1])
    np.testing.assert_allclose(one[0], own_embeddings(model_dirs[name], audio[:1]), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_score_is_the_cosine_of_the_recipe(name, found, model_dirs, audio):
    embeddings = torch.cat([own_embeddings(model_dirs[name], [path]) for path in audio])
    trials = Trials(["a", "b"], np.array([0]), np.array([1]), np.array([True]), [])
    score = found[f"{name}/score"]
    assert score.shape == (1,)
    np.testing.assert_allclose(score, cosine_scores(embeddings, trials), atol=1e-5)
    assert found[f"{name}/decision"] == (score >= 0.375)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT_CLASSIFIER])
def test_files_are_classified_as_by_the_recipe(name, found, model_dirs, audio):
    cosines = own_cosines(model_dirs[name], audio[:1])
    assert cosines.shape == (1, NUM_SPEAKERS)
    np.testing.assert_allclose(found[f"{name}/cosines"], cosines, atol=1e-5)
    best = int(cosines.argmax())
    assert found[f"{name}/index"] == [best] and found[f"{name}/label"] == [str(best)]


@pytest.mark.parametrize("name", WITHOUT_CLASSIFIER)
def test_without_a_classifier_there_is_none(name, found):
    assert f"{name}/batch" in found and f"{name}/cosines" not in found


def test_export_is_a_model_directory(model_dirs, exports, audio):
    source, export = model_dirs["statistics"], exports["statistics"]
    model = load_model(export)
    assert model["path"].name == "model_00000070.pt" and model["eer_percent"] == 3.456
    content = torch.load(model["path"], weights_only=True)
    assert set(content) == {
        *("extractor", "classifier", "step", "epoch", "eer_percent", "threshold")
    }
    assert torch.equal(own_embeddings(export, audio), own_embeddings(source, audio))
    assert torch.equal(own_cosines(export, audio), own_cosines(source, audio))


def test_settings_execute_nothing_but_calls_of_known_classes(exports):
    for folder in exports.values():
        tags = re.findall(r"!(\w+):([\w.]+)", (folder / "hyperparams.yaml").read_text())
        assert {name.split(".")[0] for _, name in tags} == {"custom_interface", "speechbrain"}
        applied = {name for kind, name in tags if kind == "apply"}
        assert applied <= {"custom_interface.make_front_end"}


def test_folders_of_this_computer_are_not_in_an_export(model_dirs, exports):
    for name, folder in exports.items():
        for path in filter(Path.is_file, folder.iterdir()):
            content = path.read_bytes()
            assert str(ROOT).encode() not in content, path
            assert str(model_dirs[name].parent).encode() not in content, path
