#!/usr/bin/env bash
# Decodes the position from every recorded layer.
#
#   bash run_LayerDecoding.sh LOGDIR=logdir/my_run
#   DRY_RUN=1 bash run_LayerDecoding.sh LOGDIR=logdir/my_run   only prints the commands
#   SUBMIT=1 bash run_LayerDecoding.sh LOGDIR=logdir/my_run --time=1:00:00   with sbatch, and site.env
#   sbatch run_LayerDecoding.sh LOGDIR=logdir/my_run   with the defaults of sbatch
#   bash run_LayerDecoding.sh --help   every setting
#
#SBATCH --job-name=layer_decoding
#SBATCH --output=slurm-%x-%j.out
#SBATCH --time=08:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --gres=gpu:1
set -euo pipefail

SELF=run_LayerDecoding.sh
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
SAVE=${SAVE:-$LOGDIR/layer_decoder_results} # folder of the results
CONTROL=${CONTROL:-${DATA}_untrained} # used when it exists
LAYERS=${LAYERS:-}                    # empty: all
METHOD=${METHOD:-classification}      # classification, ridge
HOLDOUT_FRAC=${HOLDOUT_FRAC:-0.2}     # share of episodes; 0: cross-validation
N_CV_FOLDS=${N_CV_FOLDS:-5}           # folds of the cross-validation (HOLDOUT_FRAC=0)
MAX_SAMPLES=${MAX_SAMPLES:-10000}     # most timesteps to train on; 0: all
RESUME=${RESUME:-1}                   # go on from the checkpoint, if any
FROM_MODEL=${FROM_MODEL:-}            # evaluate saved decoders only
DEVICE=${DEVICE:-}                    # cuda, cpu; empty: cuda where there is one
N_JOBS=${N_JOBS:--1}                  # fits at a time; -1: one per CPU
SEED=${SEED:-0}                       # seed of splits, fits and draws
EXTRA=${EXTRA:-}                      # more flags of the program

need_logdir
submit_self gpu
flags=()
checkpoint=$SAVE/layer_decode_checkpoint.pkl
# decode_position.py refuses what would do nothing beside the others.
if [ -n "$FROM_MODEL" ]; then
  flags+=(--from_model "$FROM_MODEL")
else
  add_control
  flags+=(--method "$METHOD" --save_model --max_samples "$MAX_SAMPLES")
  flags+=(--device "${DEVICE:-$(device)}" --n_jobs "$N_JOBS")
  if [ -n "$TEST_DATA" ]; then
    flags+=(--test_data "$TEST_DATA")
  else
    flags+=(--holdout_frac "$HOLDOUT_FRAC")
    [[ ! $HOLDOUT_FRAC =~ ^0*[.]?0*$ ]] || flags+=(--n_cv_folds "$N_CV_FOLDS")
  fi
  if [ "$RESUME" = 1 ] && [ -f "$checkpoint" ]; then
    flags+=(--resume "$checkpoint")
  fi
fi
read -ra layers <<<"$LAYERS"
[ -z "$LAYERS" ] || flags+=(--layers "${layers[@]}")
read -ra extra <<<"$EXTRA"

run "$PYTHON" "${HERE}dreamerv3/decode_position.py" \
  --data "$DATA" \
  --save "$SAVE" \
  --mode layers \
  --seed "$SEED" \
  "${flags[@]}" "${extra[@]}"
