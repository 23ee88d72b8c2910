"""An agent in numpy whose parameters remember every batch it has seen.

Two runs end with equal parameters only if they trained on the same batches,
in the same order, with the same stored latents. Results come one call late,
as those of the real agent.
"""

import zlib
from typing import Any

import numpy as np

from embodied.core import base
from embodied.core.random_agent import draw
from embodied.core.streams import Prefetch


class Learner(base.BaseAgent):
  def __init__(self, obs_space, act_space, seed=0, size=4, hook=None):
    self.act_space = {k: v for k, v in act_space.items() if k != 'reset'}
    self.seed = seed
    self.params = {
      'net/kernel': np.zeros(size, np.float64),
      'opt/step': np.zeros((), np.int32),
    }
    self.counters = {'updates': 0, 'batches': 0, 'actions': 0}
    self.pending: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    self.modes: set[str] = set()
    self.loaded = None  # regex
    self.hook = hook or (lambda agent: None)

  def init_policy(self, batch_size):
    return np.zeros((batch_size, 2), np.float32)

  def init_train(self, batch_size):
    return np.zeros(batch_size)

  def policy(self, carry, obs, mode='train'):
    self.modes.add(mode)
    rng = np.random.default_rng([self.seed, self.counters['actions']])
    self.counters['actions'] += 1
    first = np.asarray(obs['is_first'])[:, None]
    carry = np.where(first, 0, carry) + 1
    batch = len(obs['is_first'])
    act = {k: draw(v, rng, batch) for k, v in self.act_space.items()}
    return carry, act, {'dyn/deter': carry.astype(np.float32)}

  def train(self, carry, data):
    self.hook(self)
    self.counters['updates'] += 1
    self.counters['batches'] += 1
    goes_on = data['consec'][:, 0] > 0 if 'consec' in data else False
    start = np.where(goes_on, carry, 0)
    digest = zlib.crc32(start.tobytes())
    for key in sorted(data):
      if key != 'stepid':  # random
        digest = zlib.crc32(np.asarray(data[key]).tobytes(), digest)
    kernel = self.params['net/kernel']
    self.params = {
      'net/kernel': np.sin(kernel * 1.01 + digest % 1000003),
      'opt/step': self.params['opt/step'] + np.int32(1),
    }
    stepid = data['stepid'][:, 1:]
    fresh = data['dyn/deter'][:, 1:] + np.float32(0.25)
    result = {'replay': {'stepid': stepid, 'dyn/deter': fresh}}
    before, self.pending = (
      self.pending,
      (result, {'loss/test': float(self.params['net/kernel'].sum())}),
    )
    return start + digest % 7, *before

  def save_carry(self, carry):
    return [carry]

  def load_carry(self, saved, batch_size):
    return saved[0] if len(saved[0]) == batch_size else self.init_train(batch_size)

  def flush(self):
    before, self.pending = self.pending, ({}, {})
    return before

  def report(self, carry, data):
    video = np.zeros((2, 8, 8, 3), np.uint8)
    return carry, {'openloop/image': video, 'loss/test': 1.0}

  def stream(self, source):
    return Prefetch(source)

  def save(self):
    return {
      'params': {k: v.copy() for k, v in self.params.items()},
      'counters': dict(self.counters),
    }

  def load(self, data, regex=None):
    self.loaded = regex
    shapes = {k: v.shape for k, v in data['params'].items()}
    mine = {k: v.shape for k, v in self.params.items()}
    if shapes != mine:
      raise ValueError(f'the checkpoint has {shapes}, the agent {mine}')
    self.params = dict(data['params'])
    self.counters = dict(data['counters'])
    self.pending = ({}, {})
