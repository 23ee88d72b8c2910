"""The grid task keeps the contract of environments and its own rules."""

import numpy as np
import pytest

from embodied.envs.grid import FLOOR, GOAL, MOVES, PLAYER, GridWorld
from embodied.tests.contract import EnvContract


class TestGrid(EnvContract):
  make = staticmethod(lambda: GridWorld(seed=0))


def find(image, color, cells=4):
  pixels = image[8::16, 8::16]
  assert pixels.shape[0] == cells
  (y,), (x,) = np.where((pixels == color).all(-1))
  return int(x), int(y)


def test_moves_walls_reward_and_length():
  env = GridWorld(seed=1, length=30)
  obs = env.step({'action': 0, 'reset': True})
  assert obs['is_first']
  for step in range(30):
    pos, goal = find(obs['image'], PLAYER), find(obs['image'], GOAL)
    assert pos != goal
    # Straight to the goal, x first.
    delta = np.sign(np.subtract(goal, pos))
    if delta[0]:
      delta[1] = 0
    action = MOVES.index(tuple(delta.tolist()))
    obs = env.step({'action': action, 'reset': False})
    now = find(obs['image'], PLAYER)
    assert now == (pos[0] + delta[0], pos[1] + delta[1])
    assert obs['reward'] == float(now == goal)
    assert obs['is_last'] == (step == 29)
    assert not obs['is_terminal']
  assert tuple(obs['image'][0, 0]) in (FLOOR, PLAYER, GOAL)


def test_walls_hold():
  env = GridWorld(seed=0)
  obs = env.step({'action': 0, 'reset': True})
  for _ in range(5):
    obs = env.step({'action': MOVES.index((-1, 0)), 'reset': False})
  assert find(obs['image'], PLAYER)[0] == 0


def test_equal_seeds_give_equal_episodes():
  frames = []
  for seed in (3, 3, 4):
    env = GridWorld(seed=seed)
    frames.append([env.step({'action': 1, 'reset': not t})['image'] for t in range(60)])
  np.testing.assert_array_equal(frames[0], frames[1])
  assert not np.array_equal(frames[0], frames[2])


@pytest.mark.parametrize(
  'kwargs', [{'task': 'x'}, {'cells': 1}, {'size': (2, 2)}, {'length': 0}]
)
def test_bad_settings(kwargs):
  with pytest.raises(ValueError, match=r'grid task|cells'):
    GridWorld(**kwargs)
