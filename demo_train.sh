#!/usr/bin/env bash
# The whole pipeline on a small agent, small enough for 2 cores.
#
#   make demo-train    or, in an environment of your own:   bash demo_train.sh
#
# It is run_Loop.sh with small settings. Called again, it goes on where it
# stopped; what is complete is only checked.
set -euo pipefail

SELF=demo_train.sh
ROOT=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source=slurm/common.sh
source "$ROOT/slurm/common.sh"

# Settings; those of run_Loop.sh work here too.
export SIZE=${SIZE:-size1m}           # preset of the agent
export STEPS=${STEPS:-2500}           # environment steps
export LOGDIR=${LOGDIR:-logdir/demo}  # folder of the run
export TRAIN_RATIO=${TRAIN_RATIO:-64} # one update per 4 steps on small batches
export NUM_EPISODES=${NUM_EPISODES:-30} # episodes to record
export MAX_NEURONS=${MAX_NEURONS:-512} # units of each layer that are tuned; 0: all

export CONFIG=crafter_small RANDOM_SPAWN=False DISABLE_MOBS=True PLATFORM=auto
export DREAM_EPISODES=5 MAX_EPISODES=5
# A learning rate for a run of minutes instead of days.
export EXTRA="--batch_size 8 --batch_length 32 --agent.opt.lr 4e-4 --agent.opt.warmup 100 --run.log_every 30 --run.save_every 120"

bash "$ROOT/run_Loop.sh"
run "$PYTHON" "${HERE}dreamerv3/summarize.py" "$LOGDIR"
