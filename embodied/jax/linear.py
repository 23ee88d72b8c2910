"""Fully connected layers, whole and block-diagonal, and the MLP made of them.

y = Linear(64, name='layer')(x)  # inside nj.pure
"""

import math

import jax
import jax.numpy as jnp
import ninjax as nj

from . import init, internal, utils
from .norm import Norm, activation

ZEROS = init.Recipe('zeros')
# Up to here g copies of an input are cheaper than a dense copy of the weights.
_FEW_ROWS = 4


class Linear(nj.Module):
  """x @ kernel + bias over the last axis, (..., I) -> (..., *units).

  Computes in the dtype of x; parameters stay float32.
  """

  winit: str = 'trunc_normal_in'
  outscale: float = 1.0

  def __init__(self, units: int | tuple[int, ...]):
    self.units = (units,) if isinstance(units, int) else tuple(units)

  def params(self, inputs: int) -> tuple[jax.Array, jax.Array]:
    """Kernel (inputs, units) and bias (units,), float32."""
    size = math.prod(self.units)
    recipe = init.Recipe(self.winit, self.outscale)
    kernel = init.parameter(self, 'kernel', recipe, (inputs, size))
    bias = init.parameter(self, 'bias', ZEROS, (size,))
    return kernel, bias

  def __call__(self, x: jax.Array) -> jax.Array:
    """(..., inputs) -> (..., units)."""
    kernel, bias = self.params(x.shape[-1])
    x = x @ kernel.astype(x.dtype)
    x = x + utils.along(bias, x)
    return x.reshape((*x.shape[:-1], *self.units))


class BlockLinear(nj.Module):
  """g independent linear maps side by side, (..., I) -> (..., units).

  The input is cut in g contiguous pieces, each multiplied by its own matrix
  of kernel (g, I/g, units/g); the results are joined, then the bias is added.
  """

  winit: str = 'trunc_normal_in'
  outscale: float = 1.0

  def __init__(self, units: int, blocks: int):
    if units % blocks:
      raise ValueError(f'{units} units do not divide into {blocks} blocks')
    self.units, self.blocks = units, blocks

  def params(self, inputs: int) -> tuple[jax.Array, jax.Array]:
    """Kernel (g, inputs/g, units/g) and bias (units,), float32."""
    g = self.blocks
    if inputs % g:
      raise ValueError(f'{inputs} inputs do not divide into {g} blocks')
    recipe = init.Recipe(self.winit, self.outscale)
    shape = (g, inputs // g, self.units // g)
    kernel = init.parameter(self, 'kernel', recipe, shape)
    bias = init.parameter(self, 'bias', ZEROS, (self.units,))
    return kernel, bias

  def __call__(self, x: jax.Array) -> jax.Array:
    """(..., inputs) -> (..., units), block by block."""
    return joined(self.blockwise(blocks(x, self.blocks)))

  def blockwise(self, x: jax.Array, shared: jax.Array | None = None) -> jax.Array:
    """The same for an input already cut in blocks, (g, ..., units/g).

    Args:
      x: (g, ..., I/g), each block's own input.
      shared: (..., S), appended to the input of every block.
    """
    assert len(x) == self.blocks, (x.shape, self.blocks)
    own = x.shape[-1]
    extra = 0 if shared is None else shared.shape[-1]
    kernel, bias = self.params((own + extra) * self.blocks)
    kernel = kernel.astype(x.dtype)
    if shared is None:
      x = jnp.einsum('g...i,gio->g...o', x, kernel)
    elif math.prod(shared.shape[:-1]) <= _FEW_ROWS:
      many = jnp.broadcast_to(shared, (self.blocks, *shared.shape))
      x = jnp.concatenate([x, many], -1)
      x = jnp.einsum('g...i,gio->g...o', x, kernel)
    else:
      x = jnp.einsum('g...i,gio->g...o', x, kernel[:, :own])
      dense = kernel[:, own:].transpose((1, 0, 2)).reshape((extra, -1))
      x = x + blocks(shared @ dense, self.blocks)
    return x + blocks(utils.along(bias, x[0]), self.blocks)


def blocks(x: jax.Array, num: int) -> jax.Array:
  """Cut the last axis in contiguous pieces, (..., D) -> (num, ..., D/num)."""
  return jnp.moveaxis(x.reshape((*x.shape[:-1], num, -1)), -2, 0)


def joined(x: jax.Array) -> jax.Array:
  """The inverse of `blocks`, (num, ..., D) -> (..., num D).

  Not a transpose: on a CPU, XLA would compute x while it transposes, one
  number at a time.
  """
  return jnp.concatenate(list(x), -1)


class MLP(nj.Module):
  """layers x (linear -> norm -> activation), (..., I) -> (..., units).

  Taps <path>/linear0, <path>/linear1, ... after the activation.
  """

  act: str = 'silu'
  norm: str = 'rms'
  winit: str = 'trunc_normal_in'

  def __init__(self, layers: int, units: int):
    self.layers, self.units = layers, units

  def __call__(self, x: jax.Array) -> jax.Array:
    """(..., inputs) -> (..., units)."""
    for i in range(self.layers):
      x = self.sub(f'linear{i}', Linear, self.units, winit=self.winit)(x)
      x = self.sub(f'norm{i}', Norm, self.norm)(x)
      x = internal.tap(f'{self.path}/linear{i}', activation(self.act)(x))
    return x
