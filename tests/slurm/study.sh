#!/usr/bin/env bash
# A study through a real SLURM: arrays that wait for each other, a job that is
# cancelled in the middle and sent again, a condition that fails beside one that does not.
#
#   tests/slurm/study.sh CLONE WORK   # with SLURM_CONF of a cluster that is up
#
# run.sh calls it.
set -euo pipefail

clone=${1:?usage: study.sh CLONE WORK}
work=${2:?usage: study.sh CLONE WORK}
mkdir -p "$work"
cd "$work"
study() {
  "$clone/.venv/bin/python" "$clone/dreamerv3/study.py" --study study.yaml "$@"
}

cat >study.yaml <<EOF
folder: out
seeds: [0, 1]
conditions:
  usual: {}
  view: {env.crafter.egocentric_view: 7}
stages:
  train:
    configs: [crafter_small, debug]
    jax.platform: cpu
    run.steps: ${STUDY_STEPS:-1500}
    run.train_ratio: 16
    run.save_every: 5
  record: {num_episodes: 2, envs: 4, all_episodes: false, jax.platform: cpu}
  control: {all_episodes: false, jax.platform: cpu}
  decode: {repr: deter, n_boot: 50, n_iters: 100}
slurm:
  all: [--mem=4G, --cpus-per-task=1]
EOF
study plan
study submit

finished() {
  for _ in $(seq "$1"); do
    [ -n "$(squeue --noheader)" ] || return 0
    # A requeued job waits for two minutes; not in a test.
    for waiting in $(squeue --noheader --array --states=PENDING --format=%i); do
      scontrol update JobId="$waiting" StartTime=now 2>/dev/null || true
    done
    sleep 2
  done
  squeue
  return 1
}

echo '== one training is requeued, another cancelled, in the middle =='
job=$(grep -ho '"job": "[0-9]*_0"' out/tasks/usual_seed0.train.json | grep -o '[0-9]*' | head -n 1)
saved() {  # a run has a checkpoint
  for _ in $(seq 240); do
    [ ! -e "out/$1/ckpt/latest" ] || return 0
    sleep 1
  done
  return 1
}
saved usual_seed0
# scancel tries for a minute while the job is being requeued, and the other would end.
timeout 3 scancel --signal=USR1 --batch "${job}_0" || true
saved usual_seed1
scancel "${job}_1"
study status
finished 1200
study status | tee status.txt
# All of one run is missing or blocked, all others are done.
grep -Eq '^usual_seed0 +done.* +done.* +done.* +done' status.txt
grep -Eq '^view_seed1 +done.* +done.* +done.* +done' status.txt
grep -Eq '^12 done' status.txt
grep -q 'requeueing job' out/tasks/slurm-train-"${job}"_0.out
grep -q 'Continuing at step' out/tasks/usual_seed0.train.log

echo '== sent again: the rest of one run =='
study submit | tee sent.txt
grep -q 'Sent 4 of 16 tasks' sent.txt
finished 600
study status | tee status.txt
grep -q '^16 done' status.txt
[ "$(study submit | tail -n 1)" = 'Sent 0 of 16 tasks.' ]
echo 'the study is done'
