"""A full disk or a lost output: one line with what to do, exit code, whole files."""

import pathlib
import resource
import subprocess
import sys

import pytest

from dreamerv3.base import files, unpickle
from tests import synthetic
from tests.plots import tuning_results

ROOT = pathlib.Path(__file__).parents[1]


def call(command, *argv, **kwargs):
  code = [sys.executable, '-W', 'ignore', f'dreamerv3/{command}.py', *map(str, argv)]
  kwargs = {'capture_output': True, 'text': True, 'timeout': 300} | kwargs
  return subprocess.run(code, cwd=ROOT, **kwargs)


def little_room():
  """Files cannot grow, as on a disk that is full or a quota that is used up."""
  resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


@pytest.fixture(scope='module')
def given(tmp_path_factory):
  """A recording, results of it and a log, all small."""
  folder = tmp_path_factory.mktemp('given')
  codes = {'dyn/deter': synthetic.one_hot_places, 'enc/cnn0': synthetic.noise}
  synthetic.record(folder / 'data', codes, episodes=4)
  made = tuning_results.results(n_shuffles=20)
  files.save_pickle(folder / 'tuning_results.pkl', made.to_dict())
  lines = [f'{{"step": {i}, "episode/score": {i % 7}}}\n' for i in range(50)]
  (folder / 'scores.jsonl').write_text(''.join(lines))
  (folder / 'metrics.jsonl').write_text(''.join(lines))
  return folder


COMMANDS: dict[str, list] = {
  'decode_position': ['--data', '{data}', '--device', 'cpu', '--n_boot', 10],
  'tuning_curve': ['--data', '{data}', '--n_shuffles', 0],
  'plot_trajectories': ['--data', '{data}'],
  'plot_training': ['--logdir', '{folder}'],
}


def run(command, given, save, **kwargs):
  names = {'{data}': given / 'data', '{folder}': given}
  argv = [names.get(x, x) for x in COMMANDS[command]]
  done = call(command, *argv, '--save', save, **kwargs)
  assert 'Traceback' not in done.stderr, done.stderr
  for path in save.rglob('*'):
    assert not path.name.endswith('.tmp')
    if path.suffix == '.pkl':
      unpickle.load(path)
  return done.returncode, done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize('command', COMMANDS)
def test_no_room_is_known_before_the_work(given, tmp_path, command):
  code, last = run(command, given, tmp_path, preexec_fn=little_room)
  assert code == 2
  assert 'File too large' in last
  assert str(tmp_path) in last


@pytest.fixture
def small_disk(tmp_path):
  """A file system of some pages, which fills up before the last figure."""
  folder = tmp_path / 'disk'
  folder.mkdir()
  mount = ['mount', '-t', 'tmpfs', '-o', 'size=80k', 'tmpfs', str(folder)]
  if subprocess.run(mount, capture_output=True).returncode:
    pytest.skip('cannot mount a small file system: not root')
  yield folder
  subprocess.run(['umount', str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize('command', COMMANDS)
def test_a_disk_that_fills_up_is_one_line_and_leaves_whole_files(
  given, small_disk, command
):
  code, last = run(command, given, small_disk)
  assert code == 1, last
  assert 'No space left' in last
  assert 'run the same command again' in last
  assert str(small_disk) in last
