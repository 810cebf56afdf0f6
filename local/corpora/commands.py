"""The commands that come after the lists, as a person can paste them."""

import os
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def command(script, settings, presets=(), **options):
    """The command of a script of recipes/.

    Arguments
    ---------
    script, settings : str
        The names of its files in recipes/ and hparams/.
    presets : sequence of str
        Names of files in hparams/presets/.
    options
        Each becomes `--name value`, for each value of a list; those that are None are left out.

    Example
    -------
    >>> os.chdir(ROOT)
    >>> command("verify.py", "verify.yaml", trials="my lists/trials.txt", speakers=None)
    "python recipes/verify.py hparams/verify.yaml --trials 'my lists/trials.txt'"
    """
    words = ["python", os.path.relpath(ROOT / "recipes" / script)]
    words.append(os.path.relpath(ROOT / "hparams" / settings))
    for name in presets:
        words += ["--preset", os.path.relpath(ROOT / "hparams" / "presets" / name)]
    for name, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            words += [f"--{name}", str(one)] if one is not None else []
    return shlex.join(words)


def train_command(train_data_dir, valid_data_dir, lists, out_dir, presets=()):
    """The command that trains on lists, the paths of labels, client and impostor trials."""
    labels, clients, impostors = lists
    options = {
        "train_data_dir": train_data_dir,
        "train_labels_path": labels,
        "valid_data_dir": valid_data_dir,
        "valid_clients": clients,
        "valid_impostors": impostors,
        "out_dir": out_dir,
    }
    return command("train_vgg.py", "vgg.yaml", presets, **options)
