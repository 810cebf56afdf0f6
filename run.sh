#!/usr/bin/env bash
# Runs the whole recipe on the demo corpus, stage by stage, or its tests: ./run.sh -h says how.
set -euo pipefail
start_dir=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

STAGES=(environment corpus manifests training verification)
source local/stages.sh
again=./run.sh
PYTHON=.venv/bin/python
wanted_python=

usage() {
  cat <<'END'
Usage: ./run.sh [--python PATH] [--stage N] [--stop-stage M]
       ./run.sh [--python PATH] test [arguments of pytest]
       ./run.sh [--python PATH] gpu [arguments of tests/benchmarks/gpu.py]

Trains a speaker embedding on the demo corpus and verifies other speakers with it:

  0  environment   .venv, with the packages of requirements.txt
  1  corpus        synthetic speech, in data/demo
  2  manifests     the corpus, checked
  3  training      the model, in results/vgg_demo
  4  verification  equal error rate and DET plot

With "test": makes the environment, with the packages of requirements-dev.txt, and runs the tests.
With "gpu": the same environment; then what an NVIDIA GPU can tell in ten minutes, in results/gpu.json.

  --python PATH    makes .venv with this Python (3.11 to 3.14; run.sh looks for one otherwise)
  --stage N        starts at stage N (0)
  --stop-stage M   stops after stage M (4)
  -h, --help       prints this
END
}

# --- environment

is_right_version() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}

# Prints the name of a Python that can make the environment.
find_python() {
  # The versions on which the tests have run come first.
  local name names=(python3.13 python3.12 python3.11 python3.14 python3 python) without_venv=
  [[ -z $wanted_python ]] || names=("$wanted_python")
  for name in "${names[@]}"; do
    is_right_version "$name" || continue
    if "$name" -c 'import ensurepip, venv' 2>/dev/null; then
      echo "$name"
      return
    fi
    without_venv=$name
  done
  [[ -z $without_venv ]] ||
    die "$without_venv can't make environments: it lacks venv or ensurepip" \
      "(on Debian and Ubuntu: apt-get install python3-venv)"
  [[ -z $wanted_python ]] || die "--python $wanted_python is not a Python of version 3.11 to 3.14"
  die "found no Python of version 3.11 to 3.14; install one, or name it: ./run.sh --python PATH"
}

# Succeeds if .venv works and, with --python, was made by that Python.
has_environment() {
  is_right_version "$PYTHON" && "$PYTHON" -m pip --version >/dev/null 2>&1 || return 1
  [[ -z $wanted_python ]] || [[ $(version "$PYTHON") == "$(version "$wanted_python")" ]]
}

version() {
  "$1" -c 'import sys; print(sys.version)'
}

make_environment() {
  local python
  python=$(find_python)
  echo "making .venv with $python"
  rm -rf .venv
  "$python" -m venv .venv
}

# .venv holds copies of the requirements that were last installed completely.
are_installed() {
  local requirements
  for requirements in "$@"; do
    cmp -s "$requirements" ".venv/$requirements" || return 1
  done
}

# Takes requirement files; the last one includes the others.
prepare_environment() {
  has_environment || make_environment
  if are_installed "$@"; then
    echo "the packages are installed (to use them yourself: source .venv/bin/activate)"
    return
  fi
  echo "installing packages: about 5 GB, a few minutes"
  rm -f .venv/requirements*.txt
  "$PYTHON" -m pip install --disable-pip-version-check -r "${!#}"
  cp "$@" .venv
}

# --- stages

stage_0() { prepare_environment requirements.txt; }
stage_1() { "$PYTHON" local/corpora/demo.py data/demo; }
stage_2() { "$PYTHON" recipes/prepare.py hparams/vgg.yaml; }
# 240 of 6,400 updates are enough for synthetic voices.
stage_3() { "$PYTHON" recipes/train_vgg.py hparams/vgg.yaml --number_of_epochs 3 --validate_every 80; }
stage_4() { "$PYTHON" recipes/verify.py hparams/verify.yaml; }

run_tests() {
  prepare_environment requirements.txt requirements-dev.txt
  # A test file at a time to each core: its tests share what they have trained.
  exec "$PYTHON" -m pytest -n auto --dist loadscope --no-loadscope-reorder "$@"
}

run_on_gpu() {
  nvidia-smi -L >/dev/null 2>&1 || die "gpu: there is no NVIDIA GPU here (nvidia-smi -L shows none)"
  prepare_environment requirements.txt requirements-dev.txt
  exec "$PYTHON" tests/benchmarks/gpu.py "$@"
}

# --- command line

# Makes a relative path absolute; a bare name, which is looked up in PATH, stays as it is.
from_start_dir() {
  case $1 in
    /*) echo "$1" ;;
    */*) echo "$start_dir/$1" ;;
    *) echo "$1" ;;
  esac
}

main() {
  local first=0 last=4
  while [[ $# -gt 0 ]]; do
    case $1 in
      -h | --help) usage; exit ;;
      test) run_tests "${@:2}" ;;
      gpu) run_on_gpu "${@:2}" ;;
      --python | --stage | --stop-stage | --stop_stage) ;;
      *) refuse "unknown argument '$1'" ;;
    esac
    [[ $# -ge 2 ]] || refuse "$1 takes a value"
    case $1 in
      --python) wanted_python=$(from_start_dir "$2") ;;
      --stage) check_stage "$1" "$2"; first=$2 ;;
      *) check_stage "$1" "$2"; last=$2 ;;
    esac
    shift 2
  done
  [[ $first -le $last ]] || refuse "--stage $first comes after --stop-stage $last"
  [[ $first -eq 0 || -x $PYTHON ]] || die "there is no .venv yet: run stage 0 first"
  run_stages "$first" "$last"
}

main "$@"
