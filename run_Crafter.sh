#!/usr/bin/env bash
# Trains an agent; rerun, or requeued, it goes on from its checkpoint.
#
#   bash run_Crafter.sh                 here
#   SUBMIT=1 bash run_Crafter.sh        on the cluster, in the partition of site.env
#   sbatch run_Crafter.sh               on the cluster, with sbatch's own defaults
#   DRY_RUN=1 bash run_Crafter.sh       only print the commands
#
#SBATCH --job-name=crafter
#SBATCH --output=logdir/slurm-%x-%j.out
#SBATCH --time=2-00:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --gres=gpu:1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@600
set -euo pipefail

# Settings. With sbatch --array=0-4 each task trains its own seed.
CONFIG=${CONFIG:-crafter_small}       # crafter: 64x64, crafter_small: 32x32
SIZE=${SIZE:-size25m}                 # size1m ... size400m
SEED=${SEED:-${SLURM_ARRAY_TASK_ID:-0}}
LOGDIR=${LOGDIR:-logdir/${CONFIG}_${SIZE}}
LOGDIR=$LOGDIR${SLURM_ARRAY_TASK_ID:+_seed$SEED}
STEPS=${STEPS:-}                      # environment steps; empty: the preset's
FIXED_SEED=${FIXED_SEED:-True}        # the same world every episode
RANDOM_SPAWN=${RANDOM_SPAWN:-False}
EGOCENTRIC_VIEW=${EGOCENTRIC_VIEW:-0} # odd, e.g. 7; 0: the usual view
DISABLE_MOBS=${DISABLE_MOBS:-False}
AREA=${AREA:-}                        # e.g. "32 32"; empty: the preset's
ACT=${ACT:-silu}                      # activation of all networks
WD=${WD:-0.0}                         # weight decay
TRAIN_RATIO=${TRAIN_RATIO:-}          # empty: the preset's
PLATFORM=${PLATFORM:-auto}            # auto, cpu, cuda
EXTRA=${EXTRA:-}                      # more flags of main.py

SELF=${BASH_SOURCE[0]}
ROOT=${ROOT:-${SLURM_SUBMIT_DIR:-$(cd "$(dirname "$SELF")" && pwd)}}
# shellcheck source=slurm/common.sh
source "$ROOT/slurm/common.sh"

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
