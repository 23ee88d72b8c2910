"""The command that measures a run over its checkpoints."""

import csv
import shutil

import pytest

from dreamerv3 import over_training
from dreamerv3.base.errors import UserError
from tests import synthetic
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
  copied = table.read_text().replace(str(logs), 'another')
  other.write_text(copied)
  with pytest.raises(UserError, match='one run under two names'):
    main('--from_csv', table, other, '--save', tmp_path / 'twice')
  other.write_text(copied.replace(',2500,', ',2600,'))
  with pytest.raises(UserError, match='would be written over'):
    main('--from_csv', table, other, '--save', save)
  with pytest.raises(UserError, match='is in two of the tables'):
    main('--from_csv', table, table, '--save', tmp_path / 'twice')


def test_a_control_is_untrained_and_walks_the_same_way(checkpoints, tmp_path):
  def control(name, **walking):
    folder = synthetic.record(
      tmp_path / name,
      {'dyn/deter': synthetic.one_hot_places},
      tiles=synthetic.world(walls=((3, 3), (3, 4), (3, 5))),
      **walking,
    )
    return ['--data', checkpoints, '--control', folder, '--save', tmp_path / 'out']

  # As long as the others, and elsewhere.
  with pytest.raises(UserError, match='Step 100 was led along other episodes'):
    main(*control('elsewhere', start=(1, 1)))
  trained = control('trained')
  synthetic.copy(trained[3], tmp_path / 'learned', trained=True)
  trained[3] = tmp_path / 'learned'
  with pytest.raises(UserError, match='is the recording of a trained network'):
    main(*trained)
  assert not (tmp_path / 'out').exists()


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
    (
      ['--data', '.', '--smooth', '9'],
      '--smooth would do nothing without --logdir; add --logdir, or leave it out',
    ),
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
