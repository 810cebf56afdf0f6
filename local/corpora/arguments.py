"""What the scripts of corpora have in common on the command line."""

import argparse
from pathlib import Path


def lists_parser(description):
    """A parser for a script that writes lists to --out_dir."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out_dir", type=Path, required=True, help="folder for the lists")
    return parser


def allow_missing(parser, what):
    """Adds --allow_missing, for what may be missing; see `local.corpora.missing`."""
    parser.add_argument(
        "--allow_missing", action="store_true", help=f"go on where {what} are missing"
    )
