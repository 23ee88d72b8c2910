"""What actor and critic learn from: pure functions, no networks.

For readers who want the objective (arXiv:2301.04104). Nothing here reads
parameters: it takes arrays and what heads predict, so that each part can be
computed by hand. Index t counts the states of a sequence; reward r_t and
continuation c_t belong to arriving at state t. Arrays are (N, T), time last;
what the networks say along a dream comes with time first, as it was made.

  found = imagination(dreamt, stats, norms, lam=0.95, disc=1.0, actent=0, slowreg=1)
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dreamerv3.agent import returns
from dreamerv3.agent.latents import Arrays, State
from embodied.jax import outs, shards
from embodied.jax.normalize import Normalizer

sg = jax.lax.stop_gradient


class Norms(NamedTuple):
  """Running scales of returns, values and advantages."""

  ret: Normalizer
  val: Normalizer
  adv: Normalizer


class Dreamt(NamedTuple):
  """What the networks say along N dreams of H steps, states 0 to H.

  Attributes:
    r_t, c_t: reward and probability to go on (H+1, N), without gradients.
    slow_t: value by the slow critic (H+1, N), normalised, without gradients.
    value: the critic's distribution, normalised, of shape (H+1, N).
    policy: the actor's distribution per action key, of shape (H, N).
    act: actions taken, per key (H, N, ...).
  """

  r_t: jax.Array
  c_t: jax.Array
  slow_t: jax.Array
  value: outs.Output
  policy: dict[str, outs.Output]
  act: Arrays


class Imagined(NamedTuple):
  """What is learned from dreams.

  Attributes:
    policy, value: losses of actor and critic (N,), means over t in [0, H-1].
    ret: returns (N, H), not normalised.
    stats: statistics of the normalisers after these returns.
    metrics: scalars by name.
  """

  policy: jax.Array
  value: jax.Array
  ret: jax.Array
  stats: State
  metrics: dict[str, jax.Array]


class Relived(NamedTuple):
  """What the networks and the replay say along B real sequences.

  Attributes:
    value: the critic's distribution, normalised, of shape (B, T).
    slow_t: value by the slow critic (B, T), normalised, without gradients.
    v_t: imagined return from each state (B, T).
    r_t: rewards (B, T).
    last_t, term_t: end of episode and true end (B, T) bool.
  """

  value: outs.Output
  slow_t: jax.Array
  v_t: jax.Array
  r_t: jax.Array
  last_t: jax.Array
  term_t: jax.Array


class CriticLoss(NamedTuple):
  """What the critic learns from replayed states.

  Attributes:
    loss: (B, T-1).
    stats: statistics of the normalisers after these returns.
  """

  loss: jax.Array
  stats: State


def imagination(
  dreamt: Dreamt,
  stats: State,
  norms: Norms,
  *,
  lam: float,
  disc: float,
  actent: float,
  slowreg: float,
  slowtar: bool = False,
) -> Imagined:
  """Actor and critic on dreams (arXiv:2301.04104, eq. 5 to 7, 10 to 12).

  Args:
    dreamt: what the networks say.
    stats: statistics of the normalisers before.
    norms: the normalisers.
    lam: of the lambda return, in [0, 1].
    disc: discount per step, where c_t does not hold it.
    actent: weight of the policy's entropy.
    slowreg: weight of the slow critic in the critic's loss.
    slowtar: returns bootstrap from the slow critic.

  Returns:
    Losses per dream, each state weighted by the chance to get there.
  """
  r_t, c_t, slow_t, value_t = (
    x.T for x in (dreamt.r_t, dreamt.c_t, dreamt.slow_t, dreamt.value.pred())
  )
  returns.check(2, r_t=r_t, c_t=c_t, slow_t=slow_t, value_t=value_t)
  voffset, vscale = norms.val.stats(stats)
  val_t = value_t * vscale + voffset
  slow_t = slow_t * vscale + voffset
  v_t = sg(slow_t if slowtar else val_t)
  ret = returns.imag_return(r_t, c_t, v_t, lam=lam, disc=disc)
  weight_t = returns.survival(c_t, disc=disc)
  found = _normed(ret, v_t[:, :-1], stats, norms)
  loss, ents = actor_loss(dreamt.policy, dreamt.act, found.adv.T, actent=actent)
  slow_target = (slow_t - voffset) / vscale
  target = jnp.concatenate([found.target, jnp.zeros_like(found.target[:, :1])], 1)
  cost = critic_loss(dreamt.value, target.T, slow_target.T, slowreg=slowreg)
  weights = sg(weight_t[:, :-1])
  metrics = _metrics(found, r_t=r_t, c_t=c_t, weight_t=weight_t, val_t=val_t)
  metrics = {**metrics, 'slowval': slow_t.mean(), **_entropies(dreamt.policy, ents)}
  actor, critic = (weights * loss.T).mean(1), (weights * cost[:-1].T).mean(1)
  assert actor.shape == critic.shape == (len(ret),), (actor.shape, critic.shape)
  return Imagined(actor, critic, ret, found.stats, metrics)


def replay_critic(
  relived: Relived,
  stats: State,
  norm: Normalizer,
  *,
  lam: float,
  disc: float,
  slowreg: float,
) -> CriticLoss:
  """The critic on replayed states, bootstrapped from imagined returns.

  Args:
    relived: what the networks and the replay say.
    stats: statistics of the normalisers, the imagined returns included.
    norm: normaliser of values; it sees these returns too.
    lam: of the lambda return, in [0, 1].
    disc: discount per step.
    slowreg: weight of the slow critic in the loss.

  Returns:
    Loss (B, T-1), zero at the ends of episodes.
  """
  value, slow_t, v_t, r_t, last_t, term_t = relived
  ret = returns.lambda_return(r_t, last_t, term_t, sg(v_t), lam=lam, disc=disc)
  stats = {**stats, **norm.update(stats, ret)}
  voffset, vscale = norm.stats(stats)
  target = (ret - voffset) / vscale
  target = jnp.concatenate([target, jnp.zeros_like(target[:, :1])], 1)
  cost = critic_loss(value, target, slow_t, slowreg=slowreg)
  loss = (~last_t[:, :-1]).astype(jnp.float32) * cost[:, :-1]
  assert loss.shape == ret.shape, (loss.shape, ret.shape)
  return CriticLoss(loss, stats)


def critic_loss(
  value: outs.Output, target_t: jax.Array, slow_t: jax.Array, *, slowreg: float
) -> jax.Array:
  """Cross entropy to the return, and to the slow critic's mean.

  Args:
    value: distribution of shape (...).
    target_t, slow_t: (...).
    slowreg: weight of the slow critic.

  Returns:
    (...).
  """
  assert target_t.shape == slow_t.shape, (target_t.shape, slow_t.shape)
  return value.loss(sg(target_t)) + slowreg * value.loss(sg(slow_t))


def actor_loss(
  policy: dict[str, outs.Output], act: Arrays, adv_t: jax.Array, *, actent: float
) -> tuple[jax.Array, dict[str, jax.Array]]:
  """-(log pi(a_t) sg(adv_t) + actent H(pi_t)), summed over action keys.

  Args:
    policy: distribution per action key, of shape (...).
    act: taken actions per key, (..., *space.shape).
    adv_t: advantage (...).
    actent: weight of the entropy.

  Returns:
    Loss (...) and the entropy [nats] per key (...).
  """
  logp = sum(policy[k].logp(sg(act[k])) for k in policy)
  ents = {k: v.entropy() for k, v in policy.items()}
  loss = -(logp * sg(adv_t) + actent * sum(ents.values()))
  assert loss.shape == adv_t.shape, (loss.shape, adv_t.shape)
  return loss, ents


def kl_losses(
  post: outs.Agg,
  prior: outs.Agg,
  frozen_post: outs.Agg,
  frozen_prior: outs.Agg,
  *,
  free: float,
) -> dict[str, jax.Array]:
  """KL balancing with free nats per step (arXiv:2301.04104, eq. 3).

  dyn = max(free, KL(sg(post) || prior)): the prior learns to predict.
  rep = max(free, KL(post || sg(prior))): the posterior stays predictable.

  Args:
    post, prior: distributions of shape (...).
    frozen_post, frozen_prior: the same without gradients.
    free: below so many nats nothing is learned.

  Returns:
    dyn and rep (...) [nats].
  """
  dyn = frozen_post.kl(prior)
  rep = post.kl(frozen_prior)
  assert dyn.shape == rep.shape, (dyn.shape, rep.shape)
  return {'dyn': jnp.maximum(dyn, free), 'rep': jnp.maximum(rep, free)}


class _Normed(NamedTuple):
  """Statistics with the returns; advantage, return, critic target (N, H)."""

  stats: State
  adv: jax.Array
  ret: jax.Array
  target: jax.Array


def _normed(ret: jax.Array, v_t: jax.Array, stats: State, norms: Norms) -> _Normed:
  """Update the statistics with returns (N, H), and normalise by them."""
  returns.check(2, ret=ret, v_t=v_t)
  new = {**stats, **norms.ret.update(stats, ret)}
  roffset, rscale = norms.ret.stats(new)
  adv = (ret - v_t) / rscale
  new |= norms.adv.update(new, adv)
  aoffset, ascale = norms.adv.stats(new)
  new |= norms.val.update(new, ret)
  voffset, vscale = norms.val.stats(new)
  return _Normed(
    new,
    (adv - aoffset) / ascale,
    (ret - roffset) / rscale,
    (ret - voffset) / vscale,
  )


def _metrics(
  found: _Normed,
  *,
  r_t: jax.Array,
  c_t: jax.Array,
  weight_t: jax.Array,
  val_t: jax.Array,
) -> Arrays:
  """Scalars of dreams, over all processes where they are no means."""
  ret = shards.whole(found.ret)
  return dict(
    adv=found.adv.mean(),
    adv_std=shards.whole(found.adv).std(),
    adv_mag=jnp.abs(found.adv).mean(),
    rew=r_t.mean(),
    con=c_t.mean(),
    weight=weight_t.mean(),
    ret=ret.mean(),
    ret_min=ret.min(),
    ret_max=ret.max(),
    ret_rate=(jnp.abs(found.ret) >= 1).mean(),
    val=val_t.mean(),
    tar=found.target.mean(),
  )


def _entropies(policy: dict[str, outs.Output], ents: Arrays) -> dict[str, jax.Array]:
  """ent/<key> [nats], and rand/<key>, its place between least and most."""
  metrics: dict[str, jax.Array] = {}
  for key, ent in ents.items():
    lo, hi = policy[key].entropy_range()
    metrics[f'ent/{key}'] = ent.mean()
    metrics[f'rand/{key}'] = (ent.mean() - lo) / (hi - lo)
  return metrics
