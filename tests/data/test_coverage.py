"""Coverage of a world by hand."""

import numpy as np
import pytest

from dreamerv3.data.coverage import Coverage, coverage_of
from dreamerv3.data.trajectories import Trajectories
from tests import synthetic


def test_by_hand():
  walkable = np.ones((4, 3), bool)
  walkable[2] = False  # a wall; the last column cannot be reached
  pos = np.array([(0, 0), (0, 0), (0, 1), (1, 1)])
  found = Coverage.of(pos, walkable)
  assert (found.reachable, found.visited) == (6, 3)
  assert found.share == 0.5
  assert found.evenness == pytest.approx(1 - (1 / 2 - 1 / 6))
  expected = 0.5 * np.log2(3) + 2 * 0.25 * np.log2(1.5)
  assert found.divergence == pytest.approx(expected)
  assert '3 of 6 reachable tiles (50%)' in found.line()


def test_a_tunnel_opens_what_lies_behind():
  walkable = np.ones((4, 3), bool)
  walkable[2] = False
  found = Coverage.of(np.array([(1, 1), (2, 1)]), walkable)
  assert found.reachable == 10


def test_even_occupancy_and_standing_still():
  walkable = np.ones((5, 4), bool)
  everywhere = np.stack(np.nonzero(walkable), 1)
  even = Coverage.of(everywhere, walkable)
  assert (even.share, even.evenness, even.divergence) == (1, 1, 0)
  assert even.warnings() == []
  still = Coverage.of(everywhere[:1].repeat(9, 0), walkable)
  assert still.divergence == pytest.approx(np.log2(20))
  assert len(still.warnings()) == 2
  (line,) = Coverage.of(np.r_[everywhere, still_for(60)], walkable).holes()
  assert 'more than half of the time' in line
  (line,) = Coverage.of(np.r_[everywhere, still_for(10)], walkable).warnings()
  assert 'more than a tenth' in line


def still_for(steps):
  return np.array([(2, 2)]).repeat(steps, 0)


def test_recordings_of_many_worlds_or_of_no_map_have_none(recording, tmp_path):
  assert coverage_of(Trajectories.open(recording)) is not None
  many = synthetic.copy(recording, tmp_path / 'many', fixed_seed=False)
  none = synthetic.copy(recording, tmp_path / 'none', world_map=None)
  for other in (many, none):
    assert coverage_of(Trajectories.open(other)) is None
