#!/usr/bin/env bash
# Pictures of a recording and of the training run.
#
#   bash run_Plotting.sh                here
#   SUBMIT=1 bash run_Plotting.sh       on the cluster, in the partition of site.env
#   sbatch run_Plotting.sh              on the cluster, with sbatch's own defaults
#   DRY_RUN=1 bash run_Plotting.sh      only print the commands
#
#SBATCH --job-name=plotting
#SBATCH --output=logdir/slurm-%x-%j.out
#SBATCH --time=02:00:00
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
set -euo pipefail

# Settings
LOGDIR=${LOGDIR:-}                    # folder of the training run
DATA=${DATA:-$LOGDIR/trajectories}
SAVE=${SAVE:-$LOGDIR/plots}
PLOT=${PLOT:-all}                     # see plot_trajectories.py --help
LAYER=${LAYER:-deter}
UNIT=${UNIT:-0}
EGOCENTRIC_VIEW=${EGOCENTRIC_VIEW:-}  # empty: as recorded
VIEW_HALF=${VIEW_HALF:-4}
WINDOW_TILES=${WINDOW_TILES:-17}
STEP_MS=${STEP_MS:-}                  # per frame; empty: each plot's own
MP4=${MP4:-0}                         # 1: MP4 instead of GIF
MAX_EPISODES=${MAX_EPISODES:-0}       # 0: all
SMOOTH=${SMOOTH:-50}                  # episodes
TRAINING=${TRAINING:-1}               # 1: training_progress.png too
EXTRA=${EXTRA:-}

SELF=${BASH_SOURCE[0]}
ROOT=${ROOT:-${SLURM_SUBMIT_DIR:-$(cd "$(dirname "$SELF")" && pwd)}}
# shellcheck source=slurm/common.sh
source "$ROOT/slurm/common.sh"

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
