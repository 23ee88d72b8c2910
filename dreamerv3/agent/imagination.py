"""Dreams of the policy in the world model (arXiv:2301.04104).

For learning (`Model.loss`) and for whoever looks into dreams; reads the
parameters of a ninjax context. What is learned from dreams: losses.py.

  x, act = dream(model.dyn, model.pol, start, length=15, key=key)
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from dreamerv3.agent.latents import Latent, tensor
from dreamerv3.agent.rssm import RSSM
from embodied.jax import internal
from embodied.jax.heads import DictHead

sg = jax.lax.stop_gradient


def dream(
  dyn: RSSM, pol: DictHead, start: Latent, length: int, key: jax.Array | None
) -> tuple[jax.Array, dict[str, jax.Array]]:
  """Roll the policy out in the world model.

  Args:
    dyn: world model.
    pol: policy.
    start: N states, in the compute dtype.
    length: number of imagined steps.
    key: random key, one per row (N,), or None for modes everywhere.

  Returns:
    Features (length + 1, N, F), the start included, and the actions
    (length, N, ...) taken in the first `length` states.
  """
  keys = None if key is None else internal.split(key, length)
  dtype = start.deter.dtype

  def step(carry: Latent, key: jax.Array | None) -> tuple[Latent, tuple]:
    key1, key2 = internal.split(key, 2)
    x = tensor(carry)
    policy = pol(sg(x))
    akeys = internal.split(key1, len(policy))
    act = {k: v.sample(akeys[i]) for i, (k, v) in enumerate(policy.items())}
    feat = dyn.predict(carry, dyn.embed(act, dtype), key2)
    return feat.latent, (x, act)

  last, (x, act) = internal.scan(step, start, keys, length=length)
  x = jnp.concatenate([x, tensor(last)[None]], 0)
  assert x.shape[:2] == (length + 1, len(start.deter)), (x.shape, start.deter.shape)
  return x, act
