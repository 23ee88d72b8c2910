#!/usr/bin/env bash
# What kinds of maps there are: groups of autocorrelograms, measures, histograms.
#
#   bash run_Clustering.sh LOGDIR=logdir/my_run
#   DRY_RUN=1 bash run_Clustering.sh LOGDIR=logdir/my_run   only prints the commands
#   SUBMIT=1 bash run_Clustering.sh LOGDIR=logdir/my_run --time=1:00:00   with sbatch, and site.env
#   sbatch run_Clustering.sh LOGDIR=logdir/my_run   with the defaults of sbatch
#   bash run_Clustering.sh --help   every setting
#
#SBATCH --job-name=clustering
#SBATCH --output=slurm-%x-%j.out
#SBATCH --time=04:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
set -euo pipefail

SELF=run_Clustering.sh
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
LOGDIR=${LOGDIR:-}                     # folder of the training run
TUNING=${TUNING:-$LOGDIR/tuning_results} # results of run_Tuning.sh
SAVE=${SAVE:-$LOGDIR/cluster_results}  # folder of the results
MODES=${MODES:-autocorr metrics distributions} # what is done, one after the other
DATA=${DATA:-}                         # recording of the maps; empty: its episodes are not drawn again
LAYERS=${LAYERS:-}                     # empty: all
N_COMPONENTS=${N_COMPONENTS:-50}       # most principal components
PERPLEXITY=${PERPLEXITY:-30}           # perplexity of t-SNE
UMAP_NEIGHBORS=${UMAP_NEIGHBORS:-15}   # neighbours of UMAP, where installed
MIN_CLUSTER_SIZE=${MIN_CLUSTER_SIZE:-20} # units of the smallest group
ISOMAP_NEIGHBORS=${ISOMAP_NEIGHBORS:-15} # neighbours of Isomap
N_SHUFFLES=${N_SHUFFLES:-99}           # shuffled maps behind p; 0: no test
MAX_NEURONS=${MAX_NEURONS:-2000}       # units per layer; 0: all
SEED=${SEED:-0}                        # seed of samples, nulls, draws and pictures
EXTRA=${EXTRA:-}                       # more flags of the program

need_logdir
submit_self cpu
read -ra modes <<<"$MODES"
read -ra layers <<<"$LAYERS"
read -ra extra <<<"$EXTRA"
for mode in "${modes[@]}"; do
  flags=()
  [ -z "$LAYERS" ] || flags+=(--layers "${layers[@]}")
  case $mode in
  autocorr)
    flags+=(--n_components "$N_COMPONENTS" --perplexity "$PERPLEXITY" \
      --umap_neighbors "$UMAP_NEIGHBORS" --min_cluster_size "$MIN_CLUSTER_SIZE" \
      --n_shuffles "$N_SHUFFLES" --max_neurons "$MAX_NEURONS" --seed "$SEED")
    [ -z "$DATA" ] || flags+=(--data "$DATA")
    ;;
  metrics)
    flags+=(--isomap_neighbors "$ISOMAP_NEIGHBORS" --max_neurons "$MAX_NEURONS" --seed "$SEED")
    ;;
  esac
  run "$PYTHON" "${HERE}dreamerv3/analyze_tuning.py" \
    --from_pkl "$TUNING/tuning_results.pkl" \
    --save "$SAVE" \
    --mode "$mode" \
    "${flags[@]}" "${extra[@]}"
done
