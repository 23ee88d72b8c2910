#!/usr/bin/env bash
# Trains an agent; rerun, or requeued, it goes on from its checkpoint.
#
#   bash run_Crafter.sh
#   DRY_RUN=1 bash run_Crafter.sh   only prints the commands
#   SUBMIT=1 bash run_Crafter.sh --array=0-4   with sbatch, and site.env
#   sbatch run_Crafter.sh   with the defaults of sbatch
#   bash run_Crafter.sh --help   every setting
#
#SBATCH --job-name=crafter
#SBATCH --output=slurm-%x-%j.out
#SBATCH --time=2-00:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --gres=gpu:1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@600
set -euo pipefail

SELF=run_Crafter.sh
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

# Settings. With sbatch --array=0-4 each task trains its own seed.
CONFIG=${CONFIG:-crafter_small}       # preset: crafter (64x64), crafter_small (32x32)
SIZE=${SIZE:-size25m}                 # preset: size1m ... size400m
SEED=${SEED:-${SLURM_ARRAY_TASK_ID:-0}} # seed of everything; in an array the number of the task
LOGDIR=${LOGDIR:-logdir/${CONFIG}_${SIZE}} # folder of the run; arrays add _seed<N>
LOGDIR=$LOGDIR${SLURM_ARRAY_TASK_ID:+_seed$SEED}
STEPS=${STEPS:-}                      # environment steps; empty: the preset's
FIXED_SEED=${FIXED_SEED:-True}        # the same world every episode
RANDOM_SPAWN=${RANDOM_SPAWN:-False}   # start on a random tile
EGOCENTRIC_VIEW=${EGOCENTRIC_VIEW:-0} # odd, e.g. 7; 0: the usual view
DISABLE_MOBS=${DISABLE_MOBS:-False}   # no zombies, skeletons and arrows
AREA=${AREA:-}                        # e.g. "32 32"; empty: the preset's
ACT=${ACT:-silu}                      # activation of all networks
WD=${WD:-0.0}                         # weight decay
TRAIN_RATIO=${TRAIN_RATIO:-}          # empty: the preset's
PLATFORM=${PLATFORM:-auto}            # where JAX computes: auto, cpu, cuda
EXTRA=${EXTRA:-}                      # more flags of main.py

submit_self gpu
write_settings "$LOGDIR/hyperparams.txt" CONFIG SIZE SEED LOGDIR STEPS \
  FIXED_SEED RANDOM_SPAWN EGOCENTRIC_VIEW DISABLE_MOBS AREA ACT WD \
  TRAIN_RATIO PLATFORM EXTRA

flags=()
[ -z "$STEPS" ] || flags+=(--run.steps "$STEPS")
[ -z "$TRAIN_RATIO" ] || flags+=(--run.train_ratio "$TRAIN_RATIO")
read -ra area <<<"$AREA"
[ -z "$AREA" ] || flags+=(--env.crafter.area "${area[@]}")
read -ra extra <<<"$EXTRA"

run_requeue "$PYTHON" "${HERE}dreamerv3/main.py" \
  --configs "$CONFIG" "$SIZE" \
  --logdir "$LOGDIR" \
  --seed "$SEED" \
  --env.crafter.fixed_seed "$FIXED_SEED" \
  --env.crafter.random_spawn "$RANDOM_SPAWN" \
  --env.crafter.egocentric_view "$EGOCENTRIC_VIEW" \
  --env.crafter.disable_mobs "$DISABLE_MOBS" \
  '--agent\..*\.act' "$ACT" \
  --agent.opt.wd "$WD" \
  --jax.platform "$PLATFORM" \
  "${flags[@]}" "${extra[@]}"
