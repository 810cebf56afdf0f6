"""A plan to what is known before anything is trained: settings, data, trials, sizes of networks."""

import contextlib
import copy
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from hyperpyyaml import resolve_references
from ruamel.yaml import YAML

from local.ablation.plan import as_arguments
from local.atomic import locked, read_text
from local.command_line import load_hparams
from local.data.manifests import prepare_trials
from local.errors import InputError
from local.lists.enrolment import read_enrolment
from local.model_files.differences import differences
from local.model_files.model_dir import SETTINGS_FILE
from local.models.size import num_macs, num_parameters
from local.scoring.trial_scores import MANIFEST_FILE
from local.training.earlier_run import is_finished

# Of one machine: they may change between two starts of a run.
_OF_THE_MACHINE = ("num_workers", "max_memory_gb", "timeout_minutes")
# Seconds to wait for another task that prepares the same data.
_PATIENCE = 3600.0


class System(NamedTuple):
    """What the settings of a run make."""

    hparams: dict
    overrides: dict  # of the base
    device: str | None  # that the command line chose
    num_parameters: int
    num_macs: int  # of embedding a second


class TrialSet(NamedTuple):
    """Trials that the models are judged by."""

    arguments: list  # of recipes/verify.py
    digest: str  # of the trials
    speakers_path: str | None
    manifest: Path


def load_systems(plan):
    """Run -> System, for all runs; an InputError names the run whose settings are wrong."""
    systems = {}
    for task in plan.tasks()[: len(plan.runs)]:
        try:
            _, hparams, options, overrides = load_hparams(task.arguments)
        except InputError as error:
            raise InputError(f"run {task.run}: {error}") from error
        extractor, log_mel = hparams["extractor"].fold(), hparams["log_mel"]  # as it is used
        frames = log_mel.num_frames(hparams["sample_rate"])
        macs = num_macs(extractor, frames, hparams["num_mels"])
        device = options.device if "device" in options.overridden_args else None
        system = System(hparams, overrides, device, num_parameters(extractor), macs)
        systems[task.run] = system
    return systems


def check_earlier(plan, systems):
    """Raises an InputError if a run has been trained with other settings before."""
    lines = []
    for task in plan.tasks():
        if (task.out_dir / SETTINGS_FILE).is_file():
            overrides = systems[task.run].overrides | {"seed": task.seed}
            changes = list(_changed(task.out_dir, plan.base, overrides))
            # Those of settings on top say it all; objects are made of them.
            on_top = [change for change in changes if "." not in change[0]]
            for name, before, now in on_top or changes:
                lines.append(f"{task}: {name}: {before} before, {now} now")
    if lines:
        raise InputError(
            f"{plan.out_dir}: has runs of these names with other settings. Give another --out_dir, "
            "another name to the run, or the settings as they were.\n" + "\n".join(lines[:10])
        )


def _changed(out_dir, base, overrides):
    yaml = YAML()
    before = yaml.load(read_text(out_dir / SETTINGS_FILE))
    # The folder may have been moved, or be written in another way.
    overrides = overrides | {"out_dir": before.get("out_dir")}
    now = yaml.load(resolve_references(read_text(base), overrides))
    for name, *values in differences(before, now):
        is_of_machine = name.rpartition(".")[2] in _OF_THE_MACHINE
        if not is_of_machine and not name.startswith("__"):
            yield name, *values


def is_trained(task, systems):
    """Whether the training of a Task is finished."""
    return is_finished(task.out_dir, copy.deepcopy(systems[task.run].hparams["epoch_counter"]))


def prepare_data(plan, systems):
    """Checks the data of all runs, each once; returns run -> folder with its manifests."""
    folders, shared = {}, {}
    for run, system in systems.items():
        prepare = system.hparams["prepare"]
        key = str({k: v for k, v in prepare.keywords.items() if k not in ("out_dir", "log_mel")})
        if key not in shared:
            shared[key] = plan.out_dir / run if shared else plan.out_dir
            with locked(shared[key] / "manifests", _PATIENCE):
                prepare(out_dir=shared[key])
        folders[run] = shared[key] / "manifests"
    return folders


def prepare_trial_sets(plan, systems, verify_yaml):
    """Name -> TrialSet, when its lists and their audio are checked.

    Arguments
    ---------
    plan : local.ablation.plan.Plan
    systems : dict
        From `load_systems`.
    verify_yaml : Path
        Of the hyperparameters of verification.
    """
    sets = {}
    hparams = systems[plan.reference].hparams
    usual = {name: hparams[name] for name in ("valid_data_dir", "valid_clients", "valid_impostors")}
    for name, given in plan.trial_sets.items():
        arguments = [str(verify_yaml), *as_arguments(usual | given, {})]
        try:
            _, settings, *_ = load_hparams(arguments)
            lists = (settings["trials"], settings["valid_clients"], settings["valid_impostors"])
            enrolment = read_enrolment(*lists, settings["enrol_models"])
            path = plan.out_dir / "verification" / name / MANIFEST_FILE
            with locked(path.parent, _PATIENCE):
                prepare_trials(
                    enrolment,
                    settings["valid_data_dir"],
                    path,
                    hparams["sample_rate"],
                    settings["min_seconds"],
                )
        except InputError as error:
            raise InputError(f"trial set {name}: {error}") from error
        sets[name] = TrialSet(arguments, enrolment.trials.digest(), settings["speakers"], path)
    return sets


def share(folder, target):
    """Gives a folder the files of another that it lacks; they take no space twice.

    Those who write them replace them whole, and never change the others' file.
    """
    target.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_file() and not path.name.startswith("."):
            with contextlib.suppress(FileExistsError):
                try:
                    os.link(path, target / path.name)
                except OSError:  # a file system without links
                    if not (target / path.name).exists():
                        shutil.copy2(path, target / path.name)
