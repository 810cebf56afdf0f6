"""Model directories without training: the network of hparams/vgg.yaml, tiny, with drawn weights."""

import io
from pathlib import Path

import torch
from corpora import TINY
from hyperpyyaml import load_hyperpyyaml, resolve_references

from local.model_dir import save_config, save_weights

ROOT = Path(__file__).resolve().parents[1]


def write_model_dir(folder, num_speakers=3, seed=0, **settings):
    """Writes a model directory; settings are those of hparams/vgg.yaml.

    Batch norms have statistics other than those they begin with.
    """
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    overrides = {key: None if value == "null" else value for key, value in TINY.items()}
    overrides |= settings
    overrides.pop("device")
    text = (ROOT / "hparams" / "vgg.yaml").read_text()
    (folder / "hyperparams.yaml").write_text(resolve_references(text, overrides).getvalue())
    save_config(folder, num_speakers)
    hparams = load_hyperpyyaml(io.StringIO(text), overrides)
    extractor = hparams["extractor"]
    for module in extractor.modules():
        if hasattr(module, "running_mean"):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    content = {
        "extractor": extractor.state_dict(),
        "classifier": hparams["classifier"](num_speakers=num_speakers).state_dict(),
        "optimizer": {},
        "step": 7,
        "epoch": 1,
        "eer_percent": 3.5,
    }
    save_weights(folder, content)
    return folder
