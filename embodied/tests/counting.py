"""An environment that counts, so that a lost or doubled step shows up."""

import os
import signal
import time

import elements
import numpy as np

from embodied.core import base


class CountEnv(base.Env):
  """Observes (episode, step within it, sum of actions since the reset)."""

  def __init__(self, length=5, size=0, fail_at=None, how='raise'):
    self.length = length
    self.size = size
    self.fail_at = fail_at
    self.how = how
    self.calls = 0
    self.episode = -1
    self.count = 0
    self.total = 0
    self.done = True
    self.closed = 0

  @property
  def obs_space(self):
    spaces = {
      'count': elements.Space(np.int32),
      'episode': elements.Space(np.int32),
      'total': elements.Space(np.int32),
      'reward': elements.Space(np.float32),
      'is_first': elements.Space(bool),
      'is_last': elements.Space(bool),
      'is_terminal': elements.Space(bool),
      'log/pid': elements.Space(np.int32),
    }
    if self.size:
      shape = (self.size, self.size, 3)
      spaces['image'] = elements.Space(np.uint8, shape)
    return spaces

  @property
  def act_space(self):
    return {
      'action': elements.Space(np.int32, (), 0, 4),
      'reset': elements.Space(bool),
    }

  def step(self, action):
    if self.calls == self.fail_at:
      self.fail()
    self.calls += 1
    if action['reset'] or self.done:
      self.episode += 1
      self.count = self.total = 0
    else:
      self.count += 1
      self.total += int(action['action'])
    self.done = self.count >= self.length
    return self.observe()

  def fail(self):
    if self.how == 'kill':
      os.kill(os.getpid(), signal.SIGKILL)
    if self.how == 'sleep':
      time.sleep(60)
    raise ZeroDivisionError(f'planted at call {self.calls}')

  def observe(self):
    obs: dict = {
      'count': np.int32(self.count),
      'episode': np.int32(self.episode),
      'total': np.int32(self.total),
      'reward': np.float32(self.count),
      'is_first': np.bool_(self.count == 0),
      'is_last': np.bool_(self.done),
      'is_terminal': np.bool_(self.done),
      'log/pid': np.int32(os.getpid()),
    }
    if self.size:
      shape = (self.size, self.size, 3)
      obs['image'] = np.full(shape, self.count % 256, np.uint8)
    return obs

  def close(self):
    self.closed += 1


def step_of(worker, number, length=5):
  """Step `number` of a worker's endless stream, as a replay gets it."""
  count = number % (length + 1)
  return {
    'worker': np.int32(worker),
    'number': np.int32(number),
    'image': np.full((2, 2, 3), number % 256, np.uint8),
    'latent': np.full(3, number, np.float32),
    'is_first': np.bool_(count == 0),
    'is_last': np.bool_(count == length),
    'is_terminal': np.bool_(False),
  }
