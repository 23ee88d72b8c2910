"""What flows through the agent from step to step, with a name for each part.

For the world model and whoever looks into it. On disk (replay, checkpoint,
recordings) the same arrays are plain dicts, as `dyn/deter` and `dyn/stoch`.

  latent = Latent(deter=jnp.zeros((B, D)), stoch=jnp.zeros((B, S, C)))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

# Arrays by the key of their space: observations, actions.
Arrays = Mapping[str, jax.Array]

# Parameters, statistics and optimizer by name, as in a checkpoint.
State = Mapping[str, jax.Array]


class Latent(NamedTuple):
  """A state of the world model.

  Attributes:
    deter: recurrent state (..., D).
    stoch: one-hot variables (..., S, C), S of them with C classes.
  """

  deter: jax.Array
  stoch: jax.Array


class Feat(NamedTuple):
  """States along a sequence, and what stoch was drawn from.

  Attributes:
    deter: (..., D).
    stoch: (..., S, C).
    logit: (..., S, C), before uniform chance is mixed in; of the posterior
      where something was seen, else of the prior.
  """

  deter: jax.Array
  stoch: jax.Array
  logit: jax.Array

  @property
  def latent(self) -> Latent:
    """The states without the logits."""
    return Latent(self.deter, self.stoch)


class Carry(NamedTuple):
  """What policy, train and report hand on from call to call.

  Attributes:
    latent: state after the last observation (B, ...).
    prevact: action taken there, per key (B, ...).
  """

  latent: Latent
  prevact: Arrays


def tensor(x: Latent | Feat) -> jax.Array:
  """What the heads read: [deter, flat stoch] (..., D + S C)."""
  stoch = x.stoch.reshape((*x.stoch.shape[:-2], -1))
  return jnp.concatenate([x.deter, stoch], -1)


def classes(stoch: jax.Array) -> jax.Array:
  """Which class each of one-hot variables (..., S, C) has: (..., S) uint8 or uint16."""
  return stoch.argmax(-1).astype(jnp.uint8 if stoch.shape[-1] <= 256 else jnp.uint16)
