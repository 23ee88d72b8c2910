"""The training loop under signals, kills and a full disk."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from embodied.run import checkpoint
from embodied.tests.learner_runs import logged, read_lines

ROOT = pathlib.Path(__file__).resolve().parents[2]


SCRIPT = """
import sys, threading, time
sys.path.insert(0, {root!r})
from embodied.run import checkpoint
from embodied.tests.learner_runs import Factories
slow = lambda agent: time.sleep(0.02)
run = Factories(sys.argv[1], hook=slow, steps=float(sys.argv[2]),
            save_every=float(sys.argv[3]), log_every=-1, length=9)
{more}
print('ready', flush=True)
code = run.run()
print('params', run.made.params['net/kernel'].tolist())
sys.exit(code)
"""


def start(logdir, steps, save_every=-1, more='', **kwargs):
  command = [sys.executable, '-c', SCRIPT.format(root=str(ROOT), more=more)]
  return subprocess.Popen(
    [*command, str(logdir), str(steps), str(save_every)],
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    **kwargs,
  )


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


def logged_steps(logdir):
  path = logdir / 'metrics.jsonl'
  found = read_lines(path) if path.exists() else []
  return [x['step'] for x in found] or [0]  # there, and still empty


SIGNALS = pytest.mark.parametrize(
  ('number', 'code'),
  [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)],
)


@SIGNALS
def test_signals_save_and_ask_for_a_requeue(tmp_path, number, code):
  process = start(tmp_path, 1e6, save_every=0)
  wait_for(lambda: logged_steps(tmp_path)[-1] >= 60)
  process.send_signal(number)
  _out, err = process.communicate(timeout=60)
  assert process.returncode == code, err
  assert 'saving a checkpoint, then leaving' in err
  steps = checkpoint.step_of(checkpoint.find(tmp_path))
  # Nothing is lost, nothing is ahead.
  assert logged_steps(tmp_path)[-1] == steps


# Each save waits for a file, which says how many saves have begun.
STUCK = """
sync, saves = checkpoint._sync, []
def stuck(path):
  saves.append(path)
  print('saving', flush=True)
  while len(saves) > 3 and not (run.logdir / 'go').exists():
    time.sleep(0.02)
  sync(path)
checkpoint._sync = stuck
"""


def test_a_save_under_way_is_enough(tmp_path):
  process = start(tmp_path, 1e6, more=STUCK)
  wait_for(lambda: logged_steps(tmp_path)[-1] >= 60)
  process.send_signal(signal.SIGUSR1)
  time.sleep(0.5)
  assert process.poll() is None  # it waits for the save
  ahead = logged_steps(tmp_path)[-1]
  (tmp_path / 'go').touch()
  _, err = process.communicate(timeout=60)
  assert process.returncode == 75, err
  assert 0 < checkpoint.step_of(checkpoint.find(tmp_path)) < ahead


def test_a_second_interrupt_does_not_wait_for_the_save(tmp_path):
  process = start(tmp_path, 1e6, more=STUCK)
  wait_for(lambda: logged_steps(tmp_path)[-1] >= 60)
  process.send_signal(signal.SIGINT)
  time.sleep(0.5)
  assert process.poll() is None
  process.send_signal(signal.SIGINT)
  process.communicate(timeout=10)
  assert process.returncode == 130
  assert checkpoint.step_of(checkpoint.find(tmp_path)) == 0


# The start takes for ever: an environment that does not come up.
STARTING = """
make = run.env
def env(index, episode=0):
  if run.replays and run.episodes:
    print('starting', flush=True)
    time.sleep(60)
  return make(index, episode)
run.env = env
"""


@SIGNALS
def test_a_signal_ends_the_start_at_once(tmp_path, number, code):
  process = start(tmp_path, 1e6, more=STARTING)
  assert process.stdout.readline() == 'ready\n'
  assert process.stdout.readline() == 'starting\n'
  process.send_signal(number)
  _, err = process.communicate(timeout=30)
  assert process.returncode == code, err
  assert err == f'{number.name}: leaving the start.\n'


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
    _out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert 'No space left on device' in err
    found = checkpoint.find(disk / 'run')
    for name in ('step', 'agent', 'replay', 'run'):
      checkpoint.read(found / f'{name}.pkl')
    assert checkpoint.step_of(found) > 0
  finally:
    process.kill()
    subprocess.run(['umount', str(disk)], check=True)
