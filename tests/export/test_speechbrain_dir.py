"""Exported models, loaded by SpeechBrain in a process that knows nothing of this repository."""

import importlib

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
from hypothesis import given
from hypothesis import strategies as st

import local
from local.atomic import new_directory
from local.export.interface import EmbeddingModel
from local.export.speechbrain_dir import write_speechbrain
from local.export.trained import read_trained, write_model_dir
from local.lists.trials import Trials
from local.model_files.model_dir import load_model
from local.models.pooling import POOLINGS
from local.scoring.cosine import cosine_scores

OTHER_FRONT_END = '''
"""A front end that is no part of the recipe yet."""

from local.models.vgg import VGG


class Turned(VGG):
    def forward(self, features, lengths=None):
        return super().forward(features.flip(2), lengths)
'''
VARIANTS = {
    "cmvn": {"normalization": "cmvn", "num_mels": 40, "num_blocks": 2, "projection": True},
    "original": {"batch_norm": False, "hidden_size": 6, "embedding_relu": True},
    "turned": {"replaced": [("local.models.vgg.VGG", "local.other_front_end.Turned")]},
    "no_classifier": {},
    "no_config": {"projection": True},
}
NAMES = [*POOLINGS, *VARIANTS]


@pytest.fixture(scope="module", autouse=True)
def other_front_end(tmp_path_factory):
    """The module local.other_front_end."""
    folder = tmp_path_factory.mktemp("more")
    (folder / "other_front_end.py").write_text(OTHER_FRONT_END)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "__path__", [*local.__path__, str(folder)])
        importlib.invalidate_caches()
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
    """A model of each pooling, and of each of VARIANTS."""
    folder = tmp_path_factory.mktemp("models")
    settings = {name: {"pooling": name} for name in POOLINGS} | VARIANTS
    dirs = {name: make_model_dir(folder / name, seed=7, **settings[name]) for name in NAMES}
    (weights,) = dirs["no_classifier"].glob("*.pt")
    content = torch.load(weights)
    del content["classifier"]
    torch.save(content, weights)
    (dirs["no_config"] / "config.pkl").unlink()
    return dirs


@pytest.fixture(scope="module")
def found(model_dirs, audio, tmp_path_factory):
    """What SpeechBrain gives for each of them, exported and then moved."""
    folder = tmp_path_factory.mktemp("exports")
    (folder / "moved").mkdir()
    for name, model_dir in model_dirs.items():
        trained = read_trained(model_dir)
        with new_directory(folder / name) as export:
            write_speechbrain(trained, export)
            write_model_dir(trained, export)
        (folder / name).rename(folder / "moved" / name)
    return load_elsewhere(folder, audio[0].parent, [folder / "moved" / name for name in NAMES])


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_are_those_of_the_recipe(name, found, model_dirs, audio):
    expected = own_embeddings(model_dirs[name], audio)
    assert (expected[0] - expected[1]).abs().max() > 0.5
    batch = found[f"{name}/batch"]
    assert batch.shape == (2, 1, expected.shape[1])
    np.testing.assert_allclose(batch[:, 0], expected, atol=1e-5)
    one = found[f"{name}/one"]
    assert one.shape == (1, 1, expected.shape[1])
    np.testing.assert_allclose(one[0], own_embeddings(model_dirs[name], audio[:1]), atol=1e-5)
    np.testing.assert_array_equal(found[f"{name}/normalised"], batch)


@pytest.mark.parametrize("name", NAMES)
def test_score_is_the_cosine_of_the_recipe(name, found, model_dirs, audio):
    embeddings = torch.cat([own_embeddings(model_dirs[name], [path]) for path in audio])
    trials = Trials(["a", "b"], np.array([0]), np.array([1]), np.array([True]), [])
    score = found[f"{name}/score"]
    assert score.shape == (1,)
    np.testing.assert_allclose(score, cosine_scores(embeddings, trials), atol=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "no_classifier"])
def test_files_are_classified_as_by_the_recipe(name, found, model_dirs, audio):
    cosines = own_cosines(model_dirs[name], audio[:1])
    assert cosines.shape == (1, NUM_SPEAKERS)
    np.testing.assert_allclose(found[f"{name}/cosines"], cosines, atol=1e-5)
    best = int(cosines.argmax())
    assert found[f"{name}/index"] == [best] and found[f"{name}/label"] == [str(best)]


def test_without_a_classifier_there_is_none(found):
    assert "no_classifier/batch" in found and "no_classifier/cosines" not in found


def test_each_source_is_a_module_of_its_own(found):
    # One of all that VGG makes, one with the other front end.
    assert len(found["modules"]) == 2


def test_export_is_a_model_directory(model_dirs, audio, tmp_path):
    source = model_dirs["cmvn"]
    write_weights(source, seed=8, projection=True, step=80, eer_percent=None)
    with new_directory(tmp_path / "export") as folder:
        write_model_dir(read_trained(source), folder)
    model = load_model(tmp_path / "export")
    assert model["path"].name == "model_00000080.pt" and model["eer_percent"] is None
    content = torch.load(model["path"], weights_only=True)
    assert list(content) == ["extractor", "classifier", "step", "epoch", "eer_percent"]
    expected = own_embeddings(source, audio)
    assert torch.equal(own_embeddings(tmp_path / "export", audio), expected)
    assert torch.equal(own_cosines(tmp_path / "export", audio), own_cosines(source, audio))


@given(st.data())
def test_relative_lengths_become_the_samples_that_they_are_of(data):
    longest = data.draw(st.integers(1, 16000 * 200))
    lengths = data.draw(st.lists(st.integers(1, longest), min_size=1, max_size=4))
    seen = []
    model = EmbeddingModel(
        lambda waveforms, samples: seen.append(samples.tolist()) or (waveforms, samples),
        lambda features, frames: torch.zeros(len(frames), 5),
    )
    # No memory is taken for the samples.
    waveforms = torch.zeros(1, 1).expand(len(lengths), longest)
    assert model(waveforms, torch.tensor(lengths) / longest).shape == (len(lengths), 1, 5)
    assert seen == [lengths]


def test_waveforms_of_several_channels_are_refused():
    with pytest.raises(ValueError, match=r"of one channel, not \(2, 16000, 1\)"):
        EmbeddingModel(None, None)(torch.zeros(2, 16000, 1))


def test_root_of_the_repository_is_not_in_an_export(model_dirs, tmp_path):
    trained = read_trained(model_dirs["statistics"])
    with new_directory(tmp_path / "export") as folder:
        write_speechbrain(trained, folder)
        write_model_dir(trained, folder)
    for path in (tmp_path / "export").iterdir():
        content = path.read_bytes()
        assert str(ROOT).encode() not in content, path
        assert str(trained.folder.parent).encode() not in content, path
