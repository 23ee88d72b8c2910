"""A finished run is read by every command and written by none."""

import pytest

from dreamerv3 import summarize
from dreamerv3.base import shipped
from dreamerv3.base.errors import UserError
from dreamerv3.setup import config, rundir


@pytest.fixture
def run(tmp_path, monkeypatch):
  """A run with a card, seen from another folder."""
  folder = tmp_path / 'agents' / 'small'
  folder.mkdir(parents=True)
  blocks = config.read_blocks()
  settled = config.stack(blocks, config.parse_flags(['--configs', 'crafter_small']))
  rundir.save(folder / 'config.yaml', settled)
  (folder / shipped.CARD).write_text('A card.\n')
  (tmp_path / 'work').mkdir()
  monkeypatch.chdir(tmp_path / 'work')
  return folder


def inherit(*words):
  blocks, flags = config.read_blocks(), config.parse_flags(words)
  settled = config.fill_logdir(config.stack(blocks, flags))
  return rundir.inherit(settled, blocks, flags)


def test_results_go_to_the_folder_where_the_command_is_called(run):
  settled, notes = inherit('--logdir', str(run), '--script', 'eval_trajectory')
  assert settled.logdir == 'logdir/small'
  assert settled.run.from_checkpoint == str(run)
  assert settled.env.crafter.area == (32, 32)
  assert any('finished run' in x for x in notes)
  given = str(run / 'ckpt' / 'x')
  words = ('--logdir', str(run), '--run.from_checkpoint', given)
  settled, _ = inherit(*words, '--script', 'dream_decode')
  assert settled.run.from_checkpoint == given


def test_an_ordinary_run_keeps_its_results(run):
  (run / shipped.CARD).unlink()
  settled, _ = inherit('--logdir', str(run), '--script', 'eval_trajectory')
  assert settled.logdir == str(run)
  assert shipped.results_of(run) == run


def test_nobody_trains_into_it(run):
  settled, _ = inherit('--logdir', str(run), '--script', 'eval_trajectory')
  with (
    pytest.raises(UserError, match='--run.from_checkpoint'),
    rundir.training(settled.update(logdir=str(run))),
  ):
    pass
  assert sorted(x.name for x in run.iterdir()) == [shipped.CARD, 'config.yaml']


def test_the_summary_looks_where_the_results_are(run, tmp_path, capsys):
  results = tmp_path / 'work' / 'logdir' / 'small' / 'dream_results'
  results.mkdir(parents=True)
  (results / 'dream_curves.csv').write_text('step,dreams,replay\n0,5,1.0\n1,5,2.0\n')
  summarize.main(['--logdir', str(run)])
  assert 'dream, real actions' in capsys.readouterr().out
