"""Returns by hand and by their limits."""

import jax.numpy as jnp
import numpy as np
import pytest

from dreamerv3.agent import returns


def draw(rng, shape=(3, 6)):
  return jnp.asarray(rng.random(shape), jnp.float32)


def test_backward_by_hand():
  gain = jnp.array([[0.5, 0.5, 0.5]])
  add = jnp.array([[1.0, 2.0, 3.0]])
  ret = returns.backward(add, gain, jnp.array([8.0]))
  np.testing.assert_allclose(ret, [[1 + 0.5 * (2 + 0.5 * 7), 5.5, 7.0]])


def test_imag_return_with_lambda_one_is_the_discounted_sum(rng):
  r_t, c_t, v_t = (draw(rng) for _ in 'rcv')
  ret = returns.imag_return(r_t, c_t, v_t, lam=1.0)
  want, live = np.zeros(3), np.ones(3)
  for t in range(1, 6):
    want += live * np.asarray(r_t[:, t])
    live = live * np.asarray(c_t[:, t])
  # The last state pays its value behind its own continuation.
  want += live * np.asarray(v_t[:, -1])
  np.testing.assert_allclose(ret[:, 0], want, rtol=1e-5)


def test_imag_return_with_lambda_zero_is_one_step(rng):
  r_t, c_t, v_t = (draw(rng) for _ in 'rcv')
  ret = returns.imag_return(r_t, c_t, v_t, lam=0.0, disc=0.9)
  want = r_t[:, 1:] + 0.9 * c_t[:, 1:] * v_t[:, 1:]
  np.testing.assert_allclose(ret, want, rtol=1e-6)


def test_replayed_and_imagined_returns_agree_where_nothing_is_cut_off(rng):
  r_t, v_t = draw(rng), draw(rng)
  term = jnp.zeros((3, 6), bool).at[1, 2].set(True)
  given = dict(lam=0.8, disc=0.9)
  replayed = returns.lambda_return(r_t, term, term, v_t, **given)
  imagined = returns.imag_return(r_t, 1 - term.astype('f4'), v_t, **given)
  np.testing.assert_allclose(replayed, imagined, rtol=1e-5)


def test_lambda_return_stops_at_a_death_and_bootstraps_at_a_cut():
  no = jnp.zeros((1, 4), bool)
  r_t, v_t = jnp.ones((1, 4)), jnp.full((1, 4), 10.0)
  death = no.at[0, 2].set(True)
  ret = returns.lambda_return(r_t, death, death, v_t, lam=1.0, disc=0.9)
  np.testing.assert_allclose(ret, [[1 + 0.9, 1, 1 + 9]], rtol=1e-6)
  ret = returns.lambda_return(r_t, death, no, v_t, lam=1.0, disc=0.9)
  np.testing.assert_allclose(ret, [[1 + 0.9 * 10, 10, 10]], rtol=1e-6)


def test_survival_counts_the_first_state():
  c_t = jnp.array([[0.5, 0.5, 1.0]])
  np.testing.assert_allclose(returns.survival(c_t), [[0.5, 0.25, 0.25]])
  halved = returns.survival(c_t, disc=0.5)
  np.testing.assert_allclose(halved, [[0.5, 0.125, 0.0625]])


def test_other_shapes_are_refused_with_what_was_seen():
  r_t = jnp.zeros((2, 5))
  with pytest.raises(AssertionError, match=r'v_t.*\(2, 4\)'):
    returns.imag_return(r_t, r_t, r_t[:, 1:], lam=0.9)
  with pytest.raises(AssertionError, match=r'\(5,\)'):
    returns.imag_return(r_t[0], r_t[0], r_t[0], lam=0.9)
  with pytest.raises(AssertionError, match=r'term_t.*\(1, 5\)'):
    returns.lambda_return(r_t, r_t, r_t[:1], r_t, lam=0.9, disc=0.9)
