"""Rolls the world model out from given states, without seeing.

  dreamer = Dreamer(model, horizon=15)
  found = dreamer(params, Latent(deter, stoch), actions, seeds)
  found.replay.deter  # (n, H, D)

For dream_decode, and whoever looks into imagined trajectories.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np

from dreamerv3.agent.latents import Arrays, Latent, State
from dreamerv3.probing.probe import WIDTH
from embodied.jax import internal


class Dreams(NamedTuple):
  """Two dreams from each of n states.

  Attributes:
    policy: float32 deter (n, H, D), stoch (n, H, S, C) along the actions that
      the policy chose in the dream.
    replay: likewise, along given actions.
  """

  policy: Latent
  replay: Latent


class Dreamer:
  """Rolls a world model out from given states, without seeing.

  Every call has the same number of rows, and row i depends on its own seeds
  alone, so that a dream does not depend on what else is dreamed.

  Args:
    model: as dreamerv3.agent.Model.
    horizon: steps.
    width: rows of a call; it bounds the memory on the device.
  """

  def __init__(self, model: Any, horizon: int, width: int = WIDTH):
    self.model, self.horizon, self.width = model, horizon, width
    self._call = jax.jit(self._step)
    self._along = jax.jit(self._replay)

  def __call__(
    self,
    params: Mapping[str, Any],
    start: Latent,
    actions: Mapping[str, np.ndarray],
    seeds: np.ndarray,
  ) -> Dreams:
    """Dreams of n <= width states.

    Args:
      start: posterior deter (n, D) and stoch (n, S, C).
      actions: per key (n, H, ...), the first one chosen in the start.
      seeds: uint32 (n, 2).

    Returns:
      The dreams on the host; step h follows h actions.
    """
    n = len(seeds)
    given = self._full(start, actions, seeds)
    found = jax.device_get(self._call(params, *given))
    return jax.tree.map(lambda x: x[:n], found)

  def replay(
    self,
    params: Mapping[str, Any],
    start: Latent,
    actions: Mapping[str, np.ndarray],
    seeds: np.ndarray,
  ) -> Latent:
    """`Dreams.replay` alone, with the draws that a call of the dreamer makes."""
    given = self._full(start, actions, seeds)
    found = jax.device_get(self._along(params, *given))
    return jax.tree.map(lambda x: x[: len(seeds)], found)

  def compiled(
    self,
    params: Mapping[str, Any],
    start: Latent,
    actions: Mapping[str, np.ndarray],
    seeds: np.ndarray,
  ) -> Any:
    """The compiled program of a call, which knows what memory it takes."""
    given = self._full(start, actions, seeds)
    return self._call.lower(params, *given).compile()

  def _full(
    self, start: Latent, actions: Mapping[str, np.ndarray], seeds: np.ndarray
  ) -> tuple[Any, ...]:
    """`width` rows: the given ones, over and over."""
    rows = np.arange(self.width) % len(seeds)
    given = start, dict(actions), seeds
    return jax.tree.map(lambda x: x[rows], given)

  def _step(
    self, params: State, start: Latent, actions: Arrays, seeds: jax.Array
  ) -> Dreams:
    keys = internal.split(internal.keys_from_seeds(seeds), 2)
    _, out = nj.pure(dream)(
      params, self.model, start, actions, self.horizon, *keys, modify=False
    )
    return out

  def _replay(
    self, params: State, start: Latent, actions: Arrays, seeds: jax.Array
  ) -> Latent:
    key = internal.split(internal.keys_from_seeds(seeds), 2)[1]
    _, out = nj.pure(along)(params, self.model, start, actions, key, modify=False)
    return out


def dream(
  model: Any,
  start: Latent,
  actions: Arrays,
  horizon: int,
  key1: jax.Array,
  key2: jax.Array,
) -> Dreams:
  """Both dreams of a batch; runs in a ninjax context."""
  start = Latent(*(x.astype(model.dtype) for x in start))
  x, _ = model.dream(start, horizon, key1)  # (H + 1, n, D + S C)
  own = x[1:].swapaxes(0, 1).astype(jnp.float32)
  units = start.deter.shape[-1]
  shape = (*own.shape[:2], *start.stoch.shape[1:])
  policy = Latent(own[..., :units], own[..., units:].reshape(shape))
  return Dreams(policy, along(model, start, actions, key2))


def along(model: Any, start: Latent, actions: Arrays, key: jax.Array) -> Latent:
  """The dream along given actions; runs in a ninjax context."""
  start = Latent(*(x.astype(model.dtype) for x in start))
  _, feat = model.dyn.imagine(start, actions, key)
  return Latent(*(x.astype(jnp.float32) for x in feat.latent))
