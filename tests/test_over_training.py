"""The command that measures a run over its checkpoints."""

import csv
import shutil

import pytest

from dreamerv3 import over_training
from dreamerv3.base.errors import UserError
from tests.cli import ROOT


@pytest.fixture(scope='module')
def checkpoints(recording, tmp_path_factory):
  """Two checkpoints on one path: the recording, once as it is and once more."""
  folder = tmp_path_factory.mktemp('growth') / 'trajectories_checkpoints'
  for step in (100, 2500):
    shutil.copytree(recording, folder / f'step_{step:09d}')
  return folder


def test_a_run_is_measured_and_put_together_with_others(checkpoints, tmp_path, capsys):
  logs = tmp_path / 'run'
  shutil.copytree(ROOT / 'tests' / 'fixtures' / 'logs', logs)
  save = tmp_path / 'growth'
  words = ['--data', checkpoints, '--logdir', logs, '--save', save]
  main(*words, '--n_iters', '20', '--n_boot', '20')
  out = capsys.readouterr().out
  assert 'step     2,500' in out
  assert 'is not said of 0 runs' in out
  with (save / 'over_training.csv').open() as file:
    rows = [*csv.DictReader(file)]
  assert {x['quantity'] for x in rows} == {'error', 'constant', 'score'}
  assert (save / 'over_training.png').stat().st_size > 10_000
  table = save / 'over_training.csv'
  main('--from_csv', table, '--save', tmp_path / 'both')
  assert (tmp_path / 'both' / 'over_training.csv').read_text() == table.read_text()
  other = tmp_path / 'other.csv'
  other.write_text(table.read_text().replace(str(logs), 'another'))
  with pytest.raises(UserError, match='would be written over'):
    main('--from_csv', table, other, '--save', save)
  with pytest.raises(UserError, match='is in two of the tables'):
    main('--from_csv', table, table, '--save', tmp_path / 'twice')


def main(*words):
  over_training.main([str(x) for x in words])


EMPTY = ROOT / 'dreamerv3' / 'data' / '__init__.py'


@pytest.mark.parametrize(
  ('words', 'said'),
  [
    ([], 'Give --data to measure a run'),
    (['--from_csv', 'x', '--layer', 'a'], 'leave out --layer'),
    (['--from_csv', 'x'], '--save is missing'),
    (['--data', '.', '--max_wake_samples', '99'], 'nothing without --geometry'),
    (['--data', '.', '--smooth', '9'], '--smooth would do nothing without --logdir'),
    (['--data', '.'], 'has no recordings step_*'),
    (['--from_csv', EMPTY, '--save', 'both'], 'it has no rows'),
  ],
)
def test_mistakes_are_told(words, said, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError) as caught:
    main(*words)
  assert said in str(caught.value)
  assert not list(tmp_path.iterdir())
