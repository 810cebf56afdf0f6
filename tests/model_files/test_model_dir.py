import os
import pickle

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

from local.errors import InputError
from local.model_files.model_dir import load_model, save_config, save_weights, weight_files
from local.models.front_ends import FRONT_ENDS

HYPERPARAMS = """
sample_rate: 16000
width: 8
lr: 0.001
masked: null
names: [a, b]
opt_class: !name:torch.optim.Adam
  lr: 0.001
log_mel: !new:local.features.LogMel
  sample_rate: 16000
front_end: &id001 !new:local.models.vgg.VGG
  channels: !apply:local.models.vgg.vgg_channels [2, 8]
extractor: !new:local.models.embedding.EmbeddingExtractor
  front_end: *id001
  pooling: !name:local.models.pooling.Statistics
  head: !name:local.models.embedding.EmbeddingHead
    embedding_size: 6
"""


def content_of(extractor, step):
    weights = {"extractor": extractor.state_dict(), "step": step, "epoch": 1}
    return weights | {"eer_percent": 3.5, "threshold": 0.25}


@pytest.fixture
def model_dir(tmp_path):
    (tmp_path / "hyperparams.yaml").write_text(HYPERPARAMS)
    save_config(tmp_path, num_speakers=5)
    return tmp_path


@pytest.fixture
def extractor():
    return load_hyperpyyaml(HYPERPARAMS)["extractor"]


def test_model_is_rebuilt_from_its_directory(model_dir, extractor):
    save_weights(model_dir, content_of(extractor, step=7))
    model = load_model(model_dir)
    features = torch.randn(2, 50, 80, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = extractor.eval()(features)
        assert torch.equal(model["extractor"].eval()(features), expected)
    assert model["sample_rate"] == 16000 and model["step"] == 7 and model["eer_percent"] == 3.5
    assert model["threshold"] == 0.25
    waveforms = torch.zeros(1, 16000, dtype=torch.int16)
    assert model["features"](waveforms)[0].shape == (1, 97, 80)


NEW_FRONT_END = """!apply:local.models.front_ends.make_front_end
  name: {name}
  width: 8
"""


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_every_front_end_is_rebuilt_and_can_be_folded(tmp_path, name):
    before, _, after = HYPERPARAMS.partition("!new:local.models.vgg.VGG\n")
    text = before + NEW_FRONT_END.format(name=name) + after.partition("[2, 8]\n")[2]
    (tmp_path / "hyperparams.yaml").write_text(text)
    save_config(tmp_path, num_speakers=5)
    extractor = load_hyperpyyaml(text)["extractor"]
    save_weights(tmp_path, content_of(extractor, step=7))
    model = load_model(tmp_path)["extractor"]
    assert model.state_dict().keys() == extractor.state_dict().keys()
    features = torch.randn(2, 50, 80)
    with torch.no_grad():
        expected = extractor.eval()(features)
        folded = model.eval().fold()(features)
    assert torch.allclose(folded, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_weights_of_older_directories_have_no_threshold(model_dir, extractor):
    content = content_of(extractor, step=7)
    del content["threshold"]
    save_weights(model_dir, content)
    assert load_model(model_dir)["threshold"] is None


def test_newest_weights_are_taken_and_few_are_kept(model_dir, extractor):
    for step in (5, 50, 500, 5000, 50000):
        save_weights(model_dir, content_of(extractor, step), num_to_keep=3)
    assert [path.name for path in weight_files(model_dir)] == [
        "model_00000500.pt",
        "model_00005000.pt",
        "model_00050000.pt",
    ]
    assert load_model(model_dir)["step"] == 50000


def test_weights_load_without_unpickling_objects(model_dir, extractor):
    path = save_weights(model_dir, content_of(extractor, 7))
    assert torch.load(path, weights_only=True)["eer_percent"] == 3.5


class PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise AssertionError(f"{module}.{name} is not a plain type")


def test_config_has_plain_types_only(model_dir):
    with open(model_dir / "config.pkl", "rb") as file:
        config = PlainUnpickler(file).load()
    assert config["width"] == 8 and config["lr"] == 0.001 and config["num_speakers"] == 5
    assert config["masked"] is None and config["names"] == ["a", "b"]
    assert config["opt_class"] == {"class": "!name:torch.optim.Adam", "lr": 0.001}
    channels = config["front_end"]["channels"]
    assert channels == {"class": "!apply:local.models.vgg.vgg_channels", "arguments": [2, 8]}


def test_directory_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no trained model here"):
        load_model(tmp_path / "none")


def test_weights_of_another_width_are_refused(model_dir, extractor):
    path = save_weights(model_dir, content_of(extractor, 7))
    definition = model_dir / "model.yaml"
    definition.write_text(definition.read_text().replace("[2, 8]", "[2, 16]"))
    with pytest.raises(InputError, match=f"{path.name}: does not fit .*another width"):
        load_model(model_dir)


@pytest.mark.parametrize("damage", ["cut", "text", "other"])
def test_damaged_weights_are_refused(model_dir, extractor, damage):
    path = save_weights(model_dir, content_of(extractor, 7))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "text":
        path.write_text("no weights")
    else:
        torch.save([1, 2], path)
    with pytest.raises(InputError, match="model_00000007.pt: is damaged"):
        load_model(model_dir)


def test_malicious_weights_execute_nothing(model_dir, tmp_path):
    class Malice:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    (model_dir / "model_00000001.pt").write_bytes(pickle.dumps(Malice(), protocol=2))
    with pytest.raises(InputError, match="holds posix.mkdir: only tensors"):
        load_model(model_dir)
    assert not (tmp_path / "executed").exists()
