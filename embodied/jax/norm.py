"""Normalisation over features, and activation functions by name.

y = activation('silu')(Norm('rms', name='norm')(x))  # inside nj.pure
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import ninjax as nj

from . import init, utils

_EPS = 1e-4

_ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
  'none': lambda x: x,
  'silu': jax.nn.silu,
  'relu': jax.nn.relu,
  'gelu': jax.nn.gelu,
  'elu': jax.nn.elu,
  'tanh': jnp.tanh,
  'mish': jax.nn.mish,
}


def activation(name: str) -> Callable[[jax.Array], jax.Array]:
  """The elementwise function of that name; ValueError if there is none."""
  if name not in _ACTIVATIONS:
    raise ValueError(f'act {name!r}: expected one of {sorted(_ACTIVATIONS)}')
  return _ACTIVATIONS[name]


class Norm(nj.Module):
  """Normalise the last axis in float32, return the dtype of the input.

  rms:   x / sqrt(mean(x^2) + 1e-4) * scale          (arXiv:1910.07467)
  layer: (x - mean) / sqrt(var + 1e-4) * scale + shift  (arXiv:1607.06450)
  none:  x
  """

  def __init__(self, impl: str):
    if impl not in ('rms', 'layer', 'none'):
      raise ValueError(f"norm {impl!r}: expected 'rms', 'layer' or 'none'")
    self.impl = impl

  def __call__(self, x: jax.Array) -> jax.Array:
    """Normalises the last axis; same shape and dtype."""
    if self.impl == 'none':
      return x
    dtype, width = x.dtype, (x.shape[-1],)
    x = x.astype(jnp.float32)
    scale = init.parameter(self, 'scale', init.Recipe('ones'), width)
    if self.impl == 'rms':
      power = jnp.square(x).mean(-1, keepdims=True)
      return (x * jax.lax.rsqrt(power + _EPS) * utils.along(scale, x)).astype(dtype)
    shift = init.parameter(self, 'shift', init.Recipe('zeros'), width)
    x = x - x.mean(-1, keepdims=True)
    power = jnp.square(x).mean(-1, keepdims=True)
    x = x * jax.lax.rsqrt(power + _EPS)
    return (x * utils.along(scale, x) + utils.along(shift, x)).astype(dtype)
