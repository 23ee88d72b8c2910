#!/usr/bin/env bash
# Pictures of a recording and of the training run.
#
#   bash run_Plotting.sh LOGDIR=logdir/my_run
#   DRY_RUN=1 bash run_Plotting.sh LOGDIR=logdir/my_run   only prints the commands
#   SUBMIT=1 bash run_Plotting.sh LOGDIR=logdir/my_run --time=1:00:00   with sbatch, and site.env
#   sbatch run_Plotting.sh LOGDIR=logdir/my_run   with the defaults of sbatch
#   bash run_Plotting.sh --help   every setting
#
#SBATCH --job-name=plotting
#SBATCH --output=slurm-%x-%j.out
#SBATCH --time=02:00:00
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
set -euo pipefail

SELF=run_Plotting.sh
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
LOGDIR=${LOGDIR:-}                    # folder of the training run
DATA=${DATA:-$LOGDIR/trajectories}    # recorded episodes
SAVE=${SAVE:-$LOGDIR/plots}           # folder of the pictures
PLOT=${PLOT:-all}                     # see plot_trajectories.py --help
LAYER=${LAYER:-deter}                 # name of the layer that is drawn
UNIT=${UNIT:-0}                       # its unit
EGOCENTRIC_VIEW=${EGOCENTRIC_VIEW:-}  # empty: as recorded
VIEW_HALF=${VIEW_HALF:-4}             # half side of the normal view [tiles]
WINDOW_TILES=${WINDOW_TILES:-17}      # side of the window of worldview [tiles]
STEP_MS=${STEP_MS:-}                  # per frame; empty: each plot's own
MP4=${MP4:-0}                         # 1: MP4 instead of GIF
MAX_EPISODES=${MAX_EPISODES:-0}       # first episodes only; 0: all
SMOOTH=${SMOOTH:-50}                  # episodes of a mean in the learning curves
TRAINING=${TRAINING:-1}               # 1: training_progress.png too
EXTRA=${EXTRA:-}                      # more flags of plot_trajectories.py

need_logdir
submit_self cpu
flags=()
[ "$MP4" != 1 ] || flags+=(--mp4)
[ -z "$STEP_MS" ] || flags+=(--step_ms "$STEP_MS")
[ -z "$EGOCENTRIC_VIEW" ] || flags+=(--egocentric_view "$EGOCENTRIC_VIEW")
read -ra extra <<<"$EXTRA"

run "$PYTHON" "${HERE}dreamerv3/plot_trajectories.py" \
  --data "$DATA" \
  --save "$SAVE" \
  --plot "$PLOT" \
  --layer "$LAYER" \
  --unit "$UNIT" \
  --view_half "$VIEW_HALF" \
  --window_tiles "$WINDOW_TILES" \
  --max_episodes "$MAX_EPISODES" \
  "${flags[@]}" "${extra[@]}"
if [ "$TRAINING" = 1 ]; then
  run "$PYTHON" "${HERE}dreamerv3/plot_training.py" \
    --logdir "$LOGDIR" \
    --save "$SAVE" \
    --smooth "$SMOOTH"
fi
