"""Two processes train one agent: they save and stop together."""

import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from embodied.run import checkpoint

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLAGS = (
  '--configs debug --task dummy_disc --batch_size 4 --batch_length 5 '
  '--run.envs 2 --run.train_ratio 4 --agent.imag_length 3 --jax.debug False '
  '--logger.outputs jsonl --run.usage.nvsmi False --replicas 2 '
  '--run.log_every -1 --run.report_every 0 --run.save_every 1'
)


def start(logdir, *argv):
  """Both processes of a run, and the files that they print to."""
  with socket.socket() as probe:
    probe.bind(('localhost', 0))
    address = f'localhost:{probe.getsockname()[1]}'
  command = [
    sys.executable,
    str(ROOT / 'dreamerv3/main.py'),
    *FLAGS.split(),
    '--jax.coordinator_address',
    address,
    '--logdir',
    str(logdir),
    *argv,
  ]
  logs = [logdir.with_suffix(f'.{i}.log') for i in range(2)]
  processes = []
  for index, log in enumerate(logs):
    with log.open('w') as file:
      processes.append(
        subprocess.Popen([*command, '--replica', str(index)], stdout=file, stderr=file)
      )
  return processes, logs


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
  """Checkpoints of two processes, of which the second one got a signal."""
  tmp_path = tmp_path_factory.mktemp('run')
  processes, logs = start(tmp_path)
  try:
    end = time.monotonic() + 600
    while 'train/loss' not in _text(tmp_path / 'metrics.jsonl'):
      assert time.monotonic() < end, logs[0].read_text()
      assert processes[0].poll() is None, logs[0].read_text()
      time.sleep(0.2)
    processes[1].send_signal(signal.SIGTERM)  # which JAX would like to have, too
    assert [x.wait(300) for x in processes] == [75, 75]
  finally:
    for process in processes:
      process.kill()
      process.wait()
  return [checkpoint.find(x) for x in (tmp_path, tmp_path / 'replica_1')]


@pytest.mark.slow
def test_a_signal_to_one_process_saves_and_stops_both(folders):
  steps = [checkpoint.step_of(x) for x in folders]
  assert steps[0] == steps[1] > 0
  one, two = (checkpoint.read(x / 'agent.pkl') for x in folders)
  assert one['counters'] == two['counters']
  for name, value in one['params'].items():
    np.testing.assert_array_equal(value, two['params'][name], name)


@pytest.mark.slow
def test_the_step_counts_the_environments_of_one_process(folders):
  for folder in folders:
    assert len(_actions(folder)) == checkpoint.step_of(folder)


@pytest.mark.slow
def test_processes_draw_different_actions(folders):
  one, two = map(_actions, folders)
  # The dummy shows the same in both, so only chance can tell them apart.
  assert (one == two).mean() < 0.5


@pytest.mark.slow
def test_a_process_that_lacks_the_newest_takes_the_other_back(folders, tmp_path):
  # As if the second one had been killed in the middle of its last save.
  run = tmp_path / 'run'
  shutil.copytree(folders[0].parents[1], run)
  older, newest = checkpoint.complete(run / 'replica_1/ckpt')
  shutil.rmtree(newest)
  (run / 'replica_1/ckpt/latest').write_text(older.name)
  step = checkpoint.step_of(older)
  assert step < checkpoint.step_of(checkpoint.find(run))
  processes, logs = start(run, '--run.steps', str(step + 40))
  try:
    assert [x.wait(300) for x in processes] == [0, 0], logs[0].read_text()
  finally:
    for process in processes:
      process.kill()
      process.wait()
  for log in logs:
    assert f'Continuing at step {step} ' in log.read_text()


def _actions(folder):
  """Every action in the replay of a process, stream by stream."""
  # A save keeps the files of the one before: a chunk, but shorter.
  newest: dict = {}
  for path in sorted((folder.parents[1] / 'replay').glob('*.npz')):
    actions = np.load(path)['action']
    uuid = path.name.split('-')[1]
    newest[uuid] = max(actions, newest.get(uuid, actions), key=len)
  return np.concatenate([*newest.values()])


def _text(path):
  return path.read_text() if path.exists() else ''
