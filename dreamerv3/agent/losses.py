"""Returns and losses of actor and critic: pure functions, time last.

For readers who want the objective without the networks. Index t counts the
states of a sequence; reward r_t and continuation c_t belong to arriving at
state t.

  ret = lambda_return(last, term, reward, value, disc=0.997, lam=0.95)
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from embodied.jax import outs

sg = jax.lax.stop_gradient
Dict = dict[str, jax.Array]


def backward(gain: jax.Array, start: jax.Array, add: jax.Array) -> jax.Array:
  """R_t = add_t + gain_t R_{t+1} from the end, R_T = start.

  Args:
    gain: (N, T).
    start: (N,).
    add: (N, T).

  Returns:
    (N, T).
  """

  def step(later: jax.Array, now: tuple) -> tuple:
    ret = now[1] + now[0] * later
    return ret, ret

  ret: jax.Array = jax.lax.scan(step, start, (gain.T, add.T), reverse=True)[1]
  return ret.T


def imag_return(
  rew: jax.Array, con: jax.Array, val: jax.Array, lam: float, disc: float = 1.0
) -> jax.Array:
  """Lambda return along imagined states (arXiv:2301.04104, eq. 7).

  R_t = r_{t+1} + c_{t+1} ((1 - lam) v_{t+1} + lam R_{t+1}),  R_H = v_H,
  with c = con * disc.

  Args:
    rew, con, val: (N, H+1) at states 0..H.

  Returns:
    (N, H) for states 0..H-1.
  """
  live = con[:, 1:] * disc
  add = rew[:, 1:] + live * (1 - lam) * val[:, 1:]
  return backward(lam * live, val[:, -1], add)


def lambda_return(
  last: jax.Array,
  term: jax.Array,
  rew: jax.Array,
  boot: jax.Array,
  disc: float,
  lam: float,
) -> jax.Array:
  """Lambda return along replayed states, with bootstraps from elsewhere.

  R_t = r_{t+1} + live_{t+1} ((1 - go_{t+1}) boot_{t+1} + go_{t+1} R_{t+1}),
  live = (1 - term) disc, go = (1 - last) lam, R_{T-1} = boot_{T-1}. Across the
  end of an episode that was only cut off, the bootstrap takes over.

  Args:
    last, term: (N, T) bool, end of episode and true end.
    rew, boot: (N, T).

  Returns:
    (N, T-1) for states 0..T-2.
  """
  assert last.shape == term.shape == rew.shape == boot.shape, (
    last.shape,
    term.shape,
    rew.shape,
    boot.shape,
  )
  live = (1 - term.astype(jnp.float32))[:, 1:] * disc
  go = (1 - last.astype(jnp.float32))[:, 1:] * lam
  add = rew[:, 1:] + (1 - go) * live * boot[:, 1:]
  return backward(live * go, boot[:, -1], add)


def critic_loss(
  value: outs.Output,
  target: jax.Array,
  slow: jax.Array,
  slowreg: float,
) -> jax.Array:
  """Cross entropy to the return, and to the slow critic's mean.

  Args:
    value: distribution of shape (...).
    target, slow: (...).
  """
  return value.loss(sg(target)) + slowreg * value.loss(sg(slow))


def actor_loss(
  policy: dict[str, outs.Output],
  act: Dict,
  adv: jax.Array,
  actent: float,
) -> tuple[jax.Array, Dict]:
  """-(log pi(a_t) sg(adv_t) + actent H(pi_t)), summed over action keys.

  Args:
    policy: distribution per action key, of shape (...).
    act: taken actions per key, (..., *space.shape).
    adv: advantage (...).

  Returns:
    Loss (...) and the entropy [nats] per key (...).
  """
  logp = sum(policy[k].logp(sg(act[k])) for k in policy)
  ents = {k: v.entropy() for k, v in policy.items()}
  loss = -(logp * sg(adv) + actent * sum(ents.values()))
  return loss, ents


def survival(con: jax.Array, disc: float = 1.0) -> jax.Array:
  """Weight of each imagined state: product of con * disc up to it, over disc.

  Args:
    con: (N, T).
  """
  return jnp.cumprod(con * disc, -1) / disc


def kl_losses(
  post: outs.Agg,
  prior: outs.Agg,
  frozen_post: outs.Agg,
  frozen_prior: outs.Agg,
  free: float,
) -> Dict:
  """KL balancing with free nats per step (arXiv:2301.04104, eq. 3).

  dyn = max(free, KL(sg(post) || prior)): the prior learns to predict.
  rep = max(free, KL(post || sg(prior))): the posterior stays predictable.
  """
  dyn = frozen_post.kl(prior)
  rep = post.kl(frozen_prior)
  return {'dyn': jnp.maximum(dyn, free), 'rep': jnp.maximum(rep, free)}
