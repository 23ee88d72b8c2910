#!/usr/bin/env bash
# A stage of the runs of a study, each a task of an array of jobs.
#
#   python dreamerv3/study.py --study FILE submit   submits it, once per stage
#
#SBATCH --job-name=study
#SBATCH --output=slurm-%x-%A_%a.out
#SBATCH --time=2-00:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --gres=gpu:1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@600
set -euo pipefail

SELF=slurm/study.sh
# As in the run_*.sh: the code is that of this script, also for a spooled copy.
ROOT=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
if [ "${BASH_SOURCE[0]##*/}" = slurm_script ]; then
  ROOT=$(scontrol show job "$SLURM_JOB_ID" 2>/dev/null | sed -n 's/^ *Command=//p') || true
  ROOT=${ROOT%%"/$SELF"*}
  [ -f "$ROOT/slurm/common.sh" ] || ROOT=$SLURM_SUBMIT_DIR
fi
if [ ! -f "$ROOT/slurm/common.sh" ]; then
  echo "$SELF: error: found no code in $ROOT; submit it with study.py." >&2
  exit 2
fi
# shellcheck source=slurm/common.sh
source "$ROOT/slurm/common.sh"

# Settings
STUDY_FILE=${STUDY_FILE:-}            # the study
STUDY_STAGE=${STUDY_STAGE:-}          # its stage
STUDY_RUNS=${STUDY_RUNS:-}            # its runs; a task takes that of its number
STUDY_KIND=${STUDY_KIND:-gpu}         # gpu, cpu: which partition of site.env

export STUDY_FILE STUDY_STAGE STUDY_RUNS
submit_self "$STUDY_KIND"
[ -n "$STUDY_FILE" ] || fail 'STUDY_FILE is missing; submit it with study.py.'
read -ra runs <<<"$STUDY_RUNS"
run_requeue "$PYTHON" "${HERE}dreamerv3/study.py" --study "$STUDY_FILE" run \
  --runs "${runs[${SLURM_ARRAY_TASK_ID:-0}]}" --stages "$STUDY_STAGE"
