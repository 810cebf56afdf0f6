#!/usr/bin/env python3
"""Makes a trained model usable elsewhere: for SpeechBrain, ONNX Runtime and the Hugging Face Hub.

    python recipes/export_model.py hparams/export.yaml --model_dir DIR --export_dir NEW_DIR

What is written needs nothing of this recipe, and can be moved and published as it is.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "export.yaml")

import logging

from local.atomic import new_directory, refuse_existing
from local.export.model_card import read_results, write_card
from local.export.onnx_model import write_onnx
from local.export.speechbrain_dir import compare, write_speechbrain
from local.export.trained import read_trained, write_model_dir

ONNX_FILES = {"model.onnx": "waveform", "model_features.onnx": "features"}


def export(hparams):
    """Exports the model that the settings describe.

    Returns
    -------
    cosine : float
        Between an embedding of the exported model and the model's own.
    differences : dict
        The largest difference of each file of `ONNX_FILES` to the model; empty without ONNX.
    """
    export_dir = Path(hparams["export_dir"])
    refuse_existing(export_dir)
    trained = read_trained(hparams["model_dir"], hparams["threshold"])
    results = read_results(hparams["model_dir"], hparams["metrics"])
    with new_directory(export_dir) as folder:
        write_speechbrain(trained, folder)
        write_model_dir(trained, folder)
        cosine, embedding_size = compare(trained, folder)
        trained.model["extractor"].fold()
        differences = {
            file: write_onnx(trained.model, folder / file, kind, trained.decision)
            for file, kind in (ONNX_FILES.items() if hparams["onnx"] else ())
        }
        write_card(folder, export_dir.resolve().name, trained, embedding_size, results)
    return cosine, differences


def print_results(export_dir, cosine, differences):
    """Says what was written, how well it agrees with the model, and how to load it."""
    print(f"{export_dir}: {', '.join(sorted(path.name for path in export_dir.iterdir()))}")
    print("README.md is the model card: its licence is for you to fill in.")
    print(f"\nEmbedding of a drawn voice by SpeechBrain and by this recipe: cosine {cosine:.7f}")
    for name, difference in differences.items():
        print(f"{name}: embeddings differ by up to {difference:.1e} of their largest value")
    print(
        "\nTo use it, anywhere (custom_interface.py is code, which this runs):\n"
        "    from speechbrain.inference.interfaces import foreign_class\n"
        "    model = foreign_class(\n"
        f"        source={str(export_dir.resolve())!r},\n"
        '        pymodule_file="custom_interface.py",\n'
        '        classname="SpeakerVerification",\n'
        "    )\n"
        '    score, is_one_speaker = model.verify_files("one.wav", "another.wav")'
    )


def main(arguments):
    """Exports a model and says what was written."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    _, hparams, _, _ = command_line.load_hparams(arguments)
    print_results(Path(hparams["export_dir"]), *export(hparams))


if __name__ == "__main__":
    command_line.run(main)
