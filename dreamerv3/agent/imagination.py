"""Actor and critic: dreams of the policy, and what is learned from them.

For `Model.loss` in agent.py; every function reads parameters of a ninjax
context (arXiv:2301.04104).

  terms, ret, norms, metrics = imag_loss(model, feat, last, key)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import ninjax as nj

from dreamerv3.agent import losses
from embodied.jax import internal, outs, shards

if TYPE_CHECKING:
  from dreamerv3.agent import Model

sg = jax.lax.stop_gradient
Dict = dict[str, Any]


def imag_loss(
  model: Model, feat: Dict, last: int, key: jax.Array | None
) -> tuple[Dict, jax.Array, Dict, Dict]:
  """Actor and critic on rollouts of the policy in the world model.

  Args:
    feat: posterior features (B, T, ...); rollouts start from the last
      `last` steps of each sequence.

  Returns:
    Losses policy and value (B, last), returns (B, last, H), new
    statistics, metrics.
  """
  config, H = model.config, model.config.imag_length
  start = {
    k: feat[k][:, -last:].reshape((-1, *feat[k].shape[2:])) for k in ('deter', 'stoch')
  }
  x, act = frozen_dream(model, start, H, key)  # (H + 1, N, F), (H, N, ...)
  x = sg(x)
  if config.ac_grads:  # of the real states; imagined ones never learn from it
    x = jnp.concatenate([model.tensor(start)[None], x[1:]], 0)
  disc = 1.0 if config.contdisc else 1 - 1 / config.horizon

  def read(x: jax.Array) -> tuple:
    return model.rew(x).pred(), model.con(x).prob(), model.slowval(x).pred()

  rew, con, slow = (v.T for v in internal.frozen(read, sg(x)))
  value, policy = model.val(x), model.pol(x[:-1])
  voffset, vscale = model.valnorm.stats(_norms())
  val = value.pred().T * vscale + voffset
  slow = slow * vscale + voffset
  boot = slow if config.imag_loss.slowtar else val
  ret = losses.imag_return(rew, con, sg(boot), config.imag_loss.lam, disc)
  weight = losses.survival(con, disc)
  norms, adv, ret_normed, target = _normed(model, ret, sg(boot))
  loss, ents = losses.actor_loss(policy, act, adv.T, config.imag_loss.actent)
  weights = sg(weight[:, :-1])
  slow_target = (slow - voffset) / vscale
  padded = jnp.concatenate([target, jnp.zeros_like(target[:, :1])], 1)
  cost = losses.critic_loss(value, padded.T, slow_target.T, config.imag_loss.slowreg)
  B = feat['deter'].shape[0]
  terms = {
    'policy': (weights * loss.T).mean(1).reshape((B, last)),
    'value': (weights * cost[:-1].T).mean(1).reshape((B, last)),
  }
  all_ret = shards.whole(ret_normed)
  metrics = dict(
    adv=adv.mean(),
    adv_std=shards.whole(adv).std(),
    adv_mag=jnp.abs(adv).mean(),
    rew=rew.mean(),
    con=con.mean(),
    weight=weight.mean(),
    ret=all_ret.mean(),
    ret_min=all_ret.min(),
    ret_max=all_ret.max(),
    ret_rate=(jnp.abs(ret_normed) >= 1).mean(),
    val=val.mean(),
    tar=target.mean(),
    slowval=slow.mean(),
  )
  metrics.update(_entropies(policy, ents))
  return terms, ret.reshape((B, last, H)), norms, metrics


def replay_loss(
  model: Model, feat: Dict, obs: Dict, ret: jax.Array, last: int, norms: Dict
) -> tuple[jax.Array, Dict]:
  """The critic on replayed states, bootstrapped from imagined returns.

  Args:
    ret: imagined returns (B, last, H).
    norms: statistics after the imagined returns; valnorm sees these ones too.

  Returns:
    Loss (B, last - 1), new statistics.
  """
  config = model.config
  x = model.tensor({k: v[:, -last:] for k, v in feat.items()})
  x = x if config.repval_grad else sg(x)
  ends, term, rew = (obs[k][:, -last:] for k in ('is_last', 'is_terminal', 'reward'))
  value = model.val(x)
  slow = internal.frozen(lambda x: model.slowval(x).pred(), sg(x))
  boot = sg(ret[:, :, 0])
  disc = 1 - 1 / config.horizon
  target = losses.lambda_return(ends, term, rew, boot, disc, config.repl_loss.lam)
  norms = {**norms, **model.valnorm.update(norms, target)}
  voffset, vscale = model.valnorm.stats(norms)
  target = (target - voffset) / vscale
  target = jnp.concatenate([target, jnp.zeros_like(target[:, :1])], 1)
  cost = losses.critic_loss(value, target, slow, config.repl_loss.slowreg)
  return (~ends[:, :-1]).astype(jnp.float32) * cost[:, :-1], norms


def dream(
  model: Model, start: Dict, length: int, key: jax.Array | None
) -> tuple[jax.Array, Dict]:
  """Roll the policy out in the world model.

  Args:
    start: deter (N, D), stoch (N, S, C).

  Returns:
    Features (length + 1, N, F), the start included, and the actions
    (length, N, ...) taken in the first `length` states.
  """
  keys = None if key is None else internal.split(key, length)

  def step(carry: Dict, key: jax.Array | None) -> tuple[Dict, tuple]:
    key1, key2 = internal.split(key, 2)
    x = model.tensor(carry)
    policy = model.pol(sg(x))
    akeys = internal.split(key1, len(policy))
    act = {k: v.sample(akeys[i]) for i, (k, v) in enumerate(policy.items())}
    action = model.dyn.embed(act, model.dtype)
    carry, _ = model.dyn.predict(carry, action, key2)
    return carry, (x, act)

  last, (x, act) = internal.scan(step, start, keys, length=length)
  x = jnp.concatenate([x, model.tensor(last)[None]], 0)
  return x, act


def frozen_dream(
  model: Model, start: Dict, length: int, key: jax.Array | None
) -> tuple[jax.Array, Dict]:
  """`dream` without gradients to anything."""
  return internal.frozen(dream, model, sg(start), length, key)


def _norms() -> Dict:
  """Statistics in the context, by name."""
  return {
    k: v
    for k, v in nj.context().items()
    if k.startswith(('retnorm/', 'valnorm/', 'advnorm/'))
  }


def _normed(
  model: Model, ret: jax.Array, base: jax.Array
) -> tuple[Dict, jax.Array, jax.Array, jax.Array]:
  """Update the statistics and normalise returns (N, H).

  Returns:
    New statistics; advantage, normalised return and critic target (N, H).
  """
  norms = _norms()
  norms |= model.retnorm.update(norms, ret)
  roffset, rscale = model.retnorm.stats(norms)
  adv = (ret - base[:, :-1]) / rscale
  norms |= model.advnorm.update(norms, adv)
  aoffset, ascale = model.advnorm.stats(norms)
  norms |= model.valnorm.update(norms, ret)
  voffset, vscale = model.valnorm.stats(norms)
  return (
    norms,
    (adv - aoffset) / ascale,
    (ret - roffset) / rscale,
    (ret - voffset) / vscale,
  )


def _entropies(policy: dict[str, outs.Output], ents: Dict) -> Dict:
  """ent/<key> [nats], and rand/<key>, its place between least and most."""
  metrics = {}
  for key, ent in ents.items():
    lo, hi = policy[key].entropy_range()
    metrics[f'ent/{key}'] = ent.mean()
    metrics[f'rand/{key}'] = (ent.mean() - lo) / (hi - lo)
  return metrics
