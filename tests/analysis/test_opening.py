"""One block of flags opens the recordings of every command."""

import pathlib

import pytest

from dreamerv3.analysis.opening import Opening, Placed
from dreamerv3.base.errors import UserError
from tests import synthetic

OLD = pathlib.Path(__file__).parents[1] / 'fixtures' / 'recordings'


def test_the_flags_choose_episodes_and_what_lacks_is_told(capsys):
  whole = Opening(area=(64, 64)).open(OLD)
  assert f'{OLD}: no metadata' in capsys.readouterr().err
  assert len(Opening(area=(64, 64), max_episodes=1).open(OLD, lambda _: ())) == 1
  assert not capsys.readouterr().err
  with pytest.raises(UserError, match='--min_bbox'):
    Opening(area=(64, 64), min_bbox=1e9).open(OLD)
  placed = Placed(area=(64, 64), spawn_relative=True).open(OLD)
  assert len(placed) == len(whole)
  assert placed.grid != whole.grid


def test_a_world_that_was_hardly_seen_is_told(tmp_path, recording, capsys):
  folder = synthetic.record(tmp_path / 'r', {}, tiles=synthetic.world((40, 40)))
  Opening().open(folder, lambda _: ())
  assert (
    'of the reachable tiles were visited: maps have holes' in capsys.readouterr().err
  )
  Opening().open(recording, lambda _: ())
  assert not capsys.readouterr().err
