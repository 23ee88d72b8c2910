#!/usr/bin/env bash
# Decodes the position from deter, stoch and both.
#
#   bash run_Decoding.sh                here
#   SUBMIT=1 bash run_Decoding.sh       on the cluster, in the partition of site.env
#   sbatch run_Decoding.sh              on the cluster, with sbatch's own defaults
#   DRY_RUN=1 bash run_Decoding.sh      only print the commands
#
#SBATCH --job-name=decoding
#SBATCH --output=logdir/slurm-%x-%j.out
#SBATCH --time=04:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --gres=gpu:1
set -euo pipefail

# Settings
LOGDIR=${LOGDIR:-}                    # folder of the training run
DATA=${DATA:-$LOGDIR/trajectories}
SAVE=${SAVE:-$LOGDIR/decoder_results}
CONTROL=${CONTROL:-${DATA}_untrained} # used when it exists
REPR=${REPR:-all}                     # deter, stoch, combined, all
HOLDOUT_FRAC=${HOLDOUT_FRAC:-0.2}     # share of episodes; 0: cross-validation
SAVE_MODEL=${SAVE_MODEL:-1}           # needed for dreams
DEVICE=${DEVICE:-$(command -v nvidia-smi >/dev/null && echo cuda || echo cpu)}
N_JOBS=${N_JOBS:--1}
MIN_BBOX=${MIN_BBOX:-0}
SEED=${SEED:-0}
EXTRA=${EXTRA:-}

SELF=${BASH_SOURCE[0]}
ROOT=${ROOT:-${SLURM_SUBMIT_DIR:-$(cd "$(dirname "$SELF")" && pwd)}}
# shellcheck source=slurm/common.sh
source "$ROOT/slurm/common.sh"

submit_self gpu
flags=()
[ "$SAVE_MODEL" != 1 ] || flags+=(--save_model)
add_control
read -ra extra <<<"$EXTRA"

run "$PYTHON" "${HERE}dreamerv3/decode_position.py" \
  --data "$DATA" \
  --save "$SAVE" \
  --repr "$REPR" \
  --holdout_frac "$HOLDOUT_FRAC" \
  --device "$DEVICE" \
  --n_jobs "$N_JOBS" \
  --min_bbox "$MIN_BBOX" \
  --seed "$SEED" \
  "${flags[@]}" "${extra[@]}"
