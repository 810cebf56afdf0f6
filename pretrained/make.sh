#!/usr/bin/env bash
# Makes this model again, in 50 minutes a seed, on one core: pretrained/make.sh SPEECHOCEAN762 GCOMPRIS OUT_DIR [SEED ...]
#
# SPEECHOCEAN762 has audio/, train_labels.txt (101 speakers) and the trials of 20 others, dev_clients.txt and
# dev_impostors.txt; GCOMPRIS has audio/, clients.txt and impostors.txt. The seed is chosen by the EER on both.
set -euo pipefail
(($# >= 3)) || { sed -n '2,5s/^# \?//p' "$0"; exit 2; }
corpus=$(realpath "$1") others=$(realpath "$2") out_dir=$(realpath -m "$3")
shift 3
cd "$(dirname "${BASH_SOURCE[0]}")/.."
own=(--valid_data_dir "$corpus/audio" --valid_clients "$corpus/dev_clients.txt"
  --valid_impostors "$corpus/dev_impostors.txt")
foreign=(--valid_data_dir "$others/audio" --valid_clients "$others/clients.txt"
  --valid_impostors "$others/impostors.txt")

for seed in "${@:-1986}"; do
  run=$out_dir/seed_$seed
  python recipes/train_vgg.py hparams/vgg.yaml --validate_every 1200 --seed "$seed" \
    --train_data_dir "$corpus/audio" --train_labels_path "$corpus/train_labels.txt" "${own[@]}" --out_dir "$run"
  python recipes/verify.py hparams/verify.yaml --model_dir "$run" "${own[@]}"
  python recipes/calibrate.py hparams/calibrate.yaml --scores "$run/verification/scores.txt" --p_target 0.5 \
    --keep_calibration True --model_dir "$run"
  python recipes/verify.py hparams/verify.yaml --model_dir "$run" "${foreign[@]}" \
    --output_dir "$run/foreign" --calibration "$run/verification/calibration.json"
  python recipes/export_model.py hparams/export.yaml --model_dir "$run" --export_dir "$run/export"
done
