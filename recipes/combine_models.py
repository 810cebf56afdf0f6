#!/usr/bin/env python3
"""Makes one model of several: an ensemble, whose cosine is the mean of theirs.

    python recipes/combine_models.py results/vgg results/ecapa --out_dir results/both

Networks of different kinds make different errors, so together they are better than each alone. All
of them need the same features. Other scripts take the new directory as that of a trained model;
only a training can't begin with it (--init_from).
"""

import argparse
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from local import command_line


def main(arguments):
    """Combines the models of the command line."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("model_dir", nargs="+", help="of a trained or exported model")
    parser.add_argument("--out_dir", required=True, help="new folder for the ensemble")
    options = parser.parse_args(arguments)
    from local.model_files.combined import combine  # not above: -h need not wait for it

    combine(options.model_dir, options.out_dir)
    out_dir = shlex.quote(options.out_dir)
    print(
        f"{options.out_dir}: an ensemble of {len(options.model_dir)} models, without a threshold "
        "for decisions, which trials give it:\n"
        f"python recipes/verify.py hparams/verify.yaml --model_dir {out_dir} "
        "--keep_calibration True ..."
    )


if __name__ == "__main__":
    command_line.run(main)
