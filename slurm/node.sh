#!/usr/bin/env bash
# What slurm/train.sbatch runs on each machine: torchrun, with as many processes as there are GPUs.
#
#     bash slurm/node.sh SCRIPT [arguments]
set -u
PYTHON=${PYTHON:-.venv/bin/python}
first_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# Slurm signals this script only. USR1 is for the processes: torchrun would end by it, so it ignores
# it, as they do until they have come to the training. TERM is for torchrun, which passes it on.
(
  trap '' USR1
  exec "$PYTHON" slurm/torchrun.py \
    --nnodes="$SLURM_NNODES" --nproc_per_node="${NUM_PROCESSES:-${SLURM_GPUS_ON_NODE:-1}}" \
    --rdzv_backend=c10d --rdzv_id="$SLURM_JOB_ID" \
    --rdzv_endpoint="${RDZV_HOST:-$first_node}:$((20000 + SLURM_JOB_ID % 20000))" \
    --rdzv_conf=is_host=$((SLURM_NODEID == 0)) "$@"
) &
agent=$!
trap 'pkill -USR1 -P "$agent"' USR1
# Once: a second one would interrupt torchrun while it ends its processes.
trap 'trap : TERM; kill -TERM "$agent"' TERM
while kill -0 "$agent" 2>/dev/null; do wait "$agent"; done
wait "$agent"
