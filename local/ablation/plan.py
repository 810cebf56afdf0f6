"""A YAML file of systems, and a command line, to the trainings that compare them."""

import io
import itertools
import re
from pathlib import Path
from typing import NamedTuple

from hyperpyyaml.core import recursive_update
from ruamel.yaml import YAML

from local.atomic import read_text
from local.errors import InputError
from local.settings.arguments import as_tuple, read_settings, split_settings
from local.settings.rules import check, is_text, shown

# A name becomes a folder, and a part of a command line.
_NAME = re.compile(r"\w[\w.,=+-]*")
# Set for each training.
_OWN_SETTINGS = ("seed", "out_dir")
# Of a verification, too, and a figure of other scores would not be the one in the table.
_OWN_OF_SETS = ("model_dir", "output_dir", "scores", "calibration", "are_llrs")


class Task(NamedTuple):
    """A training: a run with one seed."""

    run: str
    seed: int
    out_dir: Path
    arguments: list  # of recipes/train_vgg.py

    def __str__(self):
        return f"{self.run}, seed {self.seed}"


class Plan(NamedTuple):
    """What is to be compared."""

    out_dir: Path
    base: Path  # hyperparameters of all runs
    arguments: list  # of recipes/train_vgg.py, that all runs have
    runs: dict  # name -> what it changes: setting -> value
    run_arguments: dict  # name -> the same, of recipes/train_vgg.py
    reference: str
    seeds: list
    trial_sets: dict  # name -> settings of hparams/verify.yaml
    chosen: list  # names of the runs to train
    task: int | None  # the number of the only task to train
    jobs: int | None
    bootstrap_draws: int

    def tasks(self):
        """All Tasks: each run with the first seed, then with the second ..."""
        return [self._task(run, seed) for seed in self.seeds for run in self.runs]

    def chosen_tasks(self):
        """Those of them that the command line chose."""
        tasks = [task for task in self.tasks() if task.run in self.chosen]
        if self.task is None:
            return tasks
        if self.task >= len(tasks):
            raise InputError(f"task {self.task}: there are {len(tasks)} tasks, counted from 0")
        return [tasks[self.task]]

    def _task(self, run, seed):
        out_dir = self.out_dir / run / f"seed_{seed}"
        own = [*self.run_arguments[run], "--seed", str(seed), "--out_dir", str(out_dir)]
        return Task(run, seed, out_dir, [*self.arguments, *own])

    def changes(self, run):
        """What a run changes, as a person writes it: "pooling: multi_head, num_heads: 8"."""
        return flow(self.runs[run])[1:-1]


def read_plan(arguments, default_path):
    """Reads the command line `FILE.yaml [--key value ...]`.

    What is no setting of the file goes to the trainings: settings of their hyperparameters, and
    SpeechBrain's run options.

    Arguments
    ---------
    arguments : list of str
    default_path : str or Path
        hparams/ablate.yaml: what a file doesn't set is as there, but for its runs.

    Returns
    -------
    plan : Plan

    Raises
    ------
    InputError
        If a file or a value is wrong, or a run changes a setting that there is not.
    """
    if not arguments or arguments[0].startswith("-"):
        raise InputError("the first argument has to be the YAML file of the ablation; see -h")
    path, *options = arguments
    defaults = read_settings(read_text(default_path), default_path)
    defaults |= {"runs": {}, "grid": {}, "settings": {}}
    given, options = split_settings(options, defaults, repeatable=["only"])
    settings = read_settings(read_text(path), path)
    for name, value in given:
        recursive_update(settings, {name: value})
    for name in settings:
        if name not in defaults:
            raise InputError(f"{path}: {name} is no setting of an ablation; -h lists them")
    settings = defaults | settings
    check(settings, defaults)
    base = Path(path).parent / _text(settings, "base")
    presets = [Path(path).parent / preset for preset in as_tuple(settings["presets"])]
    base_defaults = read_settings(read_text(base), base)
    common = as_arguments(_mapping(settings, "settings"), base_defaults)
    preset_arguments = [part for preset in presets for part in ("--preset", str(preset))]
    runs = _runs(settings)
    _refuse_own(runs, base, base_defaults)
    seeds = settings["seeds"] if isinstance(settings["seeds"], list) else [settings["seeds"]]
    if len(set(seeds)) < len(seeds) or not seeds:
        raise InputError(f"seeds: expected different numbers, not {shown(list(seeds))}")
    return Plan(
        Path(settings["out_dir"]),
        base,
        [str(base), *preset_arguments, *common, *options],
        runs,
        {name: as_arguments(changes, base_defaults) for name, changes in runs.items()},
        _known(settings["reference"] or next(iter(runs)), runs, "reference"),
        seeds,
        _trial_sets(settings),
        [_known(name, runs, "only") for name in as_tuple(settings["only"])] or list(runs),
        settings["task"],
        settings["jobs"],
        settings["bootstrap_draws"],
    )


def _text(settings, name):
    if not isinstance(settings[name], str):
        raise InputError(f"{name} is text, not {shown(settings[name])}")
    return settings[name]


def _mapping(settings, name):
    if not isinstance(settings[name] or {}, dict):
        raise InputError(f"{name}: expected SETTING: VALUE, not {shown(settings[name])}")
    return settings[name] or {}


def _runs(settings):
    """The runs by name, those of the grid behind the others."""
    runs = {str(name): changes for name, changes in _mapping(settings, "runs").items()}
    grid = {name: as_tuple(values) for name, values in _mapping(settings, "grid").items()}
    for values in itertools.product(*grid.values()) if grid else ():
        changes = dict(zip(grid, values, strict=True))
        name = ",".join(f"{key}={flow(value)}" for key, value in changes.items())
        if name in runs:
            raise InputError(f"grid: makes two runs of the name {name}")
        runs[name] = changes
    for name, changes in runs.items():
        if not _NAME.fullmatch(name):
            raise InputError(
                f"run {shown(name)}: its name becomes a folder: letters, digits and any of "
                "_ . , = + - after the first"
            )
        if not isinstance(changes or {}, dict):
            raise InputError(f"run {name}: expected {{SETTING: VALUE}}, not {shown(changes)}")
    if not runs:
        raise InputError("runs: there are none, and no grid")
    return {name: changes or {} for name, changes in runs.items()}


def _refuse_own(runs, base, defaults):
    for run, changes in runs.items():
        for name in changes:
            if name in _OWN_SETTINGS:
                raise InputError(f"run {run}: {name} is set for each run and seed: use seeds")
            if name not in defaults:
                raise InputError(f"run {run}: {base} has no setting {name}")


def _known(name, runs, setting):
    if name not in runs:
        raise InputError(f"{setting}: there is no run {name}; the runs are {', '.join(runs)}")
    return name


def _trial_sets(settings):
    sets = {name: given or {} for name, given in _mapping(settings, "trial_sets").items()}
    for name, given in sets.items():
        if not _NAME.fullmatch(str(name)) or not isinstance(given, dict):
            raise InputError(f"trial_sets: expected NAME: {{SETTING: VALUE}} at {shown(name)}")
        for setting in given:
            if setting in _OWN_OF_SETS:
                raise InputError(f"trial set {name}: {setting} can't be set in an ablation")
    if not sets:
        raise InputError("trial_sets: there are none")
    return sets


def as_arguments(settings, defaults):
    """Settings as `--key value` of a command line that has them from a YAML file.

    Example
    -------
    >>> as_arguments({"pooling": "attention", "loss": {"rise_stop": 0.5}}, {"pooling": "mean"})
    ['--pooling', 'attention', '--loss', '{rise_stop: 0.5}']
    """
    arguments = []
    for name, value in settings.items():
        is_verbatim = isinstance(value, str) and is_text(name, defaults.get(name, 0))
        arguments += [f"--{name}", str(value) if is_verbatim else flow(value)]
    return arguments


def flow(value):
    """A value as YAML on one line.

    Example
    -------
    >>> flow({"width": 64, "pooling": "statistics", "batch_norm": False, "init_from": None})
    '{width: 64, pooling: statistics, batch_norm: false, init_from: null}'
    """
    yaml = YAML()
    yaml.default_flow_style = True
    yaml.width = 10**6
    yaml.representer.add_representer(type(None), _represent_none)
    stream = io.StringIO()
    yaml.dump(_flowing(value), stream)
    return stream.getvalue().removesuffix("\n").removesuffix("\n...")


def _represent_none(representer, _):
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _flowing(value):
    """Has ruamel write mappings and lists in one line that a file has in several."""
    if isinstance(value, dict | list):
        if hasattr(value, "fa"):
            value.fa.set_flow_style()
        for item in value.values() if isinstance(value, dict) else value:
            _flowing(item)
    return value
