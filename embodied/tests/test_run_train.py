"""The training loop with a numpy agent: numbers, logs, resume, kills."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import elements
import numpy as np
import pytest

from embodied.core import logging, streams
from embodied.core.replay import Replay
from embodied.envs.dummy import Dummy
from embodied.run import checkpoint
from embodied.run.eval_only import eval_only
from embodied.run.train import train
from embodied.run.train_eval import train_eval
from embodied.tests.learner import Learner

ROOT = pathlib.Path(__file__).resolve().parents[2]
BATCH, LENGTH = 2, 4


def args_of(logdir, **kwargs):
  settings = dict(
    logdir=str(logdir), batch_size=BATCH, batch_length=LENGTH,
    consec_report=1, steps=80.0, duration=0, train_ratio=4.0, log_every=-1,
    report_every=0, save_every=0, ckpt_keep=[0.0], envs=2, eval_envs=1,
    eval_eps=1, report_batches=1, from_checkpoint='',
    from_checkpoint_regex='', usage={'psutil': True, 'nvsmi': False},
    debug=True, log_keys='', replicas=1,
  )  # fmt: skip
  return elements.Config({**settings, **kwargs})


class Parts:
  """The factories of a run, and what they made."""

  def __init__(self, logdir, hook=None, length=9, **kwargs):
    self.args = args_of(logdir, **kwargs)
    self.logdir = pathlib.Path(logdir)
    self.hook, self.length = hook, length
    self.episodes = {}

  def agent(self):
    env = self.env(0)
    self.made = Learner(env.obs_space, env.act_space, hook=self.hook)
    return self.made

  def env(self, index, episode=0):
    self.episodes[index] = episode
    return Dummy('disc', size=(8, 8), length=self.length)

  def replay(self, folder, share=1.0):
    self.kept = Replay(LENGTH + 1, int(1000 * share), folder, 32, online=True)
    return self.kept

  def stream(self, replay, mode):
    source = streams.Replayed(replay, BATCH, mode)
    return streams.Consec(source, LENGTH, prefix=1)

  def logger(self, step, resumed=None):
    self.logdir.mkdir(parents=True, exist_ok=True)
    names = 'metrics.jsonl', 'scores.jsonl'
    if resumed is not None:
      for name in names:
        logging.truncate_jsonl(self.logdir / name, resumed)
    return logging.Logger(
      step,
      [
        logging.JsonLines(self.logdir / names[0]),
        logging.JsonLines(self.logdir / names[1], r'^episode/score'),
      ],
    )

  def run(self, loop=train):
    return loop(
      self.agent, self.replay, self.env, self.stream, self.logger, self.args
    )

  def lines(self, name='metrics.jsonl'):
    return read_lines(self.logdir / name)


def read_lines(path):
  return [json.loads(x) for x in path.read_text().splitlines()]


def logged(lines, key):
  return [(x['step'], x[key]) for x in lines if key in x]


def test_a_run_trains_logs_and_saves(tmp_path):
  run = Parts(tmp_path, report_every=-1)
  assert run.run() == 0
  # 80 steps of 2 environments; sequences of 5 steps; training from 8
  # sequences on: after 2 * 4 + 8 steps. One update, then half a one per step.
  updates = 1 + (80 - 16) // 2
  assert run.made.counters['updates'] == updates
  assert run.made.counters['actions'] == 40
  names = {k for x in run.lines() for k in x}
  assert {
    'step', 'episode/score', 'episode/length', 'train/loss/test',
    'report/loss/test', 'epstats/log/count/max', 'epstats/reward_rate',
    'replay/items', 'replay/replay_ratio', 'usage/psutil/proc_ram_gb',
    'fps/policy', 'fps/train',
  } <= names  # fmt: skip
  # Episodes of 10 steps with the reset one: 4 of each environment.
  scores = run.lines('scores.jsonl')
  assert len(run.lines()) == len({x['step'] for x in run.lines()})
  assert set(scores[0]) == {'step', 'episode/score'}
  assert [n for _, n in logged(run.lines(), 'episode/length')] == [10] * 8
  assert checkpoint.step_of(checkpoint.find(tmp_path)) == 80
  files = {x.name for x in checkpoint.find(tmp_path).iterdir()}
  assert files == {
    'step.pkl', 'agent.pkl', 'replay.pkl', 'run.pkl', 'done',
  }  # fmt: skip


def test_processes_give_the_numbers_of_a_serial_run(tmp_path):
  serial = Parts(tmp_path / 'a', log_every=0)
  parallel = Parts(tmp_path / 'b', log_every=0, debug=False)
  serial.run()

  def env(index, episode=0):  # sent by value, without the rest of this test
    return Dummy('disc', (8, 8), 9)

  train(
    parallel.agent, parallel.replay, env, parallel.stream, parallel.logger,
    parallel.args,
  )  # fmt: skip
  np.testing.assert_array_equal(
    serial.made.params['net/kernel'], parallel.made.params['net/kernel']
  )


def test_train_ratio_0_only_collects(tmp_path):
  run = Parts(tmp_path, train_ratio=0.0)
  run.run()
  assert run.made.counters['updates'] == 0


def test_duration_ends_a_run_with_a_save(tmp_path):
  run = Parts(tmp_path, steps=1e9, duration=1, train_ratio=0.0)
  assert run.run() == 0
  assert checkpoint.step_of(checkpoint.find(tmp_path)) > 0


def test_n_and_n_updates_equal_2n(tmp_path):
  # Episodes end at step 40 and 80 of the run, so a restart there, which
  # resets the environments, changes no observation.
  whole = Parts(tmp_path / 'whole')
  whole.run()
  first = Parts(tmp_path / 'parts', steps=40.0)
  first.run()
  half = first.made.params['net/kernel'].copy()
  second = Parts(tmp_path / 'parts')
  second.run()
  assert not np.array_equal(half, whole.made.params['net/kernel'])
  assert second.made.counters == whole.made.counters
  for key, value in whole.made.params.items():
    np.testing.assert_array_equal(second.made.params[key], value)
  # Also the logs are those of one run.
  for name in ('metrics.jsonl', 'scores.jsonl'):
    for key in ('episode/score', 'episode/length'):
      got = logged(second.lines(name), key)
      assert got == logged(whole.lines(name), key)
  means = dict(logged(second.lines(), 'train/loss/test'))
  expected = dict(logged(whole.lines(), 'train/loss/test'))
  assert means.keys() >= expected.keys() - {40}
  assert all(means[k] == v for k, v in expected.items() if k > 60)


def test_saving_changes_nothing(tmp_path):
  rare = Parts(tmp_path / 'a')
  often = Parts(tmp_path / 'b', save_every=-1, report_every=-1)
  rare.run()
  often.run()
  np.testing.assert_array_equal(
    rare.made.params['net/kernel'], often.made.params['net/kernel']
  )


def test_a_finished_run_is_left_as_it_is(tmp_path, capsys):
  Parts(tmp_path).run()
  before = {x: x.read_bytes() for x in tmp_path.rglob('*') if x.is_file()}
  assert Parts(tmp_path).run() == 0
  assert 'Nothing to do: 80 steps are done.' in capsys.readouterr().out
  after = {x: x.read_bytes() for x in tmp_path.rglob('*') if x.is_file()}
  assert after == before


def test_more_steps_continue_a_finished_run(tmp_path):
  Parts(tmp_path).run()
  run = Parts(tmp_path, steps=100.0)
  run.run()
  assert checkpoint.step_of(checkpoint.find(tmp_path)) == 100
  # Dummy has no numbered episodes; those that have go on with the next one.
  assert set(run.episodes) == {0, 1}


def test_numbered_episodes_go_on_with_the_next_one(tmp_path):
  class Numbered(Dummy):
    number = 0

    @property
    def obs_space(self):
      return {**super().obs_space, 'log/episode': elements.Space(np.int32)}

    def step(self, action):
      self.number += bool(action['reset'])
      return {**super().step(action), 'log/episode': np.int32(self.number)}

  class Run(Parts):
    def env(self, index, episode=0):
      self.episodes[index] = episode
      env = Numbered('disc', size=(8, 8), length=9)
      env.number = max(0, episode - 1)
      return env

  first = Run(tmp_path, steps=50.0)
  first.run()
  assert first.episodes == {0: 0, 1: 0}
  second = Run(tmp_path)
  second.run()
  # 25 steps each: two episodes of 10 and half of the third.
  assert second.episodes == {0: 4, 1: 4}


def test_schedule_keeps_checkpoints(tmp_path):
  Parts(tmp_path, ckpt_keep=[30.0], save_every=-1).run()
  folders = checkpoint.complete(tmp_path / 'ckpt')
  *kept, last = [checkpoint.step_of(x) for x in folders]
  assert last == 80
  # A save under way postpones the next one, so not exactly 30 and 60.
  assert kept
  assert [x // 30 for x in kept] in ([1], [2], [1, 2])


def test_a_new_run_can_start_from_a_checkpoint(tmp_path):
  first = Parts(tmp_path / 'a')
  first.run()
  run = Parts(tmp_path / 'b', from_checkpoint=str(tmp_path / 'a'), steps=10.0)
  run.run()
  np.testing.assert_array_equal(
    first.made.params['net/kernel'], run.made.params['net/kernel']
  )
  assert checkpoint.step_of(checkpoint.find(tmp_path / 'b')) == 10


def test_train_eval(tmp_path):
  run = Parts(tmp_path, report_every=-1, log_every=-1)
  run.run(train_eval)
  names = {k for x in run.lines() for k in x}
  assert {'eval/episode/score', 'eval/loss/test', 'report/loss/test'} <= names
  files = {x.name for x in checkpoint.find(tmp_path).iterdir()}
  assert {'replay_train.pkl', 'replay_eval.pkl'} <= files
  scores = run.lines('scores.jsonl')
  assert all(set(x) == {'step', 'episode/score'} for x in scores)


def test_eval_only(tmp_path):
  Parts(tmp_path).run()
  run = Parts(tmp_path, steps=50.0, from_checkpoint=str(tmp_path))
  run.logdir = tmp_path / 'eval_only'
  before = (tmp_path / 'metrics.jsonl').read_text()
  assert eval_only(run.agent, run.env, run.logger, run.args) == 0
  assert len(run.lines('scores.jsonl')) > 0
  assert run.made.counters['updates'] == 33  # those of the checkpoint
  assert (tmp_path / 'metrics.jsonl').read_text() == before


def test_eval_only_without_a_checkpoint(tmp_path):
  run = Parts(tmp_path / 'none')
  with pytest.raises(checkpoint.CheckpointError, match='There is no'):
    eval_only(run.agent, run.env, run.logger, run.args)
  assert not (tmp_path / 'none').exists()


def test_bad_losses_end_the_run(tmp_path):
  def hook(agent):
    if agent.counters['updates'] == 5:
      raise FloatingPointError('loss is nan')

  with pytest.raises(FloatingPointError):
    Parts(tmp_path, hook=hook).run()


# ---------------------------------------------------------------------------
# Signals, kills and a full disk, with real processes
# ---------------------------------------------------------------------------

SCRIPT = """
import sys, time
sys.path.insert(0, {root!r})
from embodied.tests.test_run_train import Parts
slow = lambda agent: time.sleep(0.02)
run = Parts(sys.argv[1], hook=slow, steps=float(sys.argv[2]),
            save_every=-1, log_every=-1, length=9)
print('ready', flush=True)
code = run.run()
print('params', run.made.params['net/kernel'].tolist())
sys.exit(code)
"""


def start(logdir, steps, **kwargs):
  command = [sys.executable, '-c', SCRIPT.format(root=str(ROOT))]
  return subprocess.Popen(
    [*command, str(logdir), str(steps)], text=True,
    stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs,
  )  # fmt: skip


def wait_for(condition, seconds=60):
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end
    time.sleep(0.02)


def progressed(logdir, steps):
  def check():
    try:
      return checkpoint.step_of(checkpoint.find(logdir)) >= steps
    except checkpoint.CheckpointError:
      return False  # not there yet, or just replaced by a newer one

  return check


@pytest.mark.parametrize(
  ('number', 'code'),
  [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)],
)
def test_signals_save_and_ask_for_a_requeue(tmp_path, number, code):
  process = start(tmp_path, 1e6)
  wait_for(progressed(tmp_path, 60))
  process.send_signal(number)
  out, err = process.communicate(timeout=60)
  assert process.returncode == code, err
  assert 'saving a checkpoint, then leaving' in err
  steps = checkpoint.step_of(checkpoint.find(tmp_path))
  last = read_lines(tmp_path / 'metrics.jsonl')[-1]
  assert last['step'] == steps  # nothing is lost, nothing is ahead


def test_kill_9_and_rerun_lose_little_and_double_nothing(tmp_path):
  total = 400
  for goal in (60, 150):
    process = start(tmp_path, total)
    wait_for(progressed(tmp_path, goal))
    process.kill()
    process.communicate()
    with (tmp_path / 'scores.jsonl').open('a') as file:
      file.write('{"step": 123456, "episode/score": 3.0}\n{"step": 9')
  process = start(tmp_path, total)
  out, err = process.communicate(timeout=120)
  assert process.returncode == 0, err
  assert 'Continuing at step' in out
  steps = [x['step'] for x in read_lines(tmp_path / 'scores.jsonl')]
  assert steps == sorted(steps)
  assert max(steps) <= total
  metrics = read_lines(tmp_path / 'metrics.jsonl')
  found = [x['step'] for x in metrics]
  assert found == sorted(set(found))  # each step once
  episodes = logged(metrics, 'episode/length')
  assert len(episodes) <= total // 10
  assert checkpoint.step_of(checkpoint.find(tmp_path)) == total


def test_a_full_disk_ends_the_run_with_the_last_checkpoint(tmp_path):
  if os.geteuid() or not sys.platform.startswith('linux'):
    pytest.skip('needs root to mount a small filesystem')
  disk = tmp_path / 'disk'
  disk.mkdir()
  mount = ['mount', '-t', 'tmpfs', '-o', 'size=2M', 'tmpfs', str(disk)]
  if subprocess.run(mount, capture_output=True).returncode:
    pytest.skip('this container may not mount')
  try:
    process = start(disk / 'run', 1e6)
    wait_for(progressed(disk / 'run', 60))
    with contextlib.suppress(OSError), (disk / 'other').open('wb') as file:
      while True:
        file.write(bytes(1000))
        file.flush()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert 'No space left on device' in err
    found = checkpoint.find(disk / 'run')
    for name in ('step', 'agent', 'replay', 'run'):
      checkpoint.read(found / f'{name}.pkl')
    assert checkpoint.step_of(found) > 0
  finally:
    process.kill()
    subprocess.run(['umount', str(disk)], check=True)
