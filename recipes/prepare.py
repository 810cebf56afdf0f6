#!/usr/bin/env python3
"""Checks the label file, the trial files and all their audio, and writes the manifests.

    python recipes/prepare.py hparams/vgg.yaml [--train_labels_path FILE ...]

recipes/train_vgg.py does the same before it trains. This script does it in advance, for example on
a machine without a GPU; the training then opens no audio file again to check it.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "vgg.yaml")

import logging

from local.atomic import locked
from local.corpora import demo


def main(arguments):
    """Prepares the data of the given hyperparameters."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _, hparams, _, _ = command_line.load_hparams(arguments)
    demo.make_if_missing(hparams)
    with locked(hparams["out_dir"]):
        prepared = hparams["prepare"]()
    print(f"Manifests: {prepared.train.path} and {prepared.valid.path}")


if __name__ == "__main__":
    command_line.run(main)
