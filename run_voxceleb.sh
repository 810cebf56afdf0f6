#!/usr/bin/env bash
# From VoxCeleb on the disk to the figures that papers have: ./run_voxceleb.sh -h says how.
set -euo pipefail
recipe=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

STAGES=(lists training fine-tuning verification report)
source "$recipe/local/stages.sh"
again=$(printf '%q ' "$0" "$@")
again=${again% }

python=$recipe/.venv/bin/python
out_dir=results/voxceleb
num_gpus=1
corpus=()    # what local/corpora/voxceleb.py takes
training=()  # what both trainings take
presets=()

usage() {
  cat <<'END'
Usage: ./run_voxceleb.sh --vox1_dir V1 --vox2_dir V2 --lists_dir L [options]

Trains on VoxCeleb2 dev and verifies the speakers of VoxCeleb1, in OUT_DIR:

  0  lists         labels and the official trials, in lists
  1  training      by hparams/presets/voxceleb.yaml, in training
  2  fine-tuning   with a large margin, by voxceleb_large_margin.yaml, in large_margin
  3  verification  of VoxCeleb1-O, -E and -H, in verification: cosine, and as_norm, adaptive s-norm
  4  report        of all these, in report

The same command goes on where an earlier one stopped. Several machines: see slurm/.

  --vox1_dir V1          VoxCeleb1, dev and test
  --vox2_dir V2          VoxCeleb2, dev
  --lists_dir L          veri_test2.txt, list_test_all2.txt, list_test_hard2.txt
  --convert_to flac DIR  converts .m4a to files below DIR
  --allow_missing        goes on where recordings or trials are missing
  --noise_dir MUSAN      recordings of noise for the trainings, else made
  --rir_dir RIRS_NOISES  recordings of rooms, else made
  --preset FILE          other settings of both trainings; may come several times. Those of
                         voxceleb_large_margin.yaml come after them
  --num_gpus N           processes that train and verify (1)
  --out_dir OUT_DIR      where all results go (results/voxceleb)
  --python PATH          with the packages of requirements.txt (.venv/bin/python, from run.sh)
  --stage N              starts at stage N (0); from 1 on, V1, V2 and L are known from the lists
  --stop-stage M         stops after stage M (4)
  -h, --help             prints this
END
}

# Prints a command, and runs it.
run() {
  printf '+'
  printf ' %q' "$@"
  echo
  "$@"
}

# Runs a script of recipes/ in as many processes as there are GPUs.
run_on_gpus() {
  local command=("$python")
  [[ $num_gpus -eq 1 ]] ||
    command+=(-m torch.distributed.run --standalone "--nproc_per_node=$num_gpus")
  run "${command[@]}" "$recipe/recipes/$1" "${@:2}"
}

# Prints where the paths of the lists are looked up: train_data_dir or valid_data_dir.
data_dir() {
  [[ -f $out_dir/lists/data_dirs.json ]] || die "$out_dir/lists: has no lists yet: run stage 0 first"
  "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' \
    "$out_dir/lists/data_dirs.json" "$1"
}

# Sets trial_lists to those that are there, one of each kind: cleaned, or as first published.
find_trial_lists() {
  local kind path
  trial_lists=()
  for kind in o e h; do
    for path in "$out_dir/lists/vox1_${kind}_cleaned.txt" "$out_dir/lists/vox1_$kind.txt"; do
      [[ ! -f $path ]] || { trial_lists+=("$path"); break; }
    done
  done
  [[ ${#trial_lists[@]} -gt 0 ]] || die "$out_dir/lists: has no lists of trials: run stage 0 first"
}

# --- stages

stage_0() {
  run "$python" "$recipe/local/corpora/voxceleb.py" --out_dir "$out_dir/lists" --train vox2 \
    "${corpus[@]}"
}

# Takes presets and more arguments of the training.
train() {
  local train_dir valid_dir lists=$out_dir/lists
  train_dir=$(data_dir train_data_dir)
  valid_dir=$(data_dir valid_data_dir)
  run_on_gpus train_vgg.py "$recipe/hparams/vgg.yaml" \
    --preset "$recipe/hparams/presets/voxceleb.yaml" "${presets[@]}" "$@" "${training[@]}" \
    --train_data_dir "$train_dir" --train_labels_path "$lists/train_labels.txt" \
    --valid_data_dir "$valid_dir" --valid_clients "$lists/valid_clients.txt" \
    --valid_impostors "$lists/valid_impostors.txt"
}

stage_1() { train --out_dir "$out_dir/training"; }

stage_2() {
  train --preset "$recipe/hparams/presets/voxceleb_large_margin.yaml" \
    --init_from "$out_dir/training" --out_dir "$out_dir/large_margin"
}

# Takes the name of a back-end and its settings.
verify() {
  local valid_dir path trials=()
  valid_dir=$(data_dir valid_data_dir)
  find_trial_lists
  for path in "${trial_lists[@]}"; do trials+=(--trials "$path"); done
  run_on_gpus verify.py "$recipe/hparams/verify.yaml" --model_dir "$out_dir/large_margin" \
    --valid_data_dir "$valid_dir" "${trials[@]}" --speakers "$out_dir/lists/vox1_speakers.txt" \
    --keep_embeddings True --output_dir "$out_dir/verification/$1" "${@:2}"
}

stage_3() {
  verify cosine
  verify as_norm --score_norm as
}

stage_4() {
  local path place back_end scores=()
  find_trial_lists
  for path in "${trial_lists[@]}"; do
    for back_end in cosine as_norm; do
      # Of several lists, each has a folder of its own.
      place=$out_dir/verification/$back_end
      [[ ! -d $place/$(basename "$path" .txt) ]] || place+=/$(basename "$path" .txt)
      scores+=(--scores "$place/scores.txt")
    done
  done
  run "$python" "$recipe/recipes/verify.py" "$recipe/hparams/verify.yaml" "${scores[@]}" \
    --speakers "$out_dir/lists/vox1_speakers.txt" --output_dir "$out_dir/report"
}

# --- command line

main() {
  local first=0 last=4 needed
  while [[ $# -gt 0 ]]; do
    case $1 in
      -h | --help) usage; exit ;;
      --allow_missing) corpus+=("$1"); shift; continue ;;
      --convert_to)
        [[ $# -ge 3 ]] || refuse "$1 takes a kind of file and a folder"
        corpus+=("${@:1:3}"); shift 3; continue ;;
      --vox1_dir | --vox2_dir | --lists_dir | --noise_dir | --rir_dir | --preset | --num_gpus) ;;
      --out_dir | --python | --stage | --stop-stage | --stop_stage) ;;
      *) refuse "unknown argument '$1'" ;;
    esac
    [[ $# -ge 2 ]] || refuse "$1 takes a value"
    case $1 in
      --vox1_dir | --vox2_dir | --lists_dir) corpus+=("$1" "$2") ;;
      --noise_dir | --rir_dir) training+=("$1" "$2") ;;
      --preset) presets+=("$1" "$2") ;;
      --num_gpus)
        [[ $2 =~ ^[1-9][0-9]*$ ]] || refuse "$1 takes a number from 1 on, not '$2'"
        num_gpus=$2 ;;
      --out_dir) out_dir=$2 ;;
      --python) python=$2 ;;
      --stage) check_stage "$1" "$2"; first=$2 ;;
      *) check_stage "$1" "$2"; last=$2 ;;
    esac
    shift 2
  done
  [[ $first -le $last ]] || refuse "--stage $first comes after --stop-stage $last"
  for needed in --vox1_dir --vox2_dir --lists_dir; do
    [[ $first -gt 0 || " ${corpus[*]} " == *" $needed "* ]] || refuse "$needed is needed"
  done
  command -v "$python" >/dev/null ||
    die "there is no $python: make it by ./run.sh --stop-stage 0, or name a Python by --python"
  run_stages "$first" "$last"
}

main "$@"
