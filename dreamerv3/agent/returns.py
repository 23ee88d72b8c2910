"""Returns along imagined and replayed states: pure functions of arrays.

For readers who want the recursion (arXiv:2301.04104, eq. 7). Index t counts the
states of a sequence; reward r_t and continuation c_t belong to arriving at
state t, v_t is the value of state t. Arrays are (N, T), time last.

  ret = imag_return(r_t, c_t, v_t, lam=0.95)
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from embodied.jax import internal


def backward(add_t: jax.Array, gain_t: jax.Array, end: jax.Array) -> jax.Array:
  """R_t = add_t + gain_t R_{t+1} for t in [0, T-1], R_T = end.

  Args:
    add_t, gain_t: (N, T).
    end: (N,).

  Returns:
    (N, T).
  """
  check(2, add_t=add_t, gain_t=gain_t)
  assert end.shape == add_t.shape[:1], (end.shape, add_t.shape)

  def step(later: jax.Array, now: tuple) -> tuple:
    add, gain = now
    ret = add + gain * later
    return ret, ret

  ret: jax.Array = jax.lax.scan(
    step, end, (add_t.T, gain_t.T), reverse=True, unroll=internal.unroll()
  )[1]
  return ret.T


def imag_return(
  r_t: jax.Array, c_t: jax.Array, v_t: jax.Array, *, lam: float, disc: float = 1.0
) -> jax.Array:
  """Lambda return along imagined states (arXiv:2301.04104, eq. 7).

  R_t = r_{t+1} + c_{t+1} ((1 - lam) v_{t+1} + lam R_{t+1}),  R_H = v_H,
  with c_t times disc in place of c_t.

  Args:
    r_t, c_t, v_t: (N, H+1), t in [0, H]; c_t in [0, 1].
    lam: share of the return in what follows, in [0, 1].
    disc: discount per step, where c_t does not hold it.

  Returns:
    (N, H), t in [0, H-1].
  """
  check(2, r_t=r_t, c_t=c_t, v_t=v_t)
  live = c_t[:, 1:] * disc
  add = r_t[:, 1:] + live * (1 - lam) * v_t[:, 1:]
  return backward(add, lam * live, v_t[:, -1])


def lambda_return(
  r_t: jax.Array,
  last_t: jax.Array,
  term_t: jax.Array,
  v_t: jax.Array,
  *,
  lam: float,
  disc: float,
) -> jax.Array:
  """Lambda return along replayed states, with values from elsewhere.

  R_t = r_{t+1} + live_{t+1} ((1 - go_{t+1}) v_{t+1} + go_{t+1} R_{t+1}),
  live = (1 - term) disc, go = (1 - last) lam, R_{T-1} = v_{T-1}. Across the
  end of an episode that was only cut off, the value takes over.

  Args:
    r_t, v_t: (N, T), t in [0, T-1].
    last_t, term_t: (N, T) bool, end of episode and true end.
    lam: share of the return in what follows, in [0, 1].
    disc: discount per step.

  Returns:
    (N, T-1), t in [0, T-2].
  """
  check(2, r_t=r_t, last_t=last_t, term_t=term_t, v_t=v_t)
  live = (1 - term_t.astype(jnp.float32))[:, 1:] * disc
  go = (1 - last_t.astype(jnp.float32))[:, 1:] * lam
  add = r_t[:, 1:] + (1 - go) * live * v_t[:, 1:]
  return backward(add, live * go, v_t[:, -1])


def survival(c_t: jax.Array, *, disc: float = 1.0) -> jax.Array:
  """Weight of each imagined state: product of c_t disc up to it, over disc.

  Args:
    c_t: (N, T).
    disc: discount per step, where c_t does not hold it.

  Returns:
    (N, T).
  """
  check(2, c_t=c_t)
  return jnp.cumprod(c_t * disc, -1) / disc


def check(rank: int, **arrays: jax.Array) -> None:
  """AssertionError with all shapes unless they are equal and of this rank."""
  shapes = {k: v.shape for k, v in arrays.items()}
  assert len({*shapes.values()}) == 1, shapes
  assert all(len(x) == rank for x in shapes.values()), (rank, shapes)
