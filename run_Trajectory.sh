#!/usr/bin/env bash
# Records episodes of a trained agent, and its untrained network led along them.
#
#   bash run_Trajectory.sh LOGDIR=logdir/my_run
#   DRY_RUN=1 bash run_Trajectory.sh LOGDIR=logdir/my_run   only prints the commands
#   SUBMIT=1 bash run_Trajectory.sh LOGDIR=logdir/my_run --time=1:00:00   with sbatch, and site.env
#   sbatch run_Trajectory.sh LOGDIR=logdir/my_run   with the defaults of sbatch
#   bash run_Trajectory.sh --help   every setting
#
#SBATCH --job-name=trajectory
#SBATCH --output=slurm-%x-%j.out
#SBATCH --time=04:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
set -euo pipefail

SELF=run_Trajectory.sh
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

# Settings. The agent's and the environment's come from the run itself.
LOGDIR=${LOGDIR:-}                    # folder of the training run
NUM_EPISODES=${NUM_EPISODES:-100}     # episodes to record
ENVS=${ENVS:-16}                      # environments per policy call
SEED=${SEED:-}                        # empty: the training run's
CHECKPOINT=${CHECKPOINT:-}            # empty: LOGDIR/ckpt/latest
LAYERS=${LAYERS:-auto}                # layers to record: enc, dyn/*, a regex
SAVE=${SAVE:-$LOGDIR/trajectories}    # folder of the recording
RECORD_CONTROL=${RECORD_CONTROL:-1}   # 1: the untrained network on the same path too
PLATFORM=${PLATFORM:-auto}            # where JAX computes: auto, cpu, cuda
EXTRA=${EXTRA:-}                      # more flags of main.py

need_logdir
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
  run "$PYTHON" "${HERE}dreamerv3/main.py" \
    --logdir "$LOGDIR" \
    --script replay_activations \
    --replay_activations.source_data "$SAVE" \
    --replay_activations.save_path "${SAVE}_untrained" \
    --replay_activations.load_checkpoint False \
    --replay_activations.layers "$LAYERS" \
    --jax.platform "$PLATFORM" \
    "${flags[@]}" "${extra[@]}"
fi
