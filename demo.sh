#!/usr/bin/env bash
# The whole pipeline on a small agent, small enough for 2 cores.
#
#   make demo          or, in an environment of your own:   bash demo.sh
#
# It is run_Loop.sh with small settings. Called again, it goes on where it
# stopped; what is complete is only checked.
set -euo pipefail

SELF=${BASH_SOURCE[0]}
ROOT=$(cd "$(dirname "$SELF")" && pwd)
export ROOT
export SIZE=${SIZE:-size1m} STEPS=${STEPS:-2500}
export LOGDIR=${LOGDIR:-logdir/demo}
export CONFIG=crafter_small RANDOM_SPAWN=False DISABLE_MOBS=True PLATFORM=auto
# One update per 4 steps on small batches, and a learning rate for a run of
# minutes instead of days.
export TRAIN_RATIO=${TRAIN_RATIO:-64}
export EXTRA="--batch_size 8 --batch_length 32 --agent.opt.lr 4e-4 --agent.opt.warmup 100 --run.log_every 30 --run.save_every 120"
# At most 512 units of each layer are tuned; 0 would take all.
export NUM_EPISODES=${NUM_EPISODES:-30} MAX_NEURONS=${MAX_NEURONS:-512}
export DREAM_EPISODES=5 MAX_EPISODES=5
# shellcheck source=slurm/common.sh
source "$ROOT/slurm/common.sh"

bash "$ROOT/run_Loop.sh"
run "$PYTHON" "${HERE}dreamerv3/summarize.py" --logdir "$LOGDIR"
