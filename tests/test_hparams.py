"""Each YAML file and the code agree."""

import re
from pathlib import Path

import pytest
import torch
from corpora import as_arguments
from ruamel.yaml import YAML

from local.command_line import load_hparams
from local.errors import InputError
from local.models.front_ends import FRONT_ENDS
from local.models.pooling import POOLINGS
from local.models.size import num_parameters
from local.scoring.systems import System

ROOT = Path(__file__).resolve().parents[1]
PRESETS = sorted((ROOT / "hparams" / "presets").glob("*.yaml"))
SCRIPTS = {
    "vgg.yaml": ("train_vgg.py", "prepare.py", "extract_features.py"),
    "verify.yaml": ("verify.py",),
    "calibrate.yaml": ("calibrate.py",),
    "embed.yaml": ("extract_embeddings.py",),
    "export.yaml": ("export_model.py",),
    "enrol.yaml": ("enrol.py",),
    "recognise.yaml": ("recognise.py",),
    "try_voices.yaml": ("try_voices.py",),
}
# Read by sb.Brain itself, from the hparams.
BRAIN_OPTIONS = {"precision", "grad_accumulation_factor"}
SET_BY_SCRIPTS = {"ckpt_interval_minutes", "eval_precision", "valid_precision"}


def keys_of(path):
    return list(YAML().load(path.read_text()))


def used_by(scripts):
    """The keys that scripts, and for training what the Brain inherits, take out of hparams."""
    code = "".join((ROOT / "recipes" / name).read_text() for name in scripts)
    if "train_vgg.py" in scripts:
        code += "".join(path.read_text() for path in (ROOT / "local" / "training").glob("*.py"))
    found = re.findall(r'hparams\["(\w+)"\]|hparams\.(\w+)', code)
    keys = {key or attribute for key, attribute in found} - SET_BY_SCRIPTS
    if "System._fields" in code:
        keys |= set(System._fields)
    return keys


@pytest.mark.parametrize("yaml_name, scripts", SCRIPTS.items())
def test_no_key_is_missing(yaml_name, scripts):
    missing = used_by(scripts) - set(keys_of(ROOT / "hparams" / yaml_name))
    assert not missing


@pytest.mark.parametrize("yaml_name, scripts", SCRIPTS.items())
def test_no_key_is_unused(yaml_name, scripts):
    text = (ROOT / "hparams" / yaml_name).read_text()
    referred_to = set(re.findall(r"<(\w+)>", text))
    used = referred_to | used_by(scripts) | BRAIN_OPTIONS
    unused = [key for key in keys_of(ROOT / "hparams" / yaml_name) if key not in used]
    assert [key for key in unused if not key.startswith("__")] == []


@pytest.mark.parametrize("yaml_name", SCRIPTS)
def test_every_setting_has_a_comment(yaml_name):
    for line in (ROOT / "hparams" / yaml_name).read_text().splitlines():
        if re.match(r"\w+: (?!!new|!name|!apply)\S", line) and not line.startswith("__"):
            assert " # " in line, line


def test_training_has_few_plain_settings_on_top():
    text = (ROOT / "hparams" / "vgg.yaml").read_text()
    plain, objects = text.split("# Objects:")
    assert len(re.findall(r"^[a-z]\w*:", plain, re.MULTILINE)) <= 52
    assert not re.findall(r"^[a-z]\w*: [^!\s]", objects, re.MULTILINE)


def built(*presets, **overrides):
    """The hyperparameters with presets, built without memory for the parameters."""
    arguments = [str(ROOT / "hparams" / "vgg.yaml"), "--device", "cpu"]
    arguments += [f"--preset={path}" for path in presets]
    with torch.device("meta"):
        return load_hparams([*arguments, *as_arguments(overrides)])[1]


def embedding_shape(hparams):
    """The shape of two embeddings; part by part, as autocast does not know the meta device."""
    extractor = hparams["extractor"].eval()
    with torch.device("meta"):
        states, _ = extractor.front_end(torch.empty(2, 347, hparams["num_mels"]))
        return extractor.head(extractor.pooling(states)).shape


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_builds_its_model_and_says_how_it_is_given(path):
    base = ROOT / "hparams" / "presets" / "paper.yaml"
    assert f"--preset hparams/presets/{path.name}" in path.read_text()
    hparams = built(*([base] if path != base else []), path)
    assert embedding_shape(hparams) == (2, 400)
    classifier = hparams["classifier"](num_speakers=5994)
    assert classifier.directions.shape == (5994, 400)


def test_voxceleb_and_its_fine_tuning():
    presets = ROOT / "hparams" / "presets"
    hparams = built(presets / "voxceleb.yaml", presets / "voxceleb_large_margin.yaml")
    assert embedding_shape(hparams) == (2, 256)
    assert 6.8e6 < num_parameters(hparams["extractor"]) < 6.9e6
    voices = hparams["augmentation"].voices
    assert voices.copies == 3 and voices.probability == 0.0
    assert hparams["loss"].margin == 0.5 and hparams["augmentation"].noise.probability == 0.45


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_is_one_setting(pooling):
    assert embedding_shape(built(pooling=pooling)) == (2, 256)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_every_front_end_is_one_setting(front_end):
    hparams = built(front_end=front_end)
    assert type(hparams["extractor"].front_end) is FRONT_ENDS[front_end]
    assert embedding_shape(hparams) == (2, 256)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"front_end": "vgg16"}, "front_end 'vgg16' is unknown: take one of vgg, repvgg,"),
        ({"front_end": "repvgg", "width": 100}, "width 100 can't be halved 3 times"),
        ({"front_end": "ecapa", "width": 100}, "width 100 of ecapa is no multiple of 8"),
        ({"front_end": "null"}, "front_end 'null' is unknown"),
    ],
)
def test_front_ends_that_do_not_exist_are_refused_in_one_message(settings, message):
    with pytest.raises(InputError, match=f"^[^\n]*vgg.yaml: {message}[^\n]*$"):
        built(**settings)


def test_losses_and_centres_are_set_inside_of_objects():
    hparams = built(loss="{top_k: 5, top_k_penalty: 0.1}", classifier="{num_centres: 3}")
    assert (hparams["loss"].top_k, hparams["loss"].top_k_penalty) == (5, 0.1)
    assert hparams["classifier"](num_speakers=7).directions.shape == (7, 3, 256)


def test_paper_has_the_published_network():
    hparams = built(ROOT / "hparams" / "presets" / "paper.yaml")
    extractor = hparams["extractor"]
    assert [block.convs[-1].out_channels for block in extractor.front_end.blocks] == [
        128,
        256,
        512,
        1024,
    ]
    assert extractor.front_end.output_size == 5120 and extractor.pooling.output_size == 320
    assert (hparams["batch_size"], hparams["grad_accumulation_factor"]) == (128, 2)
    assert hparams["log_mel"].num_frames(hparams["chunk_samples"]) == 347


def test_presets_change_what_is_inside_of_objects():
    names = ("paper", "original_code")
    hparams = built(*(ROOT / "hparams" / "presets" / f"{name}.yaml" for name in names))
    assert hparams["extractor"].pooling.over_states.scale == pytest.approx(16**-0.5)
    assert hparams["opt_class"].keywords["decoupled_weight_decay"] is False
    assert hparams["opt_class"].keywords["lr"] == 0.0001
