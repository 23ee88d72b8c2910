"""Returns and losses by hand and by their limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dreamerv3.agent import losses
from embodied.jax import outs


def test_backward_by_hand():
  gain = jnp.array([[0.5, 0.5, 0.5]])
  add = jnp.array([[1.0, 2.0, 3.0]])
  ret = losses.backward(gain, jnp.array([8.0]), add)
  np.testing.assert_allclose(ret, [[1 + 0.5 * (2 + 0.5 * 7), 5.5, 7.0]])


def test_imag_return_with_lambda_one_is_the_discounted_sum(rng):
  rew, con, val = (jnp.asarray(rng.random((3, 6)), jnp.float32) for _ in '123')
  ret = losses.imag_return(rew, con, val, lam=1.0)
  want, live = np.zeros(3), np.ones(3)
  for t in range(1, 6):
    want += live * np.asarray(rew[:, t])
    live = live * np.asarray(con[:, t])
  # The last state pays its value behind its own continuation.
  want += live * np.asarray(val[:, -1])
  np.testing.assert_allclose(ret[:, 0], want, rtol=1e-5)


def test_imag_return_with_lambda_zero_is_one_step(rng):
  rew, con, val = (jnp.asarray(rng.random((3, 6)), jnp.float32) for _ in '123')
  ret = losses.imag_return(rew, con, val, lam=0.0, disc=0.9)
  want = rew[:, 1:] + 0.9 * con[:, 1:] * val[:, 1:]
  np.testing.assert_allclose(ret, want, rtol=1e-6)


def test_lambda_return_stops_at_a_death_and_bootstraps_at_a_cut():
  no = jnp.zeros((1, 4), bool)
  rew, boot = jnp.ones((1, 4)), jnp.full((1, 4), 10.0)
  death = no.at[0, 2].set(True)
  ret = losses.lambda_return(death, death, rew, boot, 0.9, 1.0)
  np.testing.assert_allclose(ret, [[1 + 0.9, 1, 1 + 9]], rtol=1e-6)
  ret = losses.lambda_return(death, no, rew, boot, 0.9, 1.0)
  np.testing.assert_allclose(ret, [[1 + 0.9 * 10, 10, 10]], rtol=1e-6)


def test_survival_counts_the_first_state():
  con = jnp.array([[0.5, 0.5, 1.0]])
  np.testing.assert_allclose(losses.survival(con), [[0.5, 0.25, 0.25]])


def test_actor_loss_pushes_towards_good_actions():
  act = {'a': jnp.zeros(1, jnp.int32)}

  def loss(logits: jax.Array, adv: float) -> jax.Array:
    policy: dict[str, outs.Output] = {'a': outs.Categorical(logits)}
    return losses.actor_loss(policy, act, jnp.full(1, adv), 0.0)[0].sum()

  logits = jnp.zeros((1, 3))
  assert jax.grad(loss)(logits, 1.0)[0, 0] < 0
  assert jax.grad(loss)(logits, -1.0)[0, 0] > 0


def test_kl_is_free_below_the_threshold_and_balanced():
  def dist(logits: jax.Array) -> outs.Agg:
    return outs.Agg(outs.OneHot(logits), 1)

  def loss(post: jax.Array, prior: jax.Array, free: float, key: str):
    sg = jax.lax.stop_gradient
    a, b, c, d = map(dist, (post, prior, sg(post), sg(prior)))
    return losses.kl_losses(a, b, c, d, free)[key].sum()

  post = jnp.array([[[3.0, 0.0]]])
  prior = jnp.zeros((1, 1, 2))
  assert loss(post, prior, 9.0, 'dyn') == 9
  assert loss(post, prior, 0.0, 'dyn') == pytest.approx(
    float(loss(post, prior, 0.0, 'rep'))
  )
  grads = jax.grad(loss, (0, 1))(post, prior, 0.0, 'dyn')
  assert not grads[0].any()
  assert grads[1].any()
  grads = jax.grad(loss, (0, 1))(post, prior, 0.0, 'rep')
  assert grads[0].any()
  assert not grads[1].any()
