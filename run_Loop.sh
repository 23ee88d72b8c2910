#!/usr/bin/env bash
# The whole pipeline: train, record, decode, tune, dream, plot.
#
#   bash run_Loop.sh                    here
#   SUBMIT=1 bash run_Loop.sh           on the cluster, in the partition of site.env
#   sbatch run_Loop.sh                  on the cluster, with sbatch's own defaults
#   DRY_RUN=1 bash run_Loop.sh          only print the commands
#
#SBATCH --job-name=loop
#SBATCH --output=logdir/slurm-%x-%j.out
#SBATCH --time=3-00:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --gres=gpu:1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@600
set -euo pipefail

# Settings; those of the other run_*.sh work here too.
export CONFIG=${CONFIG:-crafter_small}
export SIZE=${SIZE:-size25m}
export SEED=${SEED:-${SLURM_ARRAY_TASK_ID:-0}}
export LOGDIR=${LOGDIR:-logdir/${CONFIG}_${SIZE}}
export STEPS=${STEPS:-}
export NUM_EPISODES=${NUM_EPISODES:-100}
export DREAM_BATCHES=${DREAM_BATCHES:-5}
export DREAM_EPISODES=${DREAM_EPISODES:-5}
export PLATFORM=${PLATFORM:-auto}
CHAIN=${CHAIN:-0}                     # 1: one job per stage, each waiting for
                                      # the one before, GPU only where needed

SELF=${BASH_SOURCE[0]}
ROOT=${ROOT:-${SLURM_SUBMIT_DIR:-$(cd "$(dirname "$SELF")" && pwd)}}
# shellcheck source=slurm/common.sh
source "$ROOT/slurm/common.sh"

if [ "$CHAIN" = 1 ]; then
  export SUBMIT=0 CHAIN=0
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
# shellcheck source=run_Crafter.sh
source "$ROOT/run_Crafter.sh"
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
