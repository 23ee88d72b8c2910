"""Stock Crafter as the reference of our tests, with its dice on the table.

Stock Crafter as it is cannot be a reference beyond the first frames: its
order of objects is that of memory addresses, and its renderer draws from the
dice of the game. `make` mends these two things and nothing else.
"""

from __future__ import annotations

import collections

import crafter
import numpy as np
from crafter import engine


class Ordered(dict):
  """A set that iterates in order of insertion."""

  def add(self, item) -> None:
    self[item] = None

  def remove(self, item) -> None:
    del self[item]


def make(area: tuple[int, int], seed: int) -> crafter.Env:
  """Stock Crafter with ordered chunks, which does not render on its own."""
  env = crafter.Env(area=area, seed=seed)
  world = env._world
  reset = world.reset

  def ordered_reset(seed=None):
    reset(seed)
    world._chunks = collections.defaultdict(Ordered)

  world.reset = ordered_reset
  env._obs = lambda: None
  return env


class Eyes:
  """A world whose `random` is the renderer's alone."""

  def __init__(self, world, seed: int) -> None:
    self._world = world
    self.random = np.random.RandomState(seed)

  def __getattr__(self, name: str):
    return getattr(self._world, name)

  def __getitem__(self, pos):
    return self._world[pos]


def render(world, player, size: tuple[int, int], noise_seed: int) -> np.ndarray:
  """What stock Crafter draws of a state, u8 (height, width, 3)."""
  env = crafter.Env.__new__(crafter.Env)
  env._view, env._size = np.array([9, 9]), np.array(size)
  env._player = player
  eyes = Eyes(world, noise_seed)
  env._local_view = engine.LocalView(eyes, TEXTURES, [9, 7])
  env._item_view = engine.ItemView(TEXTURES, [9, 2])
  return env.render()


TEXTURES = engine.Textures(crafter.constants.root / 'assets')


def objects(world) -> list[tuple]:
  """Kind, place and health of each object, in order of creation."""
  return [
    (type(obj).__name__, int(obj.pos[0]), int(obj.pos[1]), obj.health)
    for obj in world.objects
  ]
