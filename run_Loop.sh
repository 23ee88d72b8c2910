#!/usr/bin/env bash
# The whole pipeline: train, record, decode, tune, dream, plot.
#
#   bash run_Loop.sh
#   DRY_RUN=1 bash run_Loop.sh   only prints the commands
#   SUBMIT=1 bash run_Loop.sh --time=1:00:00   with sbatch, and site.env
#   sbatch run_Loop.sh   with the defaults of sbatch
#   bash run_Loop.sh --help   every setting
#
#SBATCH --job-name=loop
#SBATCH --output=slurm-%x-%j.out
#SBATCH --time=3-00:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --gres=gpu:1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@600
set -euo pipefail

SELF=run_Loop.sh
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

# Settings; those of the other run_*.sh work here too.
export CONFIG=${CONFIG:-crafter_small} # preset: crafter (64x64), crafter_small (32x32)
export SIZE=${SIZE:-size25m}          # preset: size1m ... size400m
export SEED=${SEED:-${SLURM_ARRAY_TASK_ID:-0}} # seed of everything; in an array the number of the task
export LOGDIR=${LOGDIR:-logdir/${CONFIG}_${SIZE}} # folder of the run; arrays add _seed<N>
export STEPS=${STEPS:-}               # environment steps; empty: the preset's
export NUM_EPISODES=${NUM_EPISODES:-100} # episodes to record
export DREAM_BATCHES=${DREAM_BATCHES:-5} # batches of dreams
export DREAM_EPISODES=${DREAM_EPISODES:-5} # fresh episodes that dreams begin in
export PLATFORM=${PLATFORM:-auto}     # where JAX computes: auto, cpu, cuda
CHAIN=${CHAIN:-0}                     # 1: a job per stage, GPU only where needed

if [ "$CHAIN" = 1 ]; then
  [ "${#OPTIONS[@]}" = 0 ] ||
    fail "got '${OPTIONS[0]}'; options of all jobs of a chain belong into SITE_OPTIONS of site.env."
  export SUBMIT=0 CHAIN=0 PART_OF=run_Loop.sh
  train=$(submit gpu "$ROOT/run_Crafter.sh")
  export EXTRA=
  record=$(submit gpu "$ROOT/run_Trajectory.sh" \
    --dependency="afterok:$train" --kill-on-invalid-dep=yes)
  after=(--dependency="afterok:$record" --kill-on-invalid-dep=yes)
  decode=$(submit cpu "$ROOT/run_Decoding.sh" "${after[@]}")
  submit cpu "$ROOT/run_LayerDecoding.sh" "${after[@]}"
  submit cpu "$ROOT/run_Tuning.sh" "${after[@]}"
  submit cpu "$ROOT/run_Plotting.sh" "${after[@]}"
  STAGE=dream submit gpu "$ROOT/run_Loop.sh" \
    --dependency="afterok:$decode" --kill-on-invalid-dep=yes
  exit 0
fi
submit_self gpu
# For a dry run: what the recording would leave for the stages behind it.
export CONTROL_COMES=${RECORD_CONTROL:-1}

# The stages hear of settings of all scripts.
export PART_OF=run_Loop.sh

stage() {
  echo "== $1 =="
  bash "$ROOT/$1"
}

dream() {
  echo '== dreams =='
  run "$PYTHON" "${HERE}dreamerv3/main.py" \
    --logdir "$LOGDIR" \
    --script dream_decode \
    --dream_decode.decoder_model "$LOGDIR/decoder_results/classifier_deter.pkl" \
    --dream_decode.save_path "$LOGDIR/dream_results" \
    --dream_decode.num_batches "$DREAM_BATCHES" \
    --dream_decode.num_episodes "$DREAM_EPISODES" \
    --jax.platform "$PLATFORM"
}

if [ "${STAGE:-all}" = dream ]; then
  dream
  exit 0
fi

# Training can end this job early, to be requeued: it runs in this very shell,
# which SLURM warns before the time limit.
train() {
  # shellcheck source=run_Crafter.sh
  source "$ROOT/run_Crafter.sh"
}
train
write_settings "$LOGDIR/hyperparams.txt" NUM_EPISODES DREAM_BATCHES \
  DREAM_EPISODES CHAIN
# EXTRA was for training. The stages below go on where they stopped when the job
# is submitted again.
export EXTRA=
trap '' USR1

stage run_Trajectory.sh
stage run_Decoding.sh
stage run_LayerDecoding.sh
stage run_Tuning.sh
dream
stage run_Plotting.sh
