#!/usr/bin/env python3
"""Makes a model directory of a checkpoint (.chkpt or .pt) of the original code.

    python recipes/convert_original.py CHECKPOINT --out_dir DIR

DIR is then as a training run leaves it: recipes/verify.py --model_dir DIR takes it. The network is
what the shapes of its parameters say; nothing in the checkpoint is executed.
"""

import argparse
import math
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line


def parse_arguments(arguments):
    """The command line; -h is answered here, before the imports that take seconds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="of the original code")
    parser.add_argument("--out_dir", type=Path, required=True, help="new folder for the model")
    parser.add_argument(
        "--normalization",
        choices=("cmn", "cmvn", "none"),
        help="of the features (what the checkpoint's settings say, or else cmn)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse_arguments(sys.argv[1:])

from hyperpyyaml import resolve_references
from ruamel.yaml import YAML

from local.atomic import new_directory, refuse_existing
from local.model_files import model_dir
from local.model_files.original_checkpoint import read_original
from local.model_files.original_weights import NUM_MELS, convert

SAMPLE_RATE = 16000  # Hz
# Of the published system, with what its code does differently.
PRESETS = ("paper.yaml", "original_code.yaml")
# What the original's settings say of the training, by their names there and here.
NUMBERS = {
    "marginFactor": "margin",
    "scalingFactor": "scale",
    "learning_rate": "lr",
    "weight_decay": "weight_decay",
}
LISTS = (
    "train_data_dir",
    "train_labels_path",
    "valid_data_dir",
    "valid_clients",
    "valid_impostors",
)


def known_settings(settings):
    """What the original's settings say, by the names of hparams/vgg.yaml.

    The network is not taken from them. What is of a wrong kind is left out; lists of which nothing
    is known are None.

    Arguments
    ---------
    settings : dict

    Returns
    -------
    known : dict
    """
    known = {name: _text(settings.get(name)) for name in LISTS}
    known |= {own: settings[name] for name, own in NUMBERS.items() if _is_number(settings, name)}
    if _is_number(settings, "window_size") and settings["window_size"] > 0:
        known["chunk_samples"] = round(settings["window_size"] * SAMPLE_RATE)
    if _is_number(settings, "mask_prob") and settings["mask_prob"] < 1:
        known["head_drop"] = settings["mask_prob"]
    if isinstance(settings.get("annealing"), bool):
        known["margin_schedule"] = "annealing" if settings["annealing"] else "constant"
    if settings.get("normalization") in ("cmn", "cmvn"):
        known["normalization"] = settings["normalization"]
    return known


def _text(value):
    return value if isinstance(value, str) and value.isprintable() else None


def _is_number(settings, name):
    """Whether a setting is there, and a finite number from 0 on."""
    value = settings.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value >= 0


def definition(architecture, known, out_dir):
    """The text of hparams/vgg.yaml with the network of a checkpoint, all references resolved."""
    settings = {}
    for name in PRESETS:
        preset = (ROOT / "hparams" / "presets" / name).read_text(encoding="utf-8")
        settings |= YAML(typ="safe").load(preset)
    settings |= known | {
        "out_dir": str(out_dir),
        "sample_rate": SAMPLE_RATE,
        "num_mels": NUM_MELS,
        "num_blocks": architecture.num_blocks,
        "width": architecture.width,
        "batch_norm": False,
        "pooling": architecture.pooling,
        "num_heads": architecture.num_heads,
        "score_scale": "heads",
        "hidden_size": architecture.hidden_size,
        "embedding_size": architecture.embedding_size,
        "embedding_relu": True,
        "projection": True,
    }
    text = (ROOT / "hparams" / "vgg.yaml").read_text(encoding="utf-8")
    return resolve_references(text, settings, overrides_must_match=True).read()


def write_model(original, converted, hyperparams, out_dir):
    """Writes the model directory, whole or not at all.

    Arguments
    ---------
    original : local.model_files.original_checkpoint.Original
    converted : local.model_files.original_weights.Converted
    hyperparams : str
        From `definition`.
    out_dir : Path

    Returns
    -------
    path : Path
        Of the weights.
    """
    content = {
        "extractor": converted.extractor,
        "classifier": converted.classifier,
        "step": original.step,
        "epoch": original.epoch,
        "eer_percent": None,  # the checkpoint does not say
    }
    with new_directory(out_dir) as folder:
        (folder / "hyperparams.yaml").write_text(hyperparams, encoding="utf-8")
        model_dir.save_config(folder, converted.architecture.num_speakers)
        name = model_dir.save_weights(folder, content).name
    return out_dir / name


def report(original, architecture, normalization, path):
    """Says what was converted, and what to do with it."""
    print(f"{original.path}: {architecture.describe()}")
    print(f"Features: {normalization}")
    print(f"{architecture.num_speakers} training speakers, step {original.step}")
    print(f"The model: {path}")
    command = ["python", ROOT / "recipes" / "verify.py", ROOT / "hparams" / "verify.yaml"]
    command += ["--model_dir", path.parent]
    print(
        f"Verify with: {shlex.join(map(str, command))} --valid_data_dir FOLDER "
        "--valid_clients FILE --valid_impostors FILE"
    )


def main(arguments):
    """Converts the checkpoint of the command line."""
    options = parse_arguments(arguments)
    refuse_existing(options.out_dir)
    original = read_original(options.checkpoint)
    converted = convert(original)
    known = known_settings(original.settings)
    normalization = options.normalization or known.get("normalization")
    known["normalization"] = normalization or "cmn"
    hyperparams = definition(converted.architecture, known, options.out_dir)
    path = write_model(original, converted, hyperparams, options.out_dir)
    source = "" if normalization else " (the settings do not say; see --normalization)"
    report(original, converted.architecture, f"{known['normalization']}{source}", path)


if __name__ == "__main__":
    command_line.run(main)
