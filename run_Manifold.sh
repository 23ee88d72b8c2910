#!/usr/bin/env bash
# The geometry of the code of space: sRSA, dimension, embeddings, dreams.
#
#   bash run_Manifold.sh LOGDIR=logdir/my_run
#   DRY_RUN=1 bash run_Manifold.sh LOGDIR=logdir/my_run   only prints the commands
#   SUBMIT=1 bash run_Manifold.sh LOGDIR=logdir/my_run --time=1:00:00   with sbatch, and site.env
#   sbatch run_Manifold.sh LOGDIR=logdir/my_run   with the defaults of sbatch
#   bash run_Manifold.sh --help   every setting
#
#SBATCH --job-name=manifold
#SBATCH --output=slurm-%x-%j.out
#SBATCH --time=02:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
set -euo pipefail

SELF=run_Manifold.sh
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
LOGDIR=${LOGDIR:-}                      # folder of the training run
DATA=${DATA:-$LOGDIR/trajectories}      # recorded episodes
SAVE=${SAVE:-$LOGDIR/manifold_results}  # folder of the results
CONTROL=${CONTROL:-${DATA}_untrained}   # used when it exists
DREAMS=${DREAMS:-$LOGDIR/dream_results}  # of dream_decode, used when they exist
LAYERS=${LAYERS:-dyn/deter}             # layers: deter, enc, dyn/*
MAX_WAKE_SAMPLES=${MAX_WAKE_SAMPLES:-4000} # timesteps that are compared
N_NEIGHBORS=${N_NEIGHBORS:-150}         # neighbours of Isomap
N_SHUFFLES=${N_SHUFFLES:-200}           # pairings of the null; 0: no tests
N_BOOT=${N_BOOT:-500}                   # draws of episodes behind the intervals
SEED=${SEED:-0}                         # seed of samples, nulls and draws
EXTRA=${EXTRA:-}                        # more flags of the program

need_logdir
submit_self cpu
flags=()
add_control
# Dreams are of dyn/deter, and hold states where they were saved with activations.
read -ra layers <<<"$LAYERS"
dreams=$DREAMS/dream_results.pkl
[ ! -f "$dreams" ] || [[ ! $LAYERS =~ (^|[ /])(deter|dyn(/\*)?)( |$) ]] || flags+=(--dream_data "$dreams")
read -ra extra <<<"$EXTRA"

run "$PYTHON" "${HERE}dreamerv3/manifold_analysis.py" \
  --data "$DATA" \
  --save "$SAVE" \
  --layers "${layers[@]}" \
  --max_wake_samples "$MAX_WAKE_SAMPLES" \
  --n_neighbors "$N_NEIGHBORS" \
  --n_shuffles "$N_SHUFFLES" \
  --n_boot "$N_BOOT" \
  --seed "$SEED" \
  "${flags[@]}" "${extra[@]}"
