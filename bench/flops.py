"""Floating point operations of a function, counted in its trace.

  operations(jax.make_jaxpr(step)(*args).jaxpr)  # products and sums of matrices

Matrix products and convolutions alone, which are nearly all of it. XLA's own
count takes the body of a loop once, however often it runs.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax.extend.core as core


def operations(jaxpr: Any) -> int:
  """Multiplications and additions; loops count as often as they run.

  Of the branches of a condition the dearest counts; a loop without a known
  length counts once.
  """
  total = 0
  for eqn in jaxpr.eqns:
    inner = [operations(x) for x in _inner(eqn)]
    if eqn.primitive.name == 'scan':
      total += eqn.params['length'] * sum(inner)
    elif eqn.primitive.name == 'cond':
      total += max(inner, default=0)
    else:
      total += sum(inner) + _own(eqn)
  return total


def _inner(eqn: Any) -> Iterator[Any]:
  """The functions that an equation calls."""
  for value in eqn.params.values():
    for x in value if isinstance(value, (tuple, list)) else (value,):
      if isinstance(x, core.ClosedJaxpr):
        yield x.jaxpr
      elif isinstance(x, core.Jaxpr):
        yield x


def _own(eqn: Any) -> int:
  name = eqn.primitive.name
  if name == 'dot_general':
    out = eqn.outvars[0].aval
    (contracted, _), _ = eqn.params['dimension_numbers']
    left = eqn.invars[0].aval.shape
    return 2 * math.prod(out.shape) * math.prod(left[i] for i in contracted)
  if name == 'conv_general_dilated':
    out = eqn.outvars[0].aval
    spec = eqn.params['dimension_numbers'].rhs_spec
    kernel = eqn.invars[1].aval.shape
    taps = math.prod(kernel) // kernel[spec[0]]  # all but output channels
    return 2 * math.prod(out.shape) * taps
  return 0
