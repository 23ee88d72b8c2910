# shellcheck shell=bash
# What all run_*.sh share; sourced, never run. Needs ROOT, SELF and LOGDIR.
#
#   DRY_RUN=1   print the commands, run nothing
#   SUBMIT=1    hand the script to sbatch, with the partition of site.env
#   PYTHON=...  another interpreter than .venv/bin/python
#
# Relative paths are those of the caller's directory, as in the commands that
# are printed.

# One line and exit code 2: a mistake of the user's.
fail() {
  echo "$(basename "$SELF"): error: $1" >&2
  exit 2
}

if [ $# -gt 0 ]; then
  settings=$(sed -nE 's/^(export )?([A-Z0-9_]+)=\$\{\2:.*/\2/p' "$SELF" |
    grep -vx ROOT | paste -sd ' ')
  fail "got '$1'; settings are variables before the command, as in LOGDIR=logdir/my_run bash $(basename "$SELF"): $settings"
fi
if [ -z "$LOGDIR" ]; then
  fail "LOGDIR is missing; give the folder of a training run: LOGDIR=logdir/my_run bash $(basename "$SELF")"
fi

# A cluster's partitions and account, in one place; see site.env.example.
if [ -f "$ROOT/site.env" ]; then
  # shellcheck disable=SC1091
  source "$ROOT/site.env"
fi

# Where our programs are, short when called from the repository itself.
HERE=$ROOT/
[ "$PWD" != "$ROOT" ] || HERE=
PYTHON=${PYTHON:-$([ -x "$ROOT/.venv/bin/python" ] && echo "${HERE}.venv/bin/python" || echo python3)}
DRY_RUN=${DRY_RUN:-0}
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
  if [ "$DRY_RUN" != 1 ]; then
    command -v sbatch >/dev/null ||
      fail 'there is no sbatch here; SUBMIT and CHAIN need SLURM.'
    mkdir -p logdir # for the output that the #SBATCH lines name
  fi
  local options
  mapfile -t options < <(site_options "$kind")
  local command=(env SUBMIT=0 ROOT="$ROOT" sbatch --parsable --chdir="$PWD"
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

# Appends the control to `flags`: one that is there or, in a dry run of the
# whole pipeline, one that would be by then.
add_control() {
  if [ -d "$CONTROL" ] || [ "$DRY_RUN${CONTROL_COMES:-0}" = 11 ]; then
    flags+=(--control "$CONTROL")
  fi
}

check_python() {
  local code='import importlib.util as x, sys; sys.exit(not x.find_spec("elements"))'
  "$PYTHON" -c "$code" 2>/dev/null ||
    fail "$PYTHON lacks the packages of this repository; run make venv in $ROOT, or activate an environment that has them."
}

# Prints a command so that it can be pasted, then runs it.
run() {
  printf '%q ' "$@"
  echo
  if [ "$DRY_RUN" != 1 ]; then
    check_python
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
  check_python
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
