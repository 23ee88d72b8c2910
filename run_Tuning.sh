#!/usr/bin/env bash
# Tuning curves and cell types of every recorded layer.
#
#   bash run_Tuning.sh LOGDIR=logdir/my_run
#   DRY_RUN=1 bash run_Tuning.sh LOGDIR=logdir/my_run   only prints the commands
#   SUBMIT=1 bash run_Tuning.sh LOGDIR=logdir/my_run --time=1:00:00   with sbatch, and site.env
#   sbatch run_Tuning.sh LOGDIR=logdir/my_run   with the defaults of sbatch
#   bash run_Tuning.sh --help   every setting
#
#SBATCH --job-name=tuning
#SBATCH --output=slurm-%x-%j.out
#SBATCH --time=08:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
set -euo pipefail

SELF=run_Tuning.sh
# The code is where this script is; for a copy that SLURM spooled, where the
# submitted script was, else where it was submitted. No other variable counts.
ROOT=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
if [ "${BASH_SOURCE[0]##*/}" = slurm_script ]; then
  ROOT=$(scontrol show job "$SLURM_JOB_ID" 2>/dev/null | sed -n 's/^ *Command=//p') || true
  ROOT=${ROOT%%"/$SELF"*}
  [ -f "$ROOT/slurm/common.sh" ] || ROOT=$SLURM_SUBMIT_DIR
fi
if [ ! -f "$ROOT/slurm/common.sh" ]; then
  echo "$SELF: error: found no code in $ROOT; run it from its clone, or submit it from there." >&2
  exit 2
fi
# shellcheck source=slurm/common.sh
source "$ROOT/slurm/common.sh"

# Settings
LOGDIR=${LOGDIR:-}                    # folder of the training run
DATA=${DATA:-$LOGDIR/trajectories}    # recorded episodes
TEST_DATA=${TEST_DATA:-}              # other recording to test on
SAVE=${SAVE:-$LOGDIR/tuning_results}  # folder of the results
CONTROL=${CONTROL:-${DATA}_untrained} # used when it exists
LAYERS=${LAYERS:-}                    # empty: all
MAX_NEURONS=${MAX_NEURONS:-0}         # units per layer; 0: all
N_SHUFFLES=${N_SHUFFLES:-200}         # pairings of the null; 0: no tests
SI_THRESH=${SI_THRESH:-0.5}           # least spatial information of a spatial unit [bits]
EV_THRESH=${EV_THRESH:-0.5}           # least explained variance of a single field
EV_UNTHRESH=${EV_UNTHRESH:-0.15}      # most explained variance of no map
HD_THRESH=${HD_THRESH:-0.5}           # least head-direction information of a directional unit [bits]
N_JOBS=${N_JOBS:--1}                  # fits at a time; -1: one per CPU
SEED=${SEED:-0}                       # seed of splits, fits and draws
EXTRA=${EXTRA:-}                      # more flags of the program

need_logdir
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
