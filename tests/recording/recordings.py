"""A small recording, step by step."""

import pickle

import numpy as np

from dreamerv3.data.columns import Column
from dreamerv3.data.metadata import Metadata
from dreamerv3.recording.recorder import VALUES

HALF, WHOLE = np.dtype(np.float16), np.dtype(np.float32)


COLUMNS = (
  Column('image', 'image', 0, (4, 4, 3), np.dtype(np.uint8)),
  Column('act/enc/cnn0', 'float16', 0, (2, 5, 3), HALF),
  Column('act/dyn/deter', 'float16', 30, (8,), HALF),
  Column('act/dyn/stoch', 'float16', 38, (2, 3), HALF),
  Column('act/val/value', 'float32', 0, (), WHOLE),
)


def metadata(**changes):
  fingerprint = {'seed': 0, 'weights': 'abc', **changes}
  extra = {'fingerprint': fingerprint}
  return Metadata(area=(12, 10), seed=0, extra=extra)


def step(number, t):
  """The timestep t of an episode, as rows and values."""
  rng = np.random.default_rng([number, t])
  rows = {
    'image': rng.integers(0, 256, (4, 4, 3)).astype(np.uint8),
    'float16': rng.normal(size=44).astype(HALF),
    'float32': rng.normal(size=1).astype(WHOLE),
  }
  values: dict = {k: np.ones(shape) for k, (_, shape) in VALUES.items()}
  values |= {
    'player_pos': (t % 12, number),
    'player_facing': (0, 1),
    'action': t % 17,
    'reward': float(t > 0),
    'achievements': {'wood': t // 10, 'drink': 0},
  }
  return rows, values


def play(recorder, number, length):
  writing = recorder.begin(number)
  for t in range(length):
    writing.add(*step(number, t))
  writing.end(seed=0)


def load(path):
  with open(path, 'rb') as file:
    return pickle.load(file)
