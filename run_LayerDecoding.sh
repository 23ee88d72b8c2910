#!/usr/bin/env bash
# Decodes the position from every recorded layer.
#
#   bash run_LayerDecoding.sh           here
#   SUBMIT=1 bash run_LayerDecoding.sh  on the cluster, in the partition of site.env
#   sbatch run_LayerDecoding.sh         on the cluster, with sbatch's own defaults
#   DRY_RUN=1 bash run_LayerDecoding.sh only print the commands
#
#SBATCH --job-name=layer_decoding
#SBATCH --output=logdir/slurm-%x-%j.out
#SBATCH --time=08:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --gres=gpu:1
set -euo pipefail

# Settings
LOGDIR=${LOGDIR:-}                    # folder of the training run
DATA=${DATA:-$LOGDIR/trajectories}
TEST_DATA=${TEST_DATA:-}              # other recording to test on
SAVE=${SAVE:-$LOGDIR/layer_decoder_results}
CONTROL=${CONTROL:-${DATA}_untrained} # used when it exists
LAYERS=${LAYERS:-}                    # empty: all
HOLDOUT_FRAC=${HOLDOUT_FRAC:-0.2}     # share of episodes; 0: cross-validation
N_CV_FOLDS=${N_CV_FOLDS:-5}
MAX_SAMPLES=${MAX_SAMPLES:-10000}
RESUME=${RESUME:-1}                   # go on from the checkpoint, if any
FROM_MODEL=${FROM_MODEL:-}            # evaluate saved decoders only
DEVICE=${DEVICE:-$(command -v nvidia-smi >/dev/null && echo cuda || echo cpu)}
N_JOBS=${N_JOBS:--1}
SEED=${SEED:-0}
EXTRA=${EXTRA:-}

SELF=${BASH_SOURCE[0]}
ROOT=${ROOT:-${SLURM_SUBMIT_DIR:-$(cd "$(dirname "$SELF")" && pwd)}}
# shellcheck source=slurm/common.sh
source "$ROOT/slurm/common.sh"

submit_self gpu
flags=()
checkpoint=$SAVE/layer_decode_checkpoint.pkl
if [ -n "$FROM_MODEL" ]; then
  flags+=(--from_model "$FROM_MODEL")
else
  add_control
  # decode_position.py refuses what would do nothing.
  if [ -n "$TEST_DATA" ]; then
    flags+=(--test_data "$TEST_DATA")
  else
    flags+=(--holdout_frac "$HOLDOUT_FRAC")
    [ "$HOLDOUT_FRAC" != 0 ] || flags+=(--n_cv_folds "$N_CV_FOLDS")
  fi
  flags+=(--save_model --max_samples "$MAX_SAMPLES" --device "$DEVICE")
  flags+=(--n_jobs "$N_JOBS")
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
