"""Arithmetic of the field: symlog, where over trees, concatenated vectors.

symexp(symlog(x)) == x
"""

from collections.abc import Mapping
from typing import Any

import chex
import elements
import jax
import jax.numpy as jnp
import numpy as np


def symlog(x: jax.Array) -> jax.Array:
  """sign(x) ln(1 + |x|)."""
  return jnp.sign(x) * jnp.log1p(jnp.abs(x))


def symexp(x: jax.Array) -> jax.Array:
  """sign(x) (exp(|x|) - 1), the inverse of symlog."""
  return jnp.sign(x) * jnp.expm1(jnp.abs(x))


def along(vector: jax.Array, x: jax.Array) -> jax.Array:
  """A vector (C,) as (1, ..., C), in the rank and dtype of x (..., C)."""
  return vector.astype(x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))


def where(mask: jax.Array, yes: Any, no: Any) -> Any:
  """Choose between trees by a mask over their leading axes."""

  def choose(a: jax.Array, b: jax.Array) -> jax.Array:
    chex.assert_equal_shape([a, b])
    chex.assert_trees_all_equal_dtypes(a, b)
    return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a, b)

  return jax.tree.map(choose, yes, no)


def mask(xs: Any, keep: jax.Array) -> Any:
  """Set to zero where keep, over the leading axes, is false."""
  return where(keep, xs, jax.tree.map(jnp.zeros_like, xs))


def concat_spaces(
  xs: Mapping[str, jax.Array],
  spaces: Mapping[str, elements.Space],
  dtype: Any,
  squash: bool = False,
) -> jax.Array:
  """All keys, sorted, as one vector (..., N).

  Discrete values become one-hot, continuous ones stay (symlog if squash).
  A value of -1 (discrete) or -inf (continuous) means missing and gives zeros.

  Args:
    xs: key -> (..., *space.shape).
  """
  parts = []
  for key in sorted(spaces):
    x, space = jnp.asarray(xs[key]), spaces[key]
    lead = x.shape[: x.ndim - len(space.shape)]
    assert x.shape[len(lead) :] == space.shape, (key, x.shape, space.shape)
    if space.discrete:
      x = one_hot(x, classes_of(key, space), dtype)
    else:
      x = jnp.where(jnp.isneginf(x), 0, x.astype(jnp.float32))
      x = (symlog(x) if squash else x).astype(dtype)
    parts.append(x.reshape((*lead, -1)))
  return jnp.concatenate(parts, -1)


def one_hot(x: jax.Array, classes: int, dtype: Any) -> jax.Array:
  """(...) integers to (..., classes); outside [0, classes) gives zeros."""
  index = jax.lax.broadcasted_iota(jnp.int32, (*x.shape, classes), x.ndim)
  return (index == x[..., None].astype(jnp.int32)).astype(dtype)


def classes_of(key: str, space: elements.Space) -> int:
  """Number of classes of a discrete space, the same for all its entries."""
  classes = np.unique(np.asarray(space.classes))
  if classes.size != 1:
    raise ValueError(
      f'{key}: entries of a discrete space need equally many classes, '
      f'got {space.classes}'
    )
  return int(classes[0])
