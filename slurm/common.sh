# shellcheck shell=bash
# What all run_*.sh share; sourced, never run. Needs ROOT.
#
#   DRY_RUN=1   print the commands, run nothing
#   SUBMIT=1    hand the script to sbatch, with the partition of site.env
#   PYTHON=...  another interpreter than .venv/bin/python

cd "$ROOT" || exit
mkdir -p logdir

# A cluster's partitions and account, in one place; see site.env.example.
if [ -f site.env ]; then
  # shellcheck disable=SC1091
  source site.env
fi

PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
DRY_RUN=${DRY_RUN:-0}
export MPLBACKEND=${MPLBACKEND:-Agg}
# Lines of a log file appear as they are printed.
export PYTHONUNBUFFERED=1

# Options of sbatch for a gpu or cpu job on this cluster.
site_options() {
  local kind=$1
  if [ "$kind" = gpu ]; then
    [ -z "${SITE_GPU_PARTITION:-}" ] || echo "--partition=$SITE_GPU_PARTITION"
    [ -z "${SITE_GPU_GRES:-}" ] || echo "--gres=$SITE_GPU_GRES"
  else
    [ -z "${SITE_CPU_PARTITION:-}" ] || echo "--partition=$SITE_CPU_PARTITION"
    echo --gres=none
  fi
  [ -z "${SITE_ACCOUNT:-}" ] || echo "--account=$SITE_ACCOUNT"
  [ -z "${SITE_QOS:-}" ] || echo "--qos=$SITE_QOS"
  [ -z "${SITE_OPTIONS:-}" ] || tr ' ' '\n' <<<"$SITE_OPTIONS"
}

# submit KIND SCRIPT [SBATCH OPTION ...]: prints the job number.
# The settings travel through the environment, which sbatch passes on.
submit() {
  local kind=$1 script=$2
  shift 2
  local options
  mapfile -t options < <(site_options "$kind")
  local command=(env SUBMIT=0 sbatch --parsable --chdir="$ROOT"
    "${options[@]}" "$@" "$script")
  if [ "$DRY_RUN" = 1 ]; then
    printf '%q ' "${command[@]}" >&2
    echo >&2
    echo "$script"
  else
    "${command[@]}"
  fi
}

# With SUBMIT=1: submit this script instead of running it here.
submit_self() {
  local kind=$1
  if [ "${SUBMIT:-0}" = 1 ]; then
    submit "$kind" "$ROOT/$(basename "$SELF")"
    exit 0
  fi
}

# Prints a command so that it can be pasted, then runs it.
run() {
  printf '%q ' "$@"
  echo
  if [ "$DRY_RUN" != 1 ]; then
    "$@"
  fi
}

# write_settings FILE VAR ...: the settings of the script, as VAR=value lines.
write_settings() {
  local file=$1 name
  shift
  if [ "$DRY_RUN" = 1 ]; then
    return
  fi
  mkdir -p "$(dirname "$file")"
  {
    echo "# $(basename "$SELF"), $(date -u +%Y-%m-%dT%H:%M:%SZ), job ${SLURM_JOB_ID:-none}"
    for name in "$@"; do
      printf '%s=%q\n' "$name" "${!name}"
    done
  } >>"$file"
}

# run_requeue COMMAND ...: runs training so that SLURM's warning before the time
# limit (USR1) reaches it; it saves and exits with 75, and the job is requeued.
run_requeue() {
  printf '%q ' "$@"
  echo
  if [ "$DRY_RUN" = 1 ]; then
    return
  fi
  "$@" &
  local child=$! code=0
  trap 'kill -USR1 "$child" 2>/dev/null || true' USR1
  trap 'kill -TERM "$child" 2>/dev/null || true' TERM INT
  # A signal ends the wait early: wait again until the child is gone.
  while :; do
    code=0
    wait "$child" || code=$?
    kill -0 "$child" 2>/dev/null || break
  done
  trap - USR1 TERM INT
  if [ "$code" = 75 ] && [ -n "${SLURM_JOB_ID:-}" ]; then
    local job=$SLURM_JOB_ID
    # A task of an array is requeued under its own name.
    if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then
      job=${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}
    fi
    echo "Saved; requeueing job $job."
    scontrol requeue "$job"
    exit 0
  fi
  return "$code"
}
