#!/usr/bin/env bash
# Records episodes of a trained agent, and of its untrained control.
#
#   bash run_Trajectory.sh              here
#   SUBMIT=1 bash run_Trajectory.sh     on the cluster, in the partition of site.env
#   sbatch run_Trajectory.sh            on the cluster, with sbatch's own defaults
#   DRY_RUN=1 bash run_Trajectory.sh    only print the commands
#
#SBATCH --job-name=trajectory
#SBATCH --output=logdir/slurm-%x-%j.out
#SBATCH --time=04:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
set -euo pipefail

# Settings. The agent's and the environment's come from the run itself.
LOGDIR=${LOGDIR:-}                    # folder of the training run
NUM_EPISODES=${NUM_EPISODES:-100}
ENVS=${ENVS:-16}                      # environments per policy call
SEED=${SEED:-}                        # empty: the training run's
CHECKPOINT=${CHECKPOINT:-}            # empty: LOGDIR/ckpt/latest
LAYERS=${LAYERS:-.*}                  # regex of layers to record
SAVE=${SAVE:-$LOGDIR/trajectories}
RECORD_CONTROL=${RECORD_CONTROL:-1}   # 1: the untrained network too
PLATFORM=${PLATFORM:-auto}
EXTRA=${EXTRA:-}

SELF=${BASH_SOURCE[0]}
ROOT=${ROOT:-${SLURM_SUBMIT_DIR:-$(cd "$(dirname "$SELF")" && pwd)}}
# shellcheck source=slurm/common.sh
source "$ROOT/slurm/common.sh"

submit_self cpu
flags=()
[ -z "$SEED" ] || flags+=(--seed "$SEED")
[ -z "$CHECKPOINT" ] || flags+=(--run.from_checkpoint "$CHECKPOINT")
read -ra extra <<<"$EXTRA"

record() {
  run "$PYTHON" "${HERE}dreamerv3/main.py" \
    --logdir "$LOGDIR" \
    --script eval_trajectory \
    --eval_trajectory.num_episodes "$NUM_EPISODES" \
    --eval_trajectory.envs "$ENVS" \
    --eval_trajectory.layers "$LAYERS" \
    --jax.platform "$PLATFORM" \
    "${flags[@]}" "${extra[@]}" "$@"
}

record --eval_trajectory.save_path "$SAVE"
if [ "$RECORD_CONTROL" = 1 ]; then
  record --eval_trajectory.save_path "${SAVE}_untrained" \
    --eval_trajectory.load_checkpoint False
fi
