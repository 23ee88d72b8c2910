"""Losses by hand and by their limits, without a network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dreamerv3.agent import losses, returns
from embodied.jax import outs
from embodied.jax.normalize import Normalizer

N, H = 2, 3


class Value(outs.Output):
  """A critic that predicts x and pays the squared distance to a target."""

  def __init__(self, x):
    self.x = x

  def pred(self):
    return self.x

  def loss(self, target):
    return jnp.square(self.x - target)


@pytest.fixture
def norms():
  return losses.Norms(
    ret=Normalizer('retnorm', 'perc', limit=1.0),
    val=Normalizer('valnorm', 'none'),
    adv=Normalizer('advnorm', 'none'),
  )


def dreamt(rng, **changes):
  """Random dreams with time first, of one action with three choices."""
  r_t, c_t, slow_t, value_t = (
    jnp.asarray(rng.random((H + 1, N)), jnp.float32) for _ in 'rcsv'
  )
  given = losses.Dreamt(
    r_t=r_t,
    c_t=c_t,
    slow_t=slow_t,
    value=Value(value_t),
    policy={'a': outs.Categorical(jnp.zeros((H, N, 3)))},
    act={'a': jnp.ones((H, N), jnp.int32)},
  )
  return given._replace(**changes)


def imagine(given, norms, **changes):
  settings = dict(lam=0.9, disc=1.0, actent=0.0, slowreg=0.0)
  start = {k: jnp.asarray(v) for norm in norms for k, v in norm.init().items()}
  return losses.imagination(given, start, norms, **{**settings, **changes})


def test_one_imagined_step_by_hand(norms):
  one = losses.Dreamt(
    r_t=jnp.array([[9.0], [2.0]]),
    c_t=jnp.array([[0.5], [0.25]]),
    slow_t=jnp.array([[5.0], [7.0]]),
    value=Value(jnp.array([[1.0], [4.0]])),
    policy={'a': outs.Categorical(jnp.zeros((1, 1, 3)))},
    act={'a': jnp.zeros((1, 1), jnp.int32)},
  )
  found = imagine(one, norms, actent=0.1, slowreg=2.0)
  ret = 2 + 0.25 * 4  # the reward there, and the value behind its continuation
  assert found.ret.item() == pytest.approx(ret)
  # Below the limit of 1 the scale is 1, and log 3 is both surprise and entropy.
  logp, ent, adv = -np.log(3), np.log(3), ret - 1
  assert found.policy.item() == pytest.approx(-0.5 * (logp * adv + 0.1 * ent))
  assert found.value.item() == pytest.approx(0.5 * ((1 - ret) ** 2 + 2 * (1 - 5) ** 2))
  assert found.metrics['adv'] == pytest.approx(adv)
  assert found.metrics['rand/a'] == pytest.approx(1)
  assert found.stats.keys() == {f'retnorm/{k}/value' for k in ('lo', 'hi', 'corr')}
  slow = imagine(one, norms, slowtar=True)
  assert slow.ret.item() == pytest.approx(2 + 0.25 * 7)


def test_advantages_are_counted_in_the_spread_of_returns(rng, norms):
  given = dreamt(rng)
  given = given._replace(r_t=20 * given.r_t)
  found = imagine(given, norms)
  low, high = np.percentile(found.ret, (5, 95))
  assert high - low > 2
  gain = (found.ret - given.value.x.T[:, :-1]) / (high - low)
  assert found.metrics['adv'] == pytest.approx(gain.mean().item(), rel=1e-4)


def test_a_dream_that_ended_teaches_nothing(rng, norms):
  given = dreamt(rng)
  over = given._replace(c_t=given.c_t.at[0, 1].set(0.0))
  found = imagine(over, norms, actent=0.3, slowreg=1.0)
  assert found.policy[0] != 0
  assert found.policy[1] == found.value[1] == 0


def test_rows_are_dreams_of_their_own(rng, norms):
  given = dreamt(rng)
  norms = norms._replace(ret=Normalizer('retnorm', 'none'))
  both = imagine(given, norms)
  own = jax.tree.map(lambda x: x[:, 1:], (given.r_t, given.c_t, given.slow_t))
  alone = losses.Dreamt(
    own[0],
    own[1],
    own[2],
    value=Value(given.value.x[:, 1:]),
    policy={'a': outs.Categorical(jnp.zeros((H, 1, 3)))},
    act={'a': given.act['a'][:, 1:]},
  )
  found = imagine(alone, norms)
  for name in ('policy', 'value', 'ret'):
    np.testing.assert_allclose(getattr(found, name)[0], getattr(both, name)[1], 1e-6)


def test_without_dreams_reward_and_continuation_get_no_gradient(rng, norms):
  given = dreamt(rng)

  def total(value_t, logits):
    policy = {'a': outs.Categorical(logits)}
    changed = given._replace(value=Value(value_t), policy=policy)
    found = imagine(changed, norms, slowreg=1.0)
    return {'policy': found.policy.sum(), 'value': found.value.sum()}

  grads = jax.jacrev(total, (0, 1))(given.value.x, jnp.zeros((H, N, 3)))
  assert not grads['policy'][0].any()  # the actor does not move the critic
  assert grads['policy'][1].any()
  assert grads['value'][0].any()
  assert not grads['value'][0][-1].any()  # the last state is only a bootstrap
  assert not grads['value'][1].any()


def test_other_shapes_of_a_dream_are_refused_with_what_was_seen(rng, norms):
  given = dreamt(rng)
  with pytest.raises(AssertionError, match=r'c_t.*\(2, 3\)'):
    imagine(given._replace(c_t=given.c_t[1:]), norms)


def relived(rng):
  x, slow_t, r_t, v_t = (jnp.asarray(rng.normal(size=(2, 5)), 'f4') for _ in '1234')
  no = jnp.zeros((2, 5), bool)
  return losses.Relived(Value(x), slow_t, v_t, r_t, no, no)


def test_replayed_returns_are_normalised_with_themselves(rng):
  norm = Normalizer('valnorm', 'meanstd', rate=0.5, debias=False)
  given = relived(rng)
  before = {k: jnp.asarray(v) for k, v in norm.init().items()}
  after = {**before, **norm.update(before, given.v_t)}  # as imagination leaves it
  loss, found = losses.replay_critic(given, after, norm, lam=0.9, disc=0.9, slowreg=0.0)
  target = returns.lambda_return(
    given.r_t, given.last_t, given.term_t, given.v_t, lam=0.9, disc=0.9
  )
  expected = norm.update(after, target)
  offset, scale = norm.stats(expected)
  want = jnp.square(given.value.pred()[:, :-1] - (target - offset) / scale)
  np.testing.assert_allclose(loss, want, rtol=1e-5)
  for key, value in expected.items():
    np.testing.assert_allclose(found[key], value, rtol=1e-5)


def test_the_critic_learns_nothing_across_the_end_of_an_episode(rng):
  norm = Normalizer('valnorm', 'none')
  given = relived(rng)
  given = given._replace(last_t=given.last_t.at[0, 2].set(True))
  loss, _ = losses.replay_critic(given, {}, norm, lam=0.9, disc=0.9, slowreg=1.0)
  assert loss.shape == (2, 4)
  assert (loss == 0).sum() == 1
  assert loss[0, 2] == 0


def test_actor_loss_pushes_towards_good_actions():
  act = {'a': jnp.zeros(1, jnp.int32)}

  def loss(logits: jax.Array, adv: float) -> jax.Array:
    policy: dict[str, outs.Output] = {'a': outs.Categorical(logits)}
    return losses.actor_loss(policy, act, jnp.full(1, adv), actent=0.0)[0].sum()

  logits = jnp.zeros((1, 3))
  assert jax.grad(loss)(logits, 1.0)[0, 0] < 0
  assert jax.grad(loss)(logits, -1.0)[0, 0] > 0


def test_kl_is_free_below_the_threshold_and_balanced():
  def dist(logits: jax.Array) -> outs.Agg:
    return outs.Agg(outs.OneHot(logits), 1)

  def loss(post: jax.Array, prior: jax.Array, free: float, key: str):
    sg = jax.lax.stop_gradient
    a, b, c, d = map(dist, (post, prior, sg(post), sg(prior)))
    return losses.kl_losses(a, b, c, d, free=free)[key].sum()

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
