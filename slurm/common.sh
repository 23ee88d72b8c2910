# shellcheck shell=bash
# What all run_*.sh share; sourced, never run. Needs ROOT and SELF.
#
# Settings are variables before the command or VAR=value words behind it, of which
# the words win. A setting is what the block `# Settings` of a script lists. Words
# that are no setting are refused, and so are exported variables in capitals that
# are one letter off a setting (two, if it has eight or more): those were meant.
# Other variables are none of our business.
#
# Relative paths are those of the caller's directory, as in the commands that
# are printed.

# Of the shell that called us, for ours and for git: none may lead elsewhere.
unset BASH_ENV ENV CDPATH GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR

# Understood by all scripts, besides their own settings.
COMMON='DRY_RUN    0  1: print the commands, run nothing
SUBMIT     0  1: hand the script to sbatch; words that start with - are options of it
PYTHON        interpreter; empty: .venv/bin/python, else python3'

# One line and exit code 2: a mistake of the user's.
fail() {
  echo "$SELF: error: $1" >&2
  exit 2
}

# settings SCRIPT: NAME, tab, default, tab, meaning; one line for each.
settings() {
  sed -nE '/^# Settings/,/^$/s/^(export )?([A-Z0-9_]+)=\$\{\2:-(.*)\} +# (.*)/\2\t\3\t\4/p' "$1" |
    sed -E 's/\$\{SLURM_ARRAY_TASK_ID:-0\}/0/'
}

# Names that are settings here. The whole pipeline, and its stages, know those of
# all scripts.
names() {
  local scripts=("$ROOT/$SELF")
  if [ "$SELF" = run_Loop.sh ] || [ "$SELF" = demo_train.sh ] || [ -n "${PART_OF:-}" ]; then
    scripts+=("$ROOT"/run_*.sh)
  fi
  for script in "${scripts[@]}"; do settings "$script" | cut -f 1; done
  cut -d ' ' -f 1 <<<"$COMMON"
}

help() {
  sed -nE '2,/^#$/s/^# ?//p' "$ROOT/$SELF"
  sed -nE '/^#   /s/^# ?//p' "$ROOT/$SELF"
  echo
  echo 'Settings, their defaults and meanings:'
  { settings "$ROOT/$SELF" | tr '\t' '\n'; } | while
    read -r name && read -r default && read -r meaning
  do
    printf '  %-16s %-31s %s\n' "$name" "$default" "$meaning"
  done
  echo
  echo 'Of all scripts:'
  echo "  ${COMMON//$'\n'/$'\n'  }"
}

# near LIMIT: of the words on stdin (known names, then a line --, then others),
# prints "OTHER NAME" for each other one within the distance of a known name.
# Letters that are missing, added, changed, or swapped with a neighbour count 1.
# With LIMIT 0 one is allowed, and two from eight letters on.
near() {
  awk -v limit="$1" '
    function least(a, b) { return a < b ? a : b }
    function distance(a, b,    i, j, d, m, n, same) {
      m = length(a); n = length(b)
      for (i = 0; i <= m; i++) d[i, 0] = i
      for (j = 0; j <= n; j++) d[0, j] = j
      for (i = 1; i <= m; i++) for (j = 1; j <= n; j++) {
        same = substr(a, i, 1) == substr(b, j, 1)
        d[i, j] = least(least(d[i-1, j], d[i, j-1]) + 1, d[i-1, j-1] + !same)
        if (i > 1 && j > 1 && substr(a, i, 1) == substr(b, j-1, 1) &&
            substr(a, i-1, 1) == substr(b, j, 1))
          d[i, j] = least(d[i, j], d[i-2, j-2] + 1)
      }
      return d[m, n]
    }
    $0 == "--" { others = 1; next }
    !others { known[$0]; next }
    $0 in known { next }
    {
      best = ""; found = 99
      for (name in known) {
        allowed = limit ? limit : 1 + (length(name) >= 8)
        if (length(name) < 4 && !limit) continue
        gap = length(name) - length($0)
        if (gap > allowed || -gap > allowed) continue
        d = distance($0, name)
        if (d <= allowed && d < found) { found = d; best = name }
      }
      if (best != "") print $0, best
    }'
}

# A misspelt setting among the exported variables.
check_exported() {
  local hit
  hit=$({
    names
    echo --
    compgen -e | grep -xE '[A-Z][A-Z0-9_]{3,}' | while read -r name; do
      [ -z "${!name}" ] || echo "$name"
    done
  } | near 0 | head -n 1)
  [ -z "$hit" ] ||
    fail "${hit% *} is no setting; did you mean ${hit#* }? (If it is meant for another program: unset ${hit% *})"
}

# Words of the command line: settings, and with SUBMIT=1 options of sbatch.
OPTIONS=()
read_words() {
  local word name hit known
  known=$(names)
  for word in "$@"; do
    name=${word%%=*}
    if [[ $word =~ ^[A-Z][A-Z0-9_]*= ]]; then
      if [[ $'\n'$known$'\n' != *$'\n'$name$'\n'* ]]; then
        hit=$(printf '%s\n' "$known" -- "$name" | near 3)
        hit=${hit:+did you mean ${hit#* }?}
        fail "$name is no setting; ${hit:-bash $SELF --help lists them.}"
      fi
      export "$name=${word#*=}"
    else
      OPTIONS+=("$word")
    fi
  done
  if [ "${#OPTIONS[@]}" -gt 0 ]; then
    [ "${SUBMIT:-0}" = 1 ] ||
      fail "got '${OPTIONS[0]}'; options of sbatch need SUBMIT=1, settings are words as LOGDIR=logdir/my_run: $(settings "$ROOT/$SELF" | cut -f 1 | paste -sd ' ')"
    [[ ${OPTIONS[0]} == -* ]] ||
      fail "got '${OPTIONS[0]}'; give settings as VAR=value and options of sbatch with dashes."
  fi
}

for word in "$@"; do
  if [ "$word" = --help ] || [ "$word" = -h ]; then
    help
    exit 0
  fi
done
read_words "$@"
check_exported
for word in DRY_RUN SUBMIT; do # of another value, such as yes, all would run here
  [[ ${!word:-0} =~ ^[01]$ ]] || fail "$word is '${!word}'; expected 0 or 1."
done

need_logdir() {
  [ -n "$LOGDIR" ] ||
    fail "LOGDIR is missing; give the folder of a training run: bash $SELF LOGDIR=logdir/my_run"
}

# A cluster's partitions and account, in one place; see site.env.example.
if [ -f "$ROOT/site.env" ]; then
  # shellcheck disable=SC1091
  source "$ROOT/site.env"
fi

# Where our programs are, short when called from the repository itself.
HERE=$ROOT/
[ ! "$PWD" -ef "$ROOT" ] || HERE=
if [ -z "${PYTHON:-}" ] && [ -x "$ROOT/.venv/bin/python" ]; then
  PYTHON=${HERE}.venv/bin/python
  unset PYTHONPATH PYTHONHOME # it has all it needs; modules set these for theirs
fi
PYTHON=${PYTHON:-python3}
DRY_RUN=${DRY_RUN:-0}
export MPLBACKEND=Agg
# Lines of a log file appear as they are printed.
export PYTHONUNBUFFERED=1

# The device of a fit, when none was asked for.
device() {
  command -v nvidia-smi >/dev/null && echo cuda || echo cpu
}

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
  fi
  local options
  mapfile -t options < <(site_options "$kind")
  local command=(env SUBMIT=0 sbatch --parsable --export=ALL --chdir="$PWD"
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
    submit "$kind" "$ROOT/$SELF" "${OPTIONS[@]}"
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
    echo "# $SELF, $(date -u +%Y-%m-%dT%H:%M:%SZ), job ${SLURM_JOB_ID:-none}"
    for name in "$@"; do
      printf '%s=%q\n' "$name" "${!name}"
    done
  } >>"$file"
}

# Whether SLURM started this shell as a batch job; an interactive session has the
# same variables, but must not be requeued.
in_batch() {
  [ -n "${SLURM_JOB_ID:-}" ] &&
    grep 'BatchFlag=1' <<<"$(scontrol show job "$SLURM_JOB_ID")" >/dev/null
}

# Hands a signal to the child of run_requeue, or keeps it until there is one.
pass_on() {
  early=''
  if [ -z "$child" ]; then
    early=$1
  else
    kill -"$1" "$child" 2>/dev/null || true
  fi
}

# run_requeue COMMAND ...: runs training so that SLURM's warning before the time
# limit (USR1) reaches it; it saves and exits with 75, and the job is requeued. One
# that is cancelled (TERM) saves, too, and is not: it would come back.
run_requeue() {
  printf '%q ' "$@"
  echo
  if [ "$DRY_RUN" = 1 ]; then
    return
  fi
  check_python
  # Listens before it starts, so that no signal can come too early.
  local child='' code=0 warned='' cancelled='' early=''
  trap 'warned=1; pass_on USR1' USR1
  trap 'cancelled=1; pass_on TERM' TERM INT
  "$@" &
  child=$!
  [ -z "$early" ] || pass_on "$early"
  # A signal ends the wait early: wait again until the child is gone.
  while :; do
    code=0
    wait "$child" || code=$?
    kill -0 "$child" 2>/dev/null || break
  done
  trap - USR1 TERM INT
  if [ "$code" = 75 ] && { [ -n "$warned" ] || [ -z "$cancelled" ]; } && in_batch; then
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
