#!/usr/bin/env bash
# Runs the cluster scripts of a fresh clone through a real SLURM of one node: an
# interactive session, the whole pipeline with one requeue in the middle of training,
# the pipeline as a chain of jobs, an array of two seeds, a requeue after the node of a
# job was lost, and a study.
#
#   make test-slurm
#
# Needs root (it starts daemons and may install Debian packages).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=${1:-$(mktemp -d)}
cluster=$root/tests/slurm/cluster.sh
export SLURM_CONF=$work/slurm/slurm.conf

finish() {
  local code=$?
  scancel --user="$(id -un)" --quiet 2>/dev/null || true
  "$cluster" stop "$work/slurm"
  if [ "$code" != 0 ]; then
    echo "FAILED; logs are in $work" >&2
    tail -n 40 "$work"/*/*.out >&2 || true
  fi
  exit "$code"
}
trap finish EXIT
mkdir -p "$work"
"$cluster" start "$work/slurm"

state() {
  scontrol show job --oneliner "$1" | grep -o 'JobState=[A-Z]*' | head -n 1 |
    cut -d= -f2
}

# wait_for JOB STATE SECONDS
wait_for() {
  for _ in $(seq "$3"); do
    [ "$(state "$1")" != "$2" ] || return 0
    case "$(state "$1")" in
      FAILED | CANCELLED | TIMEOUT | NODE_FAIL)
        echo "job $1 is $(state "$1"), expected $2" >&2
        return 1
        ;;
    esac
    # A requeued job waits for two minutes; not in a test.
    scontrol update JobId="$1" StartTime=now 2>/dev/null || true
    sleep 1
  done
  echo "job $1 is $(state "$1") after $3 s, expected $2" >&2
  return 1
}

expect() {
  for path in "$@"; do
    [ -s "$path" ] || {
      echo "missing: $path" >&2
      return 1
    }
  done
}

small=(--mem=6G --cpus-per-task=2)
# The smallest networks, and runs of a minute.
export CONFIG=crafter_small SIZE=debug PLATFORM=cpu
export STEPS=${STEPS:-1500} TRAIN_RATIO=16 NUM_EPISODES=4 ENVS=4
export N_SHUFFLES=20 DREAM_BATCHES=1 DREAM_EPISODES=1 N_JOBS=1 DEVICE=cpu

git clone --quiet "$root" "$work/clone"
ln -s "$root/.venv" "$work/clone/.venv"
mkdir -p "$work/elsewhere"
# Nothing of it may be run, though these name it.
git clone --quiet "$root" "$work/other"
rm -r "$work/other"/{dreamerv3,embodied}
export ROOT=$work/other SLURM_SUBMIT_DIR=$work/other

echo '== run_Crafter.sh in an interactive session, from another folder =='
cd "$work/elsewhere"
export LOGDIR=$work/interactive
STEPS=200 srun --quiet "${small[@]}" bash "$work/clone/run_Crafter.sh"
expect "$LOGDIR"/{hyperparams.txt,config.yaml,run_info.json,ckpt/latest}
misspelt=$(STEPSS=200 srun --quiet "${small[@]}" bash "$work/clone/run_Crafter.sh" 2>&1) || true
grep -q 'did you mean STEPS' <<<"$misspelt"

echo '== sbatch run_Loop.sh in the clone, requeued once =='
cd "$work/clone"
export LOGDIR=$work/loop
job=$(sbatch --parsable "${small[@]}" run_Loop.sh)
wait_for "$job" RUNNING 60
for _ in $(seq 120); do
  [ -e "$LOGDIR/ckpt/latest" ] && break
  sleep 1
done
expect "$LOGDIR/ckpt/latest"
sleep 10
scancel --signal=USR1 --batch "$job"
wait_for "$job" PENDING 120
echo "job $job was requeued"
wait_for "$job" COMPLETED 1500
grep -q 'Continuing at step' "slurm-loop-$job.out"
expect "$LOGDIR"/{hyperparams.txt,config.yaml,metrics.jsonl,run_info.json} \
  "$LOGDIR"/trajectories/{metadata.pkl,all_episodes.pkl,run_info.json} \
  "$LOGDIR"/trajectories_untrained/metadata.pkl \
  "$LOGDIR"/decoder_results/{summary.csv,classifier_deter.pkl,run_info.json} \
  "$LOGDIR"/layer_decoder_results/layer_comparison.png \
  "$LOGDIR"/tuning_results/{units.csv,layer_summary.png} \
  "$LOGDIR"/dream_results/dream_results.pkl \
  "$LOGDIR"/plots/training_progress.png

echo '== the same run as a chain of jobs: complete stages are only checked =='
count() {
  scontrol show job --oneliner | grep -c "JobState=$1" || true
}
before=$(count COMPLETED)
cd "$work/elsewhere"
CHAIN=1 SITE_OPTIONS="${small[*]}" bash "$work/clone/run_Loop.sh"
for _ in $(seq 1500); do
  [ -n "$(squeue --noheader)" ] || break
  sleep 1
done
scontrol show job --oneliner | grep -o 'JobName=[^ ]*\|JobState=[^ ]*' | paste - -
[ "$(count COMPLETED)" = $((before + 7)) ]
[ "$(grep -c '"stage": "dream_decode"' "$LOGDIR/dream_results/run_info.json")" = 2 ]

echo '== SUBMIT=1 run_Crafter.sh --array, from another folder =='
job=$(SUBMIT=1 bash "$work/clone/run_Crafter.sh" "${small[@]}" --array=0-1 \
  LOGDIR="$work/array" STEPS=300)
wait_for "${job}_0" COMPLETED 600
wait_for "${job}_1" COMPLETED 600
for seed in 0 1; do
  expect "$work/array_seed$seed/config.yaml"
  grep -q "^seed: $seed" "$work/array_seed$seed/config.yaml"
done

echo '== sbatch run_Crafter.sh from another folder; its node is lost =='
export LOGDIR=$work/lost
job=$(sbatch --parsable "${small[@]}" "$work/clone/run_Crafter.sh")
for _ in $(seq 240); do
  [ -e "$LOGDIR/ckpt/latest" ] && break
  sleep 1
done
expect "$LOGDIR/ckpt/latest" "$LOGDIR/.lock"
held=$(cat "$LOGDIR/.lock")
scontrol requeue "$job"
wait_for "$job" PENDING 120
# What a node that went down would have left.
sed -E 's/"host": "[^"]*"/"host": "node17"/' <<<"$held" >"$LOGDIR/.lock"
wait_for "$job" COMPLETED 900
grep -q 'Continuing at step' "slurm-crafter-$job.out"

echo '== a study of two conditions and two seeds =='
"$root/tests/slurm/study.sh" "$work/clone" "$work/study"

echo '1 passed, 0 failed'
