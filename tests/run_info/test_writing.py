"""Provenance: whole entries, no lost history, safe between processes."""

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest

from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.base.host import locks
from dreamerv3.run_info import log_run_info, noting, plain, read_run_info, writing

ROOT = pathlib.Path(__file__).parents[2]
APPEND = (
  'import sys\n'
  'from dreamerv3.run_info import log_run_info\n'
  'for i in range(int(sys.argv[2])):\n'
  '  log_run_info(sys.argv[1], sys.argv[3], {"i": i})\n'
)


def spawn(folder, count, stage):
  return subprocess.Popen(
    [sys.executable, '-c', APPEND, str(folder), str(count), stage], cwd=ROOT
  )


def test_entry_has_every_field(tmp_path, monkeypatch):
  monkeypatch.setenv('SLURM_JOB_ID', '77')
  monkeypatch.setattr(sys, 'orig_argv', ['python', 'x.py', '--save', 'a b'])
  path = log_run_info(
    tmp_path / 'new',
    'stage',
    {'n': np.int64(3), 'p': tmp_path},
    outputs=[tmp_path / 'a.png'],
    extra={'error': np.float32(0.5)},
  )
  (entry,) = json.loads(path.read_text())
  assert entry['stage'] == 'stage'
  assert entry['args'] == {'n': 3, 'p': str(tmp_path)}
  assert entry['outputs'] == ['../a.png']
  assert entry['status'] == 'done'
  assert entry['extra'] == {'error': 0.5}
  assert entry['slurm_job_id'] == '77'
  assert entry['timestamp'][-6] in '+-'
  assert {'python', 'numpy'} <= set(entry['versions'])
  assert isinstance(entry['git_dirty'], bool)
  assert re.fullmatch('[0-9a-f]{7,}', entry['git_sha'])
  assert entry['duration_s'] >= 0
  # The command can be pasted: it splits back into the same arguments.
  assert shlex.split(entry['command']) == sys.orig_argv


def test_entries_are_appended(tmp_path):
  for i in range(3):
    log_run_info(tmp_path, f's{i}')
  assert [x.stage for x in read_run_info(tmp_path)] == ['s0', 's1', 's2']


def test_an_entry_of_another_form_is_refused(tmp_path):
  path = tmp_path / 'run_info.json'
  path.write_text('[{"timestamp": "2026-01-01T00:00:00+00:00"}]')
  assert read_run_info(tmp_path)[0].outputs == ()
  good = '"timestamp": "2026-01-01T00:00:00+00:00"'
  for bad in (
    'x',
    '3',
    '[3]',
    '[' * 100_000,
    '[{"timestamp": "now"}]',
    '[{"args": []}]',
    f'[{{{good}, "outputs": [3]}}]',
    f'[{{{good}, "outputs": ["a\\u0000b"]}}]',
    f'[{{{good}, "inputs": [{{"role": "x"}}]}}]',
    f'[{{{good}, "inputs": [{{"role": 1, "path": "a", "absolute": "/a"}}]}}]',
  ):
    path.write_text(bad)
    with pytest.raises(UserError, match=r'run_info\.json is damaged or no'):
      read_run_info(tmp_path)


@pytest.mark.parametrize('bad', ['', '[{"stage": "a"', '{"a": 1}', 'x', '[3]'])
def test_corrupt_file_is_kept_aside(tmp_path, bad, capsys):
  (tmp_path / 'run_info.json').write_text(bad)
  log_run_info(tmp_path, 'after')
  assert [x.stage for x in read_run_info(tmp_path)] == ['after']
  (aside,) = tmp_path.glob('run_info.corrupt-*.json')
  assert aside.read_text() == bad
  assert aside.name in capsys.readouterr().err


def test_processes_lose_no_entry(tmp_path):
  jobs = [spawn(tmp_path, 5, stage) for stage in 'abc']
  assert [x.wait() for x in jobs] == [0, 0, 0]
  entries = read_run_info(tmp_path)
  for stage in 'abc':
    mine = [x.args['i'] for x in entries if x.stage == stage]
    assert mine == list(range(5))


def test_killed_writer_leaves_a_whole_file(tmp_path):
  log_run_info(tmp_path, 'first')
  job = spawn(tmp_path, 10_000, 'killed')
  while len(read_run_info(tmp_path)) < 3:
    assert job.poll() is None
  job.kill()
  job.wait()
  before = len(read_run_info(tmp_path))
  log_run_info(tmp_path, 'last')
  entries = read_run_info(tmp_path)
  assert len(entries) == before + 1
  assert entries[0].stage == 'first'


def test_unwritable_folder(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='Cannot write to'):
    log_run_info(tmp_path / 'file' / 'sub', 'x')


def test_plain_gives_json_types():
  value = plain({'a': (1, np.arange(2)), 'n': float('nan'), 3: {True}})
  assert json.loads(json.dumps(value)) == value
  assert value == {'a': [1, [0, 1]], 'n': 'nan', '3': [True]}


def test_the_entry_is_there_before_the_work_and_whole_after_it(tmp_path):
  (tmp_path / 'data').mkdir()
  (tmp_path / 'data' / 'episode_001.pkl').write_bytes(b'1')
  inputs = {'data': tmp_path / 'data', 'control': '', 'compare': ['a', 'b']}
  with noting(tmp_path / 'out', 's', {'n': 1}, inputs, extra={'k': 0}) as note:
    (before,) = read_run_info(tmp_path / 'out')
    assert (before.status, before.ended, before.outputs) == ('running', None, ())
    note.outputs.append(tmp_path / 'out' / 'a.csv')
    note.extra['k'] = 1
  (entry,) = read_run_info(tmp_path / 'out')
  assert (entry.id, entry.status, entry.extra) == (before.id, 'done', {'k': 1})
  assert entry.values['outputs'] == ['a.csv']
  assert entry.outputs == (tmp_path / 'out' / 'a.csv',)
  assert entry.ended
  assert entry.ended >= entry.timestamp == before.timestamp
  assert [x.role for x in entry.inputs] == ['data', 'compare', 'compare']
  data = entry.inputs[0]
  assert (data.path, data.absolute) == ('../data', str(tmp_path / 'data'))
  assert (data.kind, data.digest[:7]) == ('recording', 'sha256:')


@pytest.mark.parametrize(
  ('error', 'status', 'line'),
  [
    (ValueError('two\nlines'), 'failed', 'ValueError: two lines'),
    (UserError('Take another.'), 'failed', 'Take another.'),
    (OSError(28, 'No space left'), 'failed', 'OSError: [Errno 28] No space left'),
    (KeyboardInterrupt(), 'stopped', 'interrupted'),
    (SystemExit(75), 'stopped', 'exit code 75'),
    (SystemExit(0), 'done', ''),
  ],
)
def test_however_the_work_ends_it_is_noted(tmp_path, error, status, line):
  (tmp_path / 'old.csv').touch()
  log_run_info(tmp_path, 's', outputs=[tmp_path / 'old.csv'])

  def work():
    with noting(tmp_path, 's', replaces=lambda _: True) as note:
      note.outputs.append(tmp_path / 'new.csv')
      raise error

  with pytest.raises(type(error)):
    work()
  entry = read_run_info(tmp_path)[-1]
  assert (entry.status, entry.error) == (status, line)
  assert entry.outputs == (tmp_path / 'new.csv',)
  # What an earlier run wrote goes when it was replaced, not before.
  assert (tmp_path / 'old.csv').exists() == (status != 'done')


def test_a_refusal_that_wrote_nothing_leaves_nothing(tmp_path):
  def work(folder):
    with noting(folder, 's'):
      raise UserError('No.')

  log_run_info(tmp_path / 'used', 'before')
  (tmp_path / 'empty').mkdir()
  files.make_folder(tmp_path / 'new' / 'deep')
  for name in ('new/deep', 'used', 'empty'):
    with pytest.raises(UserError):
      work(tmp_path / name)
  assert not (tmp_path / 'new').exists()
  assert not list((tmp_path / 'empty').iterdir())
  assert [x.stage for x in read_run_info(tmp_path / 'used')] == ['before']


def test_what_is_no_file_is_refused_at_once(tmp_path):
  os.mkfifo(tmp_path / 'run_info.json')
  with pytest.raises(UserError, match=r'run_info\.json \(it is a FIFO'):
    log_run_info(tmp_path, 's')


def test_results_that_cannot_be_drawn_again_are_named(tmp_path):
  again = {'from_pkl': 'old.pkl'}
  said = r'^old\.pkl is damaged or no results of this program; .*\(IndexError: x\)'
  with pytest.raises(UserError, match=said), noting(tmp_path / 'r', 's', None, again):
    raise IndexError('x')
  assert not (tmp_path / 'r').exists()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_is_noted(tmp_path, number):
  code = (
    'import sys, time\n'
    'from dreamerv3.run_info import noting\n'
    'with noting(sys.argv[1], "s") as note:\n'
    '  print("begun", flush=True)\n'
    '  time.sleep(60)\n'
  )
  argv = [sys.executable, '-c', code, str(tmp_path)]
  pipe = subprocess.PIPE
  with subprocess.Popen(argv, cwd=ROOT, stdout=pipe, stderr=pipe) as job:
    assert job.stdout
    assert job.stdout.readline() == b'begun\n'
    job.send_signal(number)
    exit_code = job.wait(30)
  (entry,) = read_run_info(tmp_path)
  killed = number == signal.SIGKILL
  assert entry.status == ('running' if killed else 'stopped')
  assert exit_code == (143 if number == signal.SIGTERM else -number)
  assert ('running or killed' in entry.lines()[0]) == killed


def test_a_failure_of_the_last_writing_is_a_line(tmp_path, monkeypatch, capsys):
  with noting(tmp_path, 's') as note:
    note.outputs.append(tmp_path / 'a.csv')

    def full(path, value):
      raise OSError(28, 'No space left on device')

    monkeypatch.setattr(files, 'save_json', full)
  monkeypatch.undo()
  assert 'Cannot complete' in capsys.readouterr().err
  (entry,) = read_run_info(tmp_path)
  assert entry.status == 'running'


def test_what_could_not_be_locked_is_read_and_merged_later(tmp_path, monkeypatch):
  log_run_info(tmp_path, 'first')
  monkeypatch.setattr(writing, 'WAIT', 0.1)
  with locks.Lock(tmp_path / '.run_info.lock', 'x', sign=False):
    log_run_info(tmp_path, 'second')
  assert len(list(tmp_path.glob('run_info.*.part.json'))) == 1
  assert len(json.loads((tmp_path / 'run_info.json').read_text())) == 1
  assert [x.stage for x in read_run_info(tmp_path)] == ['first', 'second']
  log_run_info(tmp_path, 'third')
  assert not list(tmp_path.glob('run_info.*.part.json'))
  entries = json.loads((tmp_path / 'run_info.json').read_text())
  assert [x['stage'] for x in entries] == ['first', 'second', 'third']


def test_entries_of_earlier_forms_are_read_and_stay(tmp_path):
  old = {
    'stage': 'old',
    'timestamp': '2026-01-02T10:00:00',
    'cwd': '/there',
    'outputs': ['run/results/a.csv', '/there/run/b.out'],
    'unknown': 1,
  }
  folder = tmp_path / 'moved'
  folder.mkdir()
  (folder / 'a.csv').touch()
  (folder / 'run_info.json').write_text(json.dumps([old, old | {'stage': 'x'}]))
  log_run_info(folder, 'new')
  assert json.loads((folder / 'run_info.json').read_text())[0] == old
  entry = read_run_info(folder)[0]
  assert entry.outputs == (folder / 'a.csv', tmp_path / 'b.out')
  assert (entry.status, str(entry.home)) == ('done', '/there/run/results')
  assert str(entry.timestamp.tzinfo) == 'UTC'


def test_outputs_are_relative_wherever_the_command_ran(tmp_path, monkeypatch):
  (tmp_path / 'run' / 'sub').mkdir(parents=True)
  monkeypatch.chdir(tmp_path)
  for name in ('run/a', 'run/sub/b', 'c'):
    (tmp_path / name).touch()
  outputs = ['run/a', 'run/sub/b', 'c', 'sub/b', os.path.abspath('run/a')]
  log_run_info('run', 's', outputs=outputs)
  (entry,) = read_run_info('run')
  assert entry.values['outputs'] == ['a', 'sub/b', '../c', 'sub/b', 'a']
