"""What a recording lacks for the analysis of units is said before it."""

import dataclasses

import pytest

from dreamerv3.analysis.tuning import layers
from dreamerv3.data.trajectories import Trajectories
from tests import synthetic


def codes(pos, facing, rng):
  return synthetic.noise(pos, facing, rng, 2)


@pytest.mark.parametrize('side', [4, 9])
def test_a_world_as_small_as_the_view_is_told(tmp_path, side):
  folder = synthetic.record(
    tmp_path / 'r', {'dyn/deter': codes}, 3, 200, tiles=synthetic.world((side, side))
  )
  lines = layers.lacks(Trajectories.open(folder), layers.Options())
  assert any('no more was visited than the view shows' in x for x in lines) == (
    side == 4
  )


def test_episodes_that_grow_longer_are_told(tmp_path):
  short, long = (
    Trajectories.open(synthetic.record(tmp_path / str(x), {'dyn/deter': codes}, 5, x))
    for x in (30, 120)
  )
  both = dataclasses.replace(short, episodes=short.episodes + long.episodes)
  told = [layers.lacks(x, layers.Options()) for x in (both, long)]
  assert ['no test of remapping' in ' '.join(x) for x in told] == [True, False]
