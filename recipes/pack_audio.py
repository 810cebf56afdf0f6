"""Packs recordings into a few large files, of which training reads chunks without decoding.

    python recipes/pack_audio.py FOLDER --out_dir PACKED [--lists LIST ...]

packs all audio below FOLDER, or only the recordings that the lists name: label files, trial files,
or a path a line. PACKED then takes the place of FOLDER: --train_data_dir PACKED, --valid_data_dir
PACKED. It takes 2 bytes a sample, about twice as much as FLAC. The same command continues where it
was stopped. Recordings that can't be read are listed at the end.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from local import command_line
from local.errors import InputError, Problems
from local.lists.fields import plain_name, read_fields
from local.lists.file_lists import MAX_SHOWN, Recordings, find_recordings

# The forms of lists: the layout of a line, and which of its fields are paths.
_PATH = ("PATH", slice(0, 1))
_LABELS = ("PATH LABEL -1", slice(0, 1))
_TRIALS = ("PATH PATH [CONDITION]", slice(0, 2))
_VOXCELEB = ("LABEL PATH PATH [CONDITION]", slice(1, 3))
_KALDI = ("PATH PATH LABEL [CONDITION]", slice(0, 2))


def main(arguments=None):
    """Packs what the command line asks for."""
    options = _parser().parse_args(arguments)
    if options.shard_gb <= 0:
        raise InputError(f"--shard_gb {options.shard_gb:g}: more than 0 is needed")
    from local.audio.packing import pack_audio  # here, so that -h need not wait for it

    problems = Problems(MAX_SHOWN)
    if options.lists:
        recordings = find_listed(options.lists, os.path.realpath(options.folder), problems)
    else:
        recordings = find_recordings([str(options.folder)], problems)
    packed = pack_audio(
        recordings,
        options.folder,
        options.out_dir,
        problems,
        options.sample_rate,
        int(options.shard_gb * 1e9 / 2),
        options.num_workers,
        not options.noprogressbar,
    )
    print(
        f"{options.out_dir}: {packed.num_utterances} utterances in {len(packed.paths)} files; "
        f"{packed.num_kept} of the files were there"
    )
    if problems:
        print(f"{len(problems)} problems:", file=sys.stderr)
    problems.raise_if_any()
    print(f"To train with them: --train_data_dir {shlex.quote(str(options.out_dir))}")


def find_listed(paths, folder, problems):
    """The Recordings that lists name, each once; raises an InputError if there are none.

    The names are relative to the absolute path `folder`.
    `problems` gets what is wrong with lists, and with single lines.
    """
    places = {}
    for path in paths:
        layout, are_paths = _form(path)
        for line, fields in read_fields(path, layout, problems):
            for name in fields[are_paths]:
                places.setdefault(plain_name(name, folder), (path, line))
    if not places:
        problems.raise_if_any()
    names = list(places)
    return Recordings(names, names, list(places.values()))


def _form(path):
    """The form of a list, by its first line."""
    lines = read_fields(path, "PATH ...", Problems())
    fields = next((fields for _, fields in lines if fields), [])
    if len(fields) < 2:
        return _PATH
    if len(fields) == 2:
        return _TRIALS
    if fields[2] == "-1":
        return _LABELS
    if fields[2] in ("target", "nontarget"):
        return _KALDI
    return _VOXCELEB if fields[0] in ("0", "1") else _TRIALS


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="has the recordings")
    parser.add_argument("--out_dir", type=Path, required=True, help="folder for the packed audio")
    parser.add_argument("--lists", nargs="+", metavar="LIST", help="pack only what they name")
    parser.add_argument("--sample_rate", type=int, default=16000, help="in Hz (16000)")
    parser.add_argument("--shard_gb", type=float, default=1.0, help="size of a file (1.0)")
    parser.add_argument("--num_workers", type=int, help="threads (one for each core)")
    parser.add_argument("--noprogressbar", action="store_true", help="shows none")
    return parser


if __name__ == "__main__":
    command_line.run(main)
