"""What an earlier run left in an out_dir, to whether a training may go on there, or is finished."""

import json
import logging
from pathlib import Path

from hyperpyyaml import resolve_references
from ruamel.yaml import YAML

from local.atomic import lock_folder, read_text
from local.errors import InputError
from local.model_files.definition import read_definition
from local.model_files.differences import differences
from local.model_files.model_dir import MODEL_FILE, MODEL_KEYS, WEIGHTS_PATTERN
from local.training.checkpoints import WholeCheckpointer

logger = logging.getLogger(__name__)

# What would be mixed with that of a new run.
_LEFT_BY_RUNS = (WEIGHTS_PATTERN, "train_log.txt", "tensorboard")


def claim_out_dir(out_dir, yaml_path, overrides):
    """Sees that no other run writes here, and that an earlier one is not mixed with this one.

    The arguments are those of `check_earlier_run`, which raises an InputError.
    """
    lock_folder(out_dir)
    check_earlier_run(out_dir, yaml_path, overrides)


def check_earlier_run(out_dir, yaml_path, overrides):
    """Refuses to train in a directory whose models the new run would mix with, or redefine.

    Arguments
    ---------
    out_dir : str or Path
    yaml_path : str
        The hyperparameters of the new run.
    overrides : dict
        What presets and the command line change in them.

    Raises
    ------
    InputError
        If an earlier run left models or logs but no checkpoint to go on from; or if features or
        network of its models had other settings.
    """
    if not has_checkpoint(out_dir):
        left = [found.name for pattern in _LEFT_BY_RUNS for found in Path(out_dir).glob(pattern)]
        if left:
            raise InputError(
                f"{out_dir}: has {left[0]} of an earlier run, and no whole checkpoint to go on "
                "from. Give another --out_dir, or move what is there somewhere else"
            )
        return
    yaml = YAML()
    resolved = yaml.load(resolve_references(read_text(yaml_path), overrides))
    own = {key: resolved[name] for key, name in MODEL_KEYS.items()}
    changes = list(differences(yaml.load(read_definition(Path(out_dir) / MODEL_FILE)), own))
    if changes:
        lines = "\n".join(f"{name}: {before} before, {now} now" for name, before, now in changes)
        raise InputError(
            f"{out_dir}: its models were trained with other settings, and would compute something "
            f"else with these. Give another --out_dir, or the settings as they were.\n{lines}"
        )


def is_finished(out_dir, counter):
    """Whether the run of a directory has no epoch left; the counter gets the state it has there.

    Arguments
    ---------
    out_dir : str or Path
    counter : speechbrain.utils.epoch_loop.EpochCounterWithStopper
        Of a new run, with the limits that count now.
    """
    if not has_checkpoint(out_dir):
        return False
    WholeCheckpointer(Path(out_dir) / "save", {"epoch_counter": counter}).recover_if_possible()
    return counter.should_stop or counter.current >= counter.limit


def training_minutes(out_dir):
    """The wall time of the training in a directory up to its newest checkpoint; None without one.

    Interruptions don't count.
    """
    newest = WholeCheckpointer(Path(out_dir) / "save").find_checkpoint()
    if newest is None:
        return None
    content = json.loads(newest.paramfiles["brain"].read_text(encoding="utf-8"))
    return content["seconds"] / 60.0 if "seconds" in content else None


def has_checkpoint(out_dir):
    """Whether a run in this directory, which writes a checkpoint before its first step, goes on."""
    return any(Path(out_dir).glob("save/CKPT*"))
