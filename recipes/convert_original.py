#!/usr/bin/env python3
"""Makes a model directory of a checkpoint (.chkpt or .pt) of the original code.

    python recipes/convert_original.py CHECKPOINT --out_dir DIR

DIR is then as a training run leaves it: recipes/verify.py --model_dir DIR takes it. The shapes of
the parameters say what the network is; nothing in the checkpoint is executed.
"""

import argparse
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from local import command_line


def main(arguments):
    """Converts the checkpoint of the command line."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("checkpoint", help="file of the original code")
    parser.add_argument("--out_dir", required=True, help="new folder for the model")
    says = "of the features (default: what the checkpoint's settings say, or else cmn)"
    parser.add_argument("--normalization", choices=("cmn", "cmvn", "none"), help=says)
    options = parser.parse_args(arguments)
    from local.model_files.original import convert  # not above: -h need not wait for it

    settings = convert(options.checkpoint, options.out_dir, options.normalization)
    print(f"{options.checkpoint}: {settings}")
    out_dir = shlex.quote(options.out_dir)
    print(f"Verify: python recipes/verify.py hparams/verify.yaml --model_dir {out_dir} ...")


if __name__ == "__main__":
    command_line.run(main)
