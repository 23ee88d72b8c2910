import numpy as np
import pytest

from dreamerv3.analysis.explain import surroundings

WORLD = np.ones((6, 5), np.uint8)
WORLD[4, 2] = 2  # a rock two tiles east of (2, 2)
HERE = np.array([[2, 2]])


def test_the_window_is_north_up_and_ends_at_the_edge():
  around = surroundings.window(HERE, WORLD)[0]
  r = surroundings.REACH
  assert around[r + 2, r] == 2
  assert around[r - 3, r] == surroundings.OUTSIDE
  assert (around > 0).sum() == WORLD.size


def test_what_was_seen_replaces_the_map():
  seen = np.full((1, 3, 3), 3, np.uint8)
  around = surroundings.window(HERE, WORLD, seen)[0]
  assert (around == 3).sum() == 9
  assert around[surroundings.REACH + 2, surroundings.REACH] == 2


@pytest.mark.parametrize(
  ('facing', 'side'), [((1, 0), 0), ((0, -1), 1), ((-1, 0), 2), ((0, 1), 3)]
)
def test_rays_turn_with_the_player(facing, side):
  around = surroundings.window(HERE, WORLD)
  # By compass the rock is to the east: ahead if one faces there.
  np.testing.assert_array_equal(
    surroundings.rays(around, np.array([1]))[0], [3, 2, 3, 3]
  )
  turned = surroundings.turned(around, np.array([facing]))
  want = np.full(4, 3)
  want[side] = 2
  np.testing.assert_array_equal(surroundings.rays(turned, np.array([1]))[0], want)
