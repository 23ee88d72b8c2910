"""Acts at random and learns nothing: the baseline, and a test of the rest.

agent = RandomAgent(obs_space, act_space, seed=0)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import base


class RandomAgent(base.BaseAgent):
  """Draws actions from their spaces.

  Args:
    obs_space: Of the environment; not looked at.
    act_space: With or without `reset`.
    seed: Actions are a function of it and of the number of calls before, in
      training and outside of it apart.
  """

  def __init__(
    self, obs_space: base.Spaces, act_space: base.Spaces, seed: int = 0
  ) -> None:
    self.act_space = {k: v for k, v in act_space.items() if k != 'reset'}
    self.seed = seed
    self.calls = 0  # in training
    self.evaluated = 0  # calls outside of it

  def init_policy(self, batch_size: int) -> base.Carry:
    """Nothing is carried."""
    return ()

  def init_train(self, batch_size: int) -> base.Carry:
    """Nothing is carried."""
    return ()

  def policy(
    self, carry: base.Carry, obs: base.Batch, mode: str = 'train'
  ) -> tuple[base.Carry, base.Batch, base.Batch]:
    """Uniform actions; outside of training from a stream of their own."""
    if mode == 'train':
      rng = np.random.default_rng([self.seed, self.calls])
      self.calls += 1
    else:
      rng = np.random.default_rng([self.seed, 1, self.evaluated])
      self.evaluated += 1
    batch = len(obs['is_first'])
    act = {k: draw(v, rng, batch) for k, v in self.act_space.items()}
    return carry, act, {}

  def train(
    self, carry: base.Carry, data: base.Batch
  ) -> tuple[base.Carry, base.Batch, base.Batch]:
    """Learns nothing."""
    return carry, {}, {}

  def report(
    self, carry: base.Carry, data: base.Batch
  ) -> tuple[base.Carry, base.Batch]:
    """Reports nothing."""
    return carry, {}

  def stream(self, source: base.Stream) -> base.Stream:
    """The batches as they come."""
    return source

  def save(self) -> dict[str, Any]:
    """The number of calls so far."""
    return {'params': {}, 'counters': {'actions': self.calls}}

  def load(self, data: dict[str, Any], regex: str | None = None) -> None:
    """Continues a saved number of calls."""
    if regex is None:
      self.calls = int(data['counters']['actions'])


def draw(space: Any, rng: np.random.Generator, batch: int) -> np.ndarray:
  """Uniform values (batch, ...) of a space."""
  shape = (batch, *space.shape)
  if np.issubdtype(space.dtype, np.floating):
    return rng.uniform(space.low, space.high, shape).astype(space.dtype)
  if space.dtype == np.bool_:
    return rng.integers(0, 2, shape).astype(bool)
  return rng.integers(space.low, space.high, shape).astype(space.dtype)
