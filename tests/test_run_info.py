"""Provenance: whole entries, no lost history, safe between processes."""

import json
import pathlib
import shlex
import subprocess
import sys

import numpy as np
import pytest

from dreamerv3 import run_info
from dreamerv3.base.errors import UserError
from dreamerv3.run_info import log_run_info, plain, read_run_info

ROOT = pathlib.Path(__file__).parents[1]
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
  assert entry['outputs'] == [str(tmp_path / 'a.png')]
  assert entry['extra'] == {'error': 0.5}
  assert entry['slurm_job_id'] == '77'
  assert entry['timestamp'][-6] in '+-'
  assert {'python', 'numpy'} <= set(entry['versions'])
  assert isinstance(entry['git_dirty'], bool | None)
  assert entry['duration_s'] >= 0
  # The command can be pasted: it splits back into the same arguments.
  assert shlex.split(entry['command']) == sys.orig_argv


def test_entries_are_appended(tmp_path):
  for i in range(3):
    log_run_info(tmp_path, f's{i}')
  assert [x['stage'] for x in read_run_info(tmp_path)] == ['s0', 's1', 's2']


def test_an_entry_of_another_form_is_refused(tmp_path):
  path = tmp_path / 'run_info.json'
  path.write_text('[{"timestamp": "2026-01-01T00:00:00+00:00"}]')
  assert read_run_info(tmp_path)[0]['outputs'] == []
  for bad in ('x', '3', '[3]', '[{"timestamp": "now"}]', '[{"args": []}]'):
    path.write_text(bad)
    with pytest.raises(UserError, match=r'run_info\.json is damaged or no'):
      read_run_info(tmp_path)


@pytest.mark.parametrize('bad', ['', '[{"stage": "a"', '{"a": 1}', 'x'])
def test_corrupt_file_is_kept_aside(tmp_path, bad, capsys):
  (tmp_path / 'run_info.json').write_text(bad)
  log_run_info(tmp_path, 'after')
  assert [x['stage'] for x in read_run_info(tmp_path)] == ['after']
  (aside,) = tmp_path.glob('run_info.corrupt-*.json')
  assert aside.read_text() == bad
  assert aside.name in capsys.readouterr().err


def test_processes_lose_no_entry(tmp_path):
  jobs = [spawn(tmp_path, 10, stage) for stage in 'abc']
  assert [x.wait() for x in jobs] == [0, 0, 0]
  entries = read_run_info(tmp_path)
  for stage in 'abc':
    mine = [x['args']['i'] for x in entries if x['stage'] == stage]
    assert mine == list(range(10))


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
  assert entries[0]['stage'] == 'first'


def test_unwritable_folder(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='Cannot write to'):
    log_run_info(tmp_path / 'file' / 'sub', 'x')


def test_plain_gives_json_types():
  value = plain({'a': (1, np.arange(2)), 'n': float('nan'), 3: {True}})
  assert json.loads(json.dumps(value)) == value
  assert value == {'a': [1, [0, 1]], 'n': 'nan', '3': [True]}


def test_the_end_of_a_run_sets_its_own_duration_alone(tmp_path, monkeypatch):
  log_run_info(tmp_path, 'other')
  log_run_info(tmp_path, 'train', {'x': (1, float('nan'))})
  before = read_run_info(tmp_path)
  monkeypatch.setattr(run_info, '_STARTED', run_info._STARTED - 1000)
  run_info.end_run_info(tmp_path)
  other, train = read_run_info(tmp_path)
  assert other == before[0]
  assert train['duration_s'] >= before[1]['duration_s'] + 999
  assert {**train, 'duration_s': 0} == {**before[1], 'duration_s': 0}
