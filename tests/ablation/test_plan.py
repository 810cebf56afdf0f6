"""A YAML file and a command line to runs, and what is said of wrong ones."""

from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

from local.ablation.plan import flow, read_plan
from local.command_line import load_hparams
from local.errors import InputError
from local.settings.arguments import split_settings

ROOT = Path(__file__).resolve().parents[2]
RUNS = "runs: {a: {pooling: attention}, b: {}}\n"


def plan_of(folder, text, *options):
    path = folder / "ablate.yaml"
    path.write_text(f"base: {ROOT}/hparams/vgg.yaml\n{text}")
    return read_plan([str(path), *options], ROOT / "hparams" / "ablate.yaml")


def test_each_run_is_an_ordinary_training_with_each_seed(tmp_path):
    text = f"{RUNS}settings: {{width: 32}}\nseeds: [3, 4]\nout_dir: o\npresets: [p.yaml]\n"
    plan = plan_of(tmp_path, text, "--lr", "0.1", "--device", "cpu")
    first, second, *_ = plan.tasks()
    common = [f"{ROOT}/hparams/vgg.yaml", "--preset", f"{tmp_path}/p.yaml", "--width", "32"]
    common += ["--lr", "0.1", "--device", "cpu"]
    own = ["--pooling", "attention", "--seed", "3", "--out_dir", "o/a/seed_3"]
    assert first.arguments == [*common, *own]
    assert second.arguments == [*common, "--seed", "3", "--out_dir", "o/b/seed_3"]
    assert [str(task) for task in plan.tasks()] == [
        *("a, seed 3", "b, seed 3", "a, seed 4", "b, seed 4")
    ]
    assert plan.reference == "a" and plan.trial_sets == {"validation": {}}


def test_the_grid_has_a_run_for_each_combination(tmp_path):
    text = "grid: {pooling: [statistics, attention], width: [64, 128], batch_norm: false}\n"
    plan = plan_of(tmp_path, text)
    assert list(plan.runs) == [
        f"pooling={pooling},width={width},batch_norm=false"
        for pooling in ("statistics", "attention")
        for width in (64, 128)
    ]
    run = "pooling=attention,width=64,batch_norm=false"
    assert plan.runs[run] == {"pooling": "attention", "width": 64, "batch_norm": False}
    assert plan.changes(run) == "pooling: attention, width: 64, batch_norm: false"


def test_the_command_line_chooses_runs_seeds_and_a_task(tmp_path):
    plan = plan_of(tmp_path, RUNS, "--only", "b", "--seeds", "[7, 8]")
    assert [str(task) for task in plan.chosen_tasks()] == ["b, seed 7", "b, seed 8"]
    plan = plan_of(tmp_path, RUNS, "--seeds", "[7, 8]", "--task", "2")
    assert [str(task) for task in plan.chosen_tasks()] == ["a, seed 8"]
    plan = plan_of(tmp_path, RUNS, "--only", "b", "--only", "a", "--seeds", "5")
    assert [str(task) for task in plan.chosen_tasks()] == ["a, seed 5", "b, seed 5"]


def test_trial_sets_of_file_and_command_line(tmp_path):
    text = f"{RUNS}trial_sets: {{dev: {{trials: dev.txt}}}}\n"
    plan = plan_of(tmp_path, text, "--trial_sets", "{phone: {score_norm: as}}")
    assert plan.trial_sets == {"dev": {"trials": "dev.txt"}, "phone": {"score_norm": "as"}}


@pytest.mark.parametrize("path", sorted((ROOT / "hparams").glob("ablat*/*.yaml")), ids=str)
def test_the_ablations_that_are_there(path):
    plan = read_plan([str(path)], ROOT / "hparams" / "ablate.yaml")
    assert len(plan.runs) > 1 and len(plan.seeds) >= 3
    assert len({str(changes) for changes in plan.runs.values()}) == len(plan.runs)
    with torch.device("meta"):
        load_hparams(plan.tasks()[-1].arguments)


@pytest.mark.parametrize(
    "text, options, message",
    [
        (RUNS, ["--only", "c"], "only: there is no run c; the runs are a, b"),
        (RUNS, ["--task", "4"], "task 4: there are 4 tasks, counted from 0"),
        (f"{RUNS}reference: c\n", [], "reference: there is no run c"),
        ("runs: {a: {widht: 3}}\n", [], "run a: .*vgg.yaml has no setting widht"),
        ("runs: {a: {seed: 3}}\n", [], "run a: seed is set for each run and seed: use seeds"),
        ("runs: {a: 3}\n", [], "run a: expected {SETTING: VALUE}, not 3"),
        ("runs: {a/b: {}}\n", [], "run 'a/b': its name becomes a folder"),
        ("runs: {a: {}, a: {}}\n", [], 'duplicate key "a"'),
        ("runs: {width=64: {}}\ngrid: {width: [64]}\n", [], "two runs of the name width=64"),
        ("", [], "runs: there are none, and no grid"),
        (RUNS, ["--seeds", "[1, 1]"], "seeds: expected different numbers, not \\[1, 1\\]"),
        (RUNS, ["--seeds", "[]"], "seeds: expected different numbers"),
        (RUNS, ["--jobs", "0"], "jobs must be a whole number from 1 to 1024, or null, not 0"),
        ("run: {a: {}}\n", [], "run is no setting of an ablation"),
        (f"{RUNS}trial_sets: {{}}\n", [], "trial_sets: there are none"),
        (f"{RUNS}trial_sets: {{a: {{scores: b}}}}\n", [], "trial set a: scores can't be set"),
        (f"{RUNS}presets: [1, [\n", [], "is not valid YAML"),
    ],
)
def test_bad_plans(tmp_path, text, options, message):
    with pytest.raises(InputError, match=message):
        plan_of(tmp_path, text, *options).chosen_tasks()


VALUES = [None, True, 3, -1e-5, 1e30, 0.1, [1, 2], {"a": {"b": [None, 0.5]}, "c": False}, []]
TEXTS = ["a: b", "#c", "null", "true", "1e-5", "- x", "it's", "[", "ü", "!ref <seed>"]


@pytest.mark.parametrize("value", [*VALUES, *TEXTS, {"a": TEXTS}])
def test_a_value_on_one_line_is_read_as_it_was(value):
    text = flow(value)
    assert "\n" not in text and YAML().load(text) == value


@pytest.mark.parametrize("value", VALUES)
def test_a_value_comes_through_a_command_line(value):
    ((name, read),), _ = split_settings(["--key", flow(value)], {"key": 1.0})
    assert name == "key" and read == value
