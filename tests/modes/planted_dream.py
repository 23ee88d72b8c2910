"""A field of tiles, and a world model whose latent is the position in it.

What such a model dreams is known to the tile.
"""

import dataclasses
from typing import Any

import elements
import jax
import jax.numpy as jnp
import numpy as np

from dreamerv3.agent.latents import Feat
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.data.columns import Column
from dreamerv3.data.grid import Grid
from dreamerv3.modes import imagine
from dreamerv3.modes.dream_starts import Starts
from dreamerv3.probing import probe as taps
from dreamerv3.probing.dreaming import Dreamer
from dreamerv3.probing.rollouts import Rollouts
from embodied.core import base

GRID = Grid(12, 5)
MOVES = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)])
EAST = 1


def moved(pos, action):
  """Where an action leads; the walls of the field stop."""
  low = np.zeros(2, int)
  return np.clip(np.asarray(pos) + MOVES[action], low, np.array(GRID.shape) - 1)


def transitions():
  """(actions, P, P): one-hot places, times this, are one-hot places."""
  found = np.zeros((len(MOVES), GRID.size, GRID.size), np.float32)
  places = GRID.to_pos(np.arange(GRID.size))
  for action in range(len(MOVES)):
    there = GRID.to_class(moved(places, action))
    found[action, np.arange(GRID.size), there] = 1
  return found


class Field(base.Env):
  """Episode k has 18 + k steps and begins in a tile of its own."""

  def __init__(self):
    self.next, self.over = 1, True

  @property
  def obs_space(self):
    flags = ('is_first', 'is_last', 'is_terminal')
    return {
      'player_pos': elements.Space(np.float32, (2,)),
      'reward': elements.Space(np.float32),
      **{k: elements.Space(bool) for k in flags},
    }

  @property
  def act_space(self):
    return {
      'action': elements.Space(np.int32, (), 0, len(MOVES)),
      'reset': elements.Space(bool),
    }

  def set_episode(self, number):
    self.next, self.over = number, True

  def step(self, action):
    if action['reset'] or self.over:
      self.number, self.t, self.over = self.next, 0, False
      self.pos = np.array([self.number % 3, self.number % GRID.height])
    else:
      self.t += 1
      self.pos = moved(self.pos, int(action['action']))
    self.over = self.t == 17 + self.number
    return {
      'player_pos': self.pos.astype(np.float32),
      'reward': np.float32(0),
      'is_first': self.t == 0,
      'is_last': self.over,
      'is_terminal': False,
    }


class PlaceModel:
  """Knows the rules of the field; its own policy always goes east."""

  dtype = jnp.float32
  spaces = {'player_pos': elements.Space(np.float32, (2,))}

  def __init__(self):
    self.moves = jnp.asarray(transitions())

  @property
  def dyn(self):
    return self

  def dream(self, start, length, key):
    act = jnp.full((len(start.deter), length), EAST)
    _, feat = self.imagine(start, {'action': act}, key)
    deter = jnp.concatenate([start.deter[:, None], feat.deter], 1)
    x = jnp.concatenate([deter, jnp.zeros((*deter.shape[:2], 1))], -1)
    return x.swapaxes(0, 1), {'action': act.T}

  def imagine(self, start, action, key):
    del key

    def step(deter, action):
      deter = jnp.einsum('np,npq->nq', deter, self.moves[action])
      return deter, deter

    _, deter = jax.lax.scan(step, start.deter, action['action'].T)
    deter = deter.swapaxes(0, 1)
    stoch = jnp.zeros((*deter.shape[:2], 1, 1))
    return start, Feat(deter, stoch, stoch)


class PlaceProbe:
  """Acts in the field: eastward, or by chance from seed and time."""

  layers = (
    Column('dyn/deter', 'float32', 0, (GRID.size,), np.dtype(np.float32)),
    Column('dyn/stoch', 'float32', GRID.size, (1, 1), np.dtype(np.float32)),
  )

  def __init__(self, width=4, wander=True):
    self.model, self.width, self.wander = PlaceModel(), width, wander

  def init(self):
    return {}

  def __call__(self, params, carry, obs, seeds, time):
    place = GRID.to_class(obs['player_pos'])
    rows = np.zeros((self.width, GRID.size + 1), np.float32)
    rows[np.arange(self.width), place] = 1
    act = np.full(self.width, EAST)
    if self.wander:
      act = (seeds[:, 0] // 7 + time * (seeds[:, 1] % 97)) % len(MOVES)
    act = act.astype(np.int32)
    return carry, {'action': jnp.asarray(act)}, {'float32': jnp.asarray(rows)}


@dataclasses.dataclass
class DreamSettings:
  horizon: int = 6
  save_activations: bool = True


def place_decoder(wrong=()):
  """Reads one-hot places; each tile of `wrong` is decoded one tile west."""
  weights = np.zeros((GRID.size, GRID.size), np.float32)
  for tile in range(GRID.size):
    place = GRID.to_pos(np.array(tile))
    seen = place - (1, 0) if tuple(place) in wrong else place
    weights[tile, GRID.to_class(seen)] = 20
  return LinearDecoder(weights, np.arange(GRID.size), GRID, 'dyn/deter')


def play(decoder, episodes=5, count=1000, warmup=3, envs=2, seed=0, wander=True):
  probe: Any = PlaceProbe(wander=wander)
  starts = Starts(decoder, probe.layers, count, warmup, seed)
  rollouts = Rollouts(probe, {}, [Field() for _ in range(envs)], seed)
  rollouts.play(range(1, episodes + 1), starts.begin)
  return starts


def dream(decoder, horizon=6, save=True, width=taps.WIDTH, **options):
  starts = play(decoder, **options)
  dreamer = Dreamer(PlaceModel(), horizon, width)
  settings = DreamSettings(horizon, save)
  drawn = starts.drawn()
  found, kept = imagine.imagine(dreamer, {}, starts, drawn, settings, 0)
  return starts, found, kept
