import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local import command_line
from local.errors import InputError
from local.machine.signals import Stopped

SCRIPTS = sorted((Path(__file__).resolve().parents[1] / "recipes").glob("*.py"))


@pytest.fixture
def yaml_path(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("seed: 1  # of everything random\nwidth: 64\nnames: !ref <seed> + <width>\n")
    return path


def load(*arguments):
    return command_line.load_hparams([str(argument) for argument in arguments])


def test_command_line_comes_after_presets_and_these_after_the_file(yaml_path, tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("seed: 10\nwidth: 20\n")
    second.write_text("width: 30\n")
    _, hparams, _, overrides = load(
        yaml_path, "--preset", first, f"--preset={second}", "--seed", "100"
    )
    assert hparams == {"seed": 100, "width": 30, "names": 130}
    assert dict(overrides) == {"seed": 100, "width": 30}


def test_preset_reaches_into_objects(tmp_path):
    path, preset = tmp_path / "some.yaml", tmp_path / "preset.yaml"
    path.write_text("width: 64\nsizes: !new:collections.Counter\n  a: 1\n  b: 2\n")
    preset.write_text("sizes:\n  a: !ref <width>\n")
    assert load(path, "--preset", preset)[1]["sizes"] == {"a": 64, "b": 2}


def test_run_options_are_speechbrains(yaml_path):
    _, hparams, run_opts, _ = load(yaml_path, "--device", "cpu", "--noprogressbar")
    assert run_opts.device == "cpu" and run_opts.noprogressbar
    assert hparams["seed"] == 1


@pytest.mark.parametrize("again", [["--seed", "3"], ["--seed=3"]])
def test_last_of_several_values_counts(yaml_path, again):
    _, hparams, _, overrides = load(yaml_path, "--seed", "2", "--width", "8", *again)
    assert hparams == {"seed": 3, "width": 8, "names": 11}
    assert dict(overrides) == {"seed": 3, "width": 8}


@pytest.mark.parametrize("given", [["--nonfinite_patience", "5"], ["--nonfinite_patience=5"]])
def test_run_option_without_effect_is_refused(yaml_path, given):
    with pytest.raises(InputError, match="--nonfinite_patience: training ends at the first loss"):
        load(yaml_path, *given)


def test_run_option_that_is_a_setting_changes_it(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("precision: auto\n")
    assert load(path, "--precision", "bf16")[1]["precision"] == "bf16"


@pytest.mark.parametrize("old, new", [("stored", "features"), ("audio", "audio")])
def test_setting_under_its_old_name(tmp_path, old, new):
    path, preset = tmp_path / "some.yaml", tmp_path / "preset.yaml"
    path.write_text("train_on: audio\n")
    preset.write_text(f"features: {old}\n")
    for arguments in (("--features", old), ("--preset", preset)):
        _, hparams, _, overrides = load(path, *arguments)
        assert hparams == overrides == {"train_on": new}


def test_unknown_override_is_named(yaml_path):
    with pytest.raises(InputError, match="widht: .*some.yaml has no such setting .*width"):
        load(yaml_path, "--widht", "3")


def test_missing_files_are_named(yaml_path, tmp_path):
    with pytest.raises(InputError, match="none.yaml: can't be read"):
        load(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="none.yaml: can't be read"):
        load(yaml_path, "--preset", tmp_path / "none.yaml")
    with pytest.raises(InputError, match="first argument"):
        load("--seed", "1")


def test_broken_yaml_is_named(yaml_path, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1,\n")
    with pytest.raises(InputError, match="broken.yaml"):
        load(broken)
    with pytest.raises(InputError, match="broken.yaml: is not valid YAML"):
        load(yaml_path, "--preset", broken)


def test_placeholder_is_reported_with_its_key(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("data: !PLACEHOLDER\n")
    with pytest.raises(InputError, match="data"):
        load(path)


def test_wrong_setting_of_an_object_is_a_message(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("pooling: !apply:local.models.pooling.make_pooling [8, mean]\n")
    with pytest.raises(InputError, match="'mean' is unknown: take one of attention"):
        load(path)


def exit_code(main):
    with pytest.raises(SystemExit) as stop:
        command_line.run(main)
    return stop.value.code


def test_input_error_is_a_message_and_1(capsys):
    def main(arguments):
        raise InputError("labels.txt:3: wrong")

    assert exit_code(main) == 1
    assert capsys.readouterr().err == "\nlabels.txt:3: wrong\n"


def test_interruption_says_how_to_go_on(capsys):
    def main(arguments):
        raise KeyboardInterrupt

    assert exit_code(main) == 130
    assert "same command continues" in capsys.readouterr().err


def test_stopped_run_has_the_status_of_its_signal(capsys):
    def main(arguments):
        raise Stopped(signal.SIGTERM, "Stopped in epoch 3.")

    assert exit_code(main) == os.EX_TEMPFAIL
    assert capsys.readouterr().err == "\nStopped in epoch 3.\n"


@pytest.mark.parametrize("rank", ["0", "1"])
@pytest.mark.parametrize(
    "error, shown",
    [
        (InputError("labels.txt:3: wrong"), "labels.txt:3: wrong"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero. This ends all processes."),
        (
            RuntimeError("[/gloo/pair.cc] closed"),
            f"RuntimeError: [/gloo/pair.cc] closed\n{command_line.LOST_CONNECTION}",
        ),
        (
            RuntimeError("NCCL error: unhandled cuda error"),
            f"RuntimeError: NCCL error: unhandled cuda error\n{command_line.LOST_CONNECTION}",
        ),
    ],
)
def test_end_of_one_of_many_processes(error, shown, rank, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    monkeypatch.setattr(command_line, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(command_line.signal, "signal", lambda number, handler: None)
    monkeypatch.setattr(command_line.logging, "shutdown", lambda: None)
    monkeypatch.setattr(command_line.os, "_exit", sys.exit)
    # SpeechBrain replaces it when an experiment begins.
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)

    def main(arguments):
        raise error

    assert exit_code(main) == 1
    printed = capsys.readouterr().err
    is_shared = isinstance(error, InputError)
    named = shown if rank == "0" and is_shared else f"[process {rank}] {shown}"
    assert printed.endswith(f"\n{named}\n")
    assert ("Traceback" in printed) == isinstance(error, ZeroDivisionError)
    # What torchrun shows as the root cause.
    assert json.loads((tmp_path / "error.json").read_text())["message"]["message"] == named


@pytest.mark.parametrize("script, setting", [("train_vgg", "pooling"), ("verify", "model_dir")])
def test_help_lists_the_settings_without_loading_torch(script, setting, pytestconfig, tmp_path):
    path = pytestconfig.rootpath / "recipes" / f"{script}.py"
    code = (
        f"import runpy, sys; sys.argv = [{str(path)!r}, '-h']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print('torch loaded:', 'torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 0
    assert f"python recipes/{script}.py" in result.stdout
    assert f"--{setting}" in result.stdout
    assert "torch loaded: False" in result.stdout


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_says_from_anywhere_what_it_takes(path, tmp_path):
    command = [sys.executable, path, "-h"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0 and not result.stderr
    assert path.name in result.stdout and "--" in result.stdout
