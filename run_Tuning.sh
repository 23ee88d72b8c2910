#!/usr/bin/env bash
# Tuning curves and cell types of every recorded layer.
#
#   bash run_Tuning.sh                  here
#   SUBMIT=1 bash run_Tuning.sh         on the cluster, in the partition of site.env
#   sbatch run_Tuning.sh                on the cluster, with sbatch's own defaults
#   DRY_RUN=1 bash run_Tuning.sh        only print the commands
#
#SBATCH --job-name=tuning
#SBATCH --output=logdir/slurm-%x-%j.out
#SBATCH --time=08:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
set -euo pipefail

# Settings
LOGDIR=${LOGDIR:-}                    # folder of the training run
DATA=${DATA:-$LOGDIR/trajectories}
TEST_DATA=${TEST_DATA:-}
SAVE=${SAVE:-$LOGDIR/tuning_results}
CONTROL=${CONTROL:-${DATA}_untrained} # used when it exists
LAYERS=${LAYERS:-}                    # empty: all
MAX_NEURONS=${MAX_NEURONS:-0}         # per layer; 0: all
N_SHUFFLES=${N_SHUFFLES:-200}         # 0: no nulls
SI_THRESH=${SI_THRESH:-0.5}
EV_THRESH=${EV_THRESH:-0.5}
EV_UNTHRESH=${EV_UNTHRESH:-0.15}
HD_THRESH=${HD_THRESH:-0.5}
N_JOBS=${N_JOBS:--1}
SEED=${SEED:-0}
EXTRA=${EXTRA:-}

SELF=${BASH_SOURCE[0]}
ROOT=${ROOT:-${SLURM_SUBMIT_DIR:-$(cd "$(dirname "$SELF")" && pwd)}}
# shellcheck source=slurm/common.sh
source "$ROOT/slurm/common.sh"

submit_self cpu
flags=()
add_control
[ -z "$TEST_DATA" ] || flags+=(--test_data "$TEST_DATA")
read -ra layers <<<"$LAYERS"
[ -z "$LAYERS" ] || flags+=(--layers "${layers[@]}")
read -ra extra <<<"$EXTRA"

run "$PYTHON" "${HERE}dreamerv3/tuning_curve.py" \
  --data "$DATA" \
  --save "$SAVE" \
  --max_neurons "$MAX_NEURONS" \
  --n_shuffles "$N_SHUFFLES" \
  --SI_thresh "$SI_THRESH" \
  --EV_thresh "$EV_THRESH" \
  --EV_unthresh "$EV_UNTHRESH" \
  --HD_thresh "$HD_THRESH" \
  --n_jobs "$N_JOBS" \
  --seed "$SEED" \
  "${flags[@]}" "${extra[@]}"
