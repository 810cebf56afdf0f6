"""run.sh and .ci/run with a stand-in for Python that notes its calls: nothing is installed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ["bash", "cat", "cmp", "cp", "dirname", "env", "mkdir", "rm"]

# Adds its arguments to the file calls; fails with 7 where they contain $FAIL_ON.
STAND_IN = """#!/usr/bin/env bash
echo "$*" >> "$RECIPE/calls"
if [[ -n ${FAIL_ON-} && $* == *"$FAIL_ON"* ]]; then exit 7; fi
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/ruff" ;;
  "-m pytest"*) echo "3 passed" ;;
  "-c import sys; print(sys.version)") echo "version of $(cat "$0.version" 2>/dev/null)" ;;
esac
"""


@pytest.fixture
def recipe(tmp_path):
    """A folder with run.sh and its requirements, and a PATH of few tools and no Python."""
    for name in ("run.sh", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "local").mkdir()
    shutil.copy(ROOT / "local/stages.sh", tmp_path / "local")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return tmp_path


@pytest.fixture
def recipe_with_python(recipe):
    add_python(recipe / "bin" / "python3")
    return recipe


def add_python(path, text=STAND_IN):
    path.write_text(text)
    path.chmod(0o755)


def run(recipe, *arguments, cwd=None, **environment):
    return subprocess.run(
        [recipe / "run.sh", *arguments],
        cwd=cwd or recipe,
        env={"PATH": str(recipe / "bin"), "RECIPE": str(recipe), **environment},
        capture_output=True,
        text=True,
    )


def calls(recipe):
    """What Python was called for, without the checks of its version and modules."""
    lines = (recipe / "calls").read_text().splitlines()
    (recipe / "calls").unlink()
    return [line for line in lines if not line.startswith(("-c", "-m pip --version"))]


INSTALL = "-m pip install --disable-pip-version-check -r"
STAGES = [
    "local/corpora/demo.py data/demo",
    "recipes/prepare.py hparams/vgg.yaml",
    "recipes/train_vgg.py hparams/vgg.yaml --number_of_epochs 3 --validate_every 80",
    "recipes/verify.py hparams/verify.yaml",
]


def test_is_valid_bash():
    subprocess.run(["bash", "-n", ROOT / "run.sh", ROOT / ".ci/run"], check=True)


def test_help_names_stages_and_options(recipe):
    result = run(recipe, "-h")
    assert result.returncode == 0
    for word in ("environment", "verification", "--stage N", "--stop-stage M", "--python", "test"):
        assert word in result.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--stages", "1"], "unknown argument '--stages'"),
        (["tests"], "unknown argument 'tests'"),
        (["--stage", "5"], "--stage takes a number from 0 to 4, not '5'"),
        (["--stop-stage", "-1"], "--stop-stage takes a number from 0 to 4, not '-1'"),
        (["--stage", "one"], "--stage takes a number from 0 to 4, not 'one'"),
        (["--stage"], "--stage takes a value"),
        (["--stage", "3", "--stop-stage", "1"], "--stage 3 comes after --stop-stage 1"),
    ],
)
def test_wrong_arguments_are_named(recipe, arguments, message):
    result = run(recipe, *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_says_when_there_is_no_python(recipe):
    result = run(recipe)
    assert result.returncode == 1
    assert "found no Python of version 3.11 to 3.14; install one, or name it" in result.stderr
    assert not (recipe / ".venv").exists()


def test_says_when_the_python_named_is_not_one(recipe_with_python):
    result = run(recipe_with_python, "--python", "python3.10")
    assert result.returncode == 1
    assert "--python python3.10 is not a Python of version 3.11 to 3.14" in result.stderr


def test_says_when_python_lacks_venv(recipe_with_python):
    result = run(recipe_with_python, FAIL_ON="ensurepip")
    assert result.returncode == 1
    assert "python3 can't make environments" in result.stderr
    assert "apt-get install python3-venv" in result.stderr


def test_takes_a_version_that_is_tested(recipe_with_python):
    for version in ("3.12", "3.14"):
        add_python(recipe_with_python / "bin" / f"python{version}")
    add_python(recipe_with_python / "bin" / "python3.13", "#!/usr/bin/env bash\nexit 1\n")
    result = run(recipe_with_python, "--stop-stage", "0")
    assert "making .venv with python3.12" in result.stdout


def test_runs_all_stages_from_another_folder(recipe_with_python):
    result = run(recipe_with_python, cwd="/")
    assert result.returncode == 0, result.stderr
    assert calls(recipe_with_python) == ["-m venv .venv", f"{INSTALL} requirements.txt", *STAGES]
    assert result.stdout.count("== stage") == 5


def test_runs_the_stages_asked_for(recipe_with_python):
    run(recipe_with_python, "--stop-stage", "0")
    calls(recipe_with_python)
    result = run(recipe_with_python, "--stage", "2", "--stop_stage", "3")
    assert result.returncode == 0, result.stderr
    assert calls(recipe_with_python) == STAGES[1:3]


def test_later_stage_without_environment(recipe_with_python):
    result = run(recipe_with_python, "--stage", "3")
    assert result.returncode == 1
    assert "there is no .venv yet: run stage 0 first" in result.stderr


def test_failing_stage_is_named_and_ends_the_run(recipe_with_python):
    result = run(recipe_with_python, FAIL_ON="train_vgg")
    assert result.returncode == 7
    assert "stage 3 (training) did not finish" in result.stderr
    assert "./run.sh --stage 3" in result.stderr
    assert calls(recipe_with_python)[-1] == STAGES[2]


def test_installs_again_only_after_a_change(recipe_with_python):
    recipe = recipe_with_python
    run(recipe, "--stop-stage", "0")
    calls(recipe)
    run(recipe, "--stop-stage", "0")
    assert calls(recipe) == []
    with open(recipe / "requirements.txt", "a") as file:
        file.write("another==1.0\n")
    run(recipe, "--stop-stage", "0")
    assert calls(recipe) == [f"{INSTALL} requirements.txt"]


def test_failed_installation_is_taken_up_again(recipe_with_python):
    result = run(recipe_with_python, FAIL_ON="pip install")
    assert result.returncode == 7
    assert "stage 0 (environment) did not finish" in result.stderr
    calls(recipe_with_python)
    run(recipe_with_python, "--stop-stage", "0")
    assert calls(recipe_with_python) == [f"{INSTALL} requirements.txt"]


def test_half_made_environment_is_made_again(recipe_with_python):
    (recipe_with_python / ".venv").mkdir()
    (recipe_with_python / ".venv" / "left-over").touch()
    run(recipe_with_python, "--stop-stage", "0")
    assert calls(recipe_with_python)[0] == "-m venv .venv"
    assert not (recipe_with_python / ".venv" / "left-over").exists()


def test_another_python_makes_another_environment(recipe_with_python):
    recipe = recipe_with_python
    add_python(recipe / "other")
    (recipe / "other.version").write_text("another version")
    run(recipe, "--stop-stage", "0")
    calls(recipe)
    run(recipe, "--python", "python3", "--stop-stage", "0")
    assert calls(recipe) == []
    run(recipe, "--python", "./other", "--stop-stage", "0")
    assert calls(recipe)[0] == "-m venv .venv"


def test_tests_run_in_the_development_environment(recipe_with_python):
    result = run(recipe_with_python, "test", "-k", "some name")
    assert result.returncode == 0, result.stderr
    assert calls(recipe_with_python) == [
        "-m venv .venv",
        f"{INSTALL} requirements-dev.txt",
        "-m pytest -n auto --dist loadscope --no-loadscope-reorder -k some name",
    ]
    assert result.stdout.endswith("3 passed\n")


def test_a_gpu_is_measured_in_the_development_environment(recipe_with_python):
    add_python(recipe_with_python / "bin" / "nvidia-smi", "#!/usr/bin/env bash\n")
    result = run(recipe_with_python, "gpu", "--out_dir", "here")
    assert result.returncode == 0, result.stderr
    assert calls(recipe_with_python)[1:] == [
        f"{INSTALL} requirements-dev.txt",
        "tests/benchmarks/gpu.py --out_dir here",
    ]


@pytest.mark.parametrize("has_driver", [False, True])
def test_without_a_gpu_nothing_is_installed(recipe_with_python, has_driver):
    if has_driver:
        failing = "#!/usr/bin/env bash\necho 'No devices were found'\nexit 6\n"
        add_python(recipe_with_python / "bin" / "nvidia-smi", failing)
    result = run(recipe_with_python, "gpu")
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.splitlines() == [
        "run.sh: gpu: there is no NVIDIA GPU here (nvidia-smi -L shows none)"
    ]
    assert not (recipe_with_python / ".venv").exists()


def test_exit_code_of_the_tests_is_passed_on(recipe_with_python):
    assert run(recipe_with_python, "test", FAIL_ON="pytest").returncode == 7


def test_ci_runs_the_tests_and_checks_the_style(recipe_with_python):
    recipe = recipe_with_python
    (recipe / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", recipe / ".ci/run")
    environment = {"PATH": f"{recipe}/bin", "RECIPE": str(recipe)}
    subprocess.run([recipe / ".ci/run", "--python", "python3"], env=environment, check=True)
    assert [call.strip() for call in calls(recipe)[-3:]] == [
        "-m pytest -n auto --dist loadscope --no-loadscope-reorder",
        "check .",
        "format --check .",
    ]
    assert os.access(ROOT / ".ci/run", os.X_OK)
