#!/usr/bin/env bash
# Decodes the position from deter, stoch and both.
#
#   bash run_Decoding.sh LOGDIR=logdir/my_run
#   DRY_RUN=1 bash run_Decoding.sh LOGDIR=logdir/my_run   only prints the commands
#   SUBMIT=1 bash run_Decoding.sh LOGDIR=logdir/my_run --time=1:00:00   with sbatch, and site.env
#   sbatch run_Decoding.sh LOGDIR=logdir/my_run   with the defaults of sbatch
#   bash run_Decoding.sh --help   every setting
#
#SBATCH --job-name=decoding
#SBATCH --output=slurm-%x-%j.out
#SBATCH --time=04:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --gres=gpu:1
set -euo pipefail

SELF=run_Decoding.sh
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
SAVE=${SAVE:-$LOGDIR/decoder_results} # folder of the results
CONTROL=${CONTROL:-${DATA}_untrained} # used when it exists
REPR=${REPR:-all}                     # deter, stoch, combined, all
METHOD=${METHOD:-classification}      # classification, ridge
HOLDOUT_FRAC=${HOLDOUT_FRAC:-0.2}     # share of episodes; 0: cross-validation
SAVE_MODEL=${SAVE_MODEL:-1}           # 1: save the decoders, which dreams need
DEVICE=${DEVICE:-}                    # cuda, cpu; empty: cuda where there is one
N_JOBS=${N_JOBS:--1}                  # fits at a time; -1: one per CPU
MIN_BBOX=${MIN_BBOX:-0}               # least bounding box of an episode [tiles^2]
SEED=${SEED:-0}                       # seed of splits, fits and draws
EXTRA=${EXTRA:-}                      # more flags of the program

need_logdir
submit_self gpu
flags=()
[ "$SAVE_MODEL" != 1 ] || flags+=(--save_model)
add_control
read -ra extra <<<"$EXTRA"

run "$PYTHON" "${HERE}dreamerv3/decode_position.py" \
  --data "$DATA" \
  --save "$SAVE" \
  --repr "$REPR" \
  --method "$METHOD" \
  --holdout_frac "$HOLDOUT_FRAC" \
  --device "${DEVICE:-$(device)}" \
  --n_jobs "$N_JOBS" \
  --min_bbox "$MIN_BBOX" \
  --seed "$SEED" \
  "${flags[@]}" "${extra[@]}"
