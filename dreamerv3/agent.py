"""DreamerV3: world model, actor and critic, wired together.

`Model` is the mathematics, pure functions of a flat dict of parameters;
`Agent` is what the training loop talks to (arXiv:2301.04104).

  agent = Agent(obs_space, act_space, config)
  carry, act, out = agent.policy(agent.init_policy(16), obs)
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import elements
import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np

from dreamerv3 import losses, report
from dreamerv3.decoder import Decoder
from dreamerv3.encoder import Encoder, inputs
from dreamerv3.rssm import RSSM
from embodied.jax import init, internal, outs, utils
from embodied.jax.agent import JaxAgent
from embodied.jax.heads import DictHead, Head
from embodied.jax.normalize import Normalizer
from embodied.jax.opt import Optimizer, slow_copy, slow_update

sg = jax.lax.stop_gradient
Dict = dict[str, Any]

TRAINED = re.compile(r'^(enc|dyn|dec|rew|con|pol|val)/')


class Aux(NamedTuple):
  """What the loss finds besides its value.

  Attributes:
    last: latents after the last step (B, ...).
    feat: posterior deter, stoch, logit (B, T, ...).
    terms: each loss before the mean, (B, T) or shorter in time.
    norms: new statistics of the normalisers.
    metrics: scalars by name.
  """

  last: Dict
  feat: Dict
  terms: Dict
  norms: Dict
  metrics: Dict


class Model:
  """The networks and losses; methods read parameters of a ninjax context.

  State is one flat dict: trained parameters, the slow critic, the return
  statistics and the optimizer, named as in checkpoints.
  """

  policy_regex = r'^(enc|dyn|pol)/'

  def __init__(
    self,
    obs_space: dict[str, elements.Space],
    act_space: dict[str, elements.Space],
    config: elements.Config,
    dtype: jnp.dtype = jnp.float32,
  ):
    self.config, self.dtype = config, dtype
    self.obs_space, self.act_space = obs_space, act_space
    self.spaces = inputs(obs_space)
    parts = (('dyn', 'rssm'), ('enc', 'simple'), ('dec', 'simple'))
    for part, typ in parts:
      if config[part].typ != typ:
        raise ValueError(
          f'agent.{part}.typ {config[part].typ!r}: expected {typ!r}'
        )
    # ninjax's metaclass takes the name, which mypy cannot see.
    enc: Any = Encoder
    dyn: Any = RSSM
    dec: Any = Decoder
    self.enc = enc(self.spaces, **config.enc.simple, name='enc')
    self.dyn = dyn(act_space, **config.dyn.rssm, name='dyn')
    self.dec = dec(self.spaces, **config.dec.simple, name='dec')
    self.rew = _head(config.rewhead, 'rew')
    self.con = _head(config.conhead, 'con')
    self.val = _head(config.value, 'val')
    self.slowval = _head(config.value, 'slowval')
    dists = {
      k: config.policy_dist_disc if v.discrete else config.policy_dist_cont
      for k, v in act_space.items()
    }
    self.pol = DictHead(act_space, dists, **config.policy, name='pol')
    self.opt = Optimizer(**config.opt)
    self.retnorm = Normalizer('retnorm', **config.retnorm)
    self.valnorm = Normalizer('valnorm', **config.valnorm)
    self.advnorm = Normalizer('advnorm', **config.advnorm)

  # State

  def recipes(self) -> dict[str, tuple[init.Recipe, tuple[int, ...]]]:
    """How each network parameter is drawn, without drawing it."""
    return init.record(self._touch)

  def init(self, seed: int) -> dict[str, np.ndarray]:
    """All state, drawn on the host."""
    return self.complete(init.draw(self.recipes(), seed))

  def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
    """Names, shapes and dtypes of all state, at no cost in memory."""
    zero = np.zeros((), np.float32)
    params = {
      k: np.broadcast_to(zero, shape)
      for k, (_, shape) in self.recipes().items()
    }
    made = jax.eval_shape(lambda: self.complete(params))
    return {k: made[k] for k in sorted(made)}

  def complete(self, params: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Add slow critic, statistics and optimizer state to drawn networks."""
    state = dict(params)
    trained = {k: v for k, v in params.items() if TRAINED.match(k)}
    slow_copy(state, 'val', 'slowval')
    for norm in (self.retnorm, self.valnorm, self.advnorm):
      state.update(norm.init())
    state.update(self.opt.init(trained))
    return state

  def _touch(self) -> None:
    """Run every network once, so that its parameters exist."""
    obs = {
      k: jnp.zeros((1, 1, *v.shape), v.dtype) for k, v in self.spaces.items()
    }
    act = {
      k: jnp.zeros((1, 1, *v.shape), v.dtype) for k, v in self.act_space.items()
    }
    tokens = self.enc(obs, 2, self.dtype)
    carry = self.dyn.initial(1, self.dtype)
    first = jnp.ones((1, 1), bool)
    _, feat = self.dyn.observe(carry, tokens, act, first, None)
    self.dyn.prior(feat['deter'])
    self.dec(feat)
    x = self.tensor(feat)
    for head in (self.rew, self.con, self.pol, self.val):
      head(x)

  # Acting

  def init_carry(self, batch: int) -> Dict:
    """Carry of policy, train and report: latents and the last action."""
    act = {
      k: jnp.zeros((batch, *v.shape), v.dtype)
      for k, v in self.act_space.items()
    }
    return dict(dyn=self.dyn.initial(batch, self.dtype), prevact=act)

  def policy(
    self,
    carry: Dict,
    obs: Dict,
    key: jax.Array | None,
    greedy: bool = False,
  ) -> tuple[Dict, Dict, Dict]:
    """Filter one observation and choose actions.

    Args:
      carry: as from init_carry.
      obs: (B, ...) per key.
      key: one key, or one per row (B,), or None for modes everywhere.
      greedy: take the most likely action; latents are still sampled.

    Returns:
      carry, act (B, ...) per key, out: dyn/deter and dyn/stoch to store.
    """
    key1, key2 = internal.split(key, 2)
    tokens = self.enc(obs, 1, self.dtype)
    dyn, feat = self.dyn.observe_step(
      carry['dyn'], tokens, carry['prevact'], obs['is_first'], key1
    )
    policy = self.pol(self.tensor(feat))
    keys = internal.split(None if greedy else key2, len(policy))
    act = {
      k: v.sample(keys[i]).astype(self.act_space[k].dtype)
      for i, (k, v) in enumerate(policy.items())
    }
    out = {f'dyn/{k}': dyn[k] for k in ('deter', 'stoch')}
    return dict(dyn=dyn, prevact=act), act, out

  def tensor(self, feat: Dict) -> jax.Array:
    """What the heads read: [deter, flat stoch] (..., D + S C)."""
    stoch = feat['stoch'].reshape((*feat['stoch'].shape[:-2], -1))
    return jnp.concatenate([feat['deter'], stoch], -1)

  # Learning

  def train_step(
    self, state: Dict, carry: Dict, data: Dict, seeds: jax.Array
  ) -> tuple[Dict, Dict, Dict, Dict]:
    """`train` with a pair of uint32 as seed."""
    return self.train(state, carry, data, internal.keys_from_seeds(seeds))

  def report_step(
    self, state: Dict, carry: Dict, data: Dict, seeds: jax.Array
  ) -> tuple[Dict, Dict]:
    """`report` with a pair of uint32 as seed."""
    return self.report(state, carry, data, internal.keys_from_seeds(seeds))

  def train(
    self, state: Dict, carry: Dict, data: Dict, key: jax.Array | None
  ) -> tuple[Dict, Dict, Dict, Dict]:
    """One update: all losses, one optimizer step, slow critic.

    Returns:
      state, carry, outs (the latents to write back to the replay), metrics.
    """
    start, obs, prevact, stepid = self.context(carry, data)
    state, aux, metrics = self.update(state, start, obs, prevact, key)
    outs = {'stepid': stepid} if stepid is not None else {}
    outs |= {f'dyn/{k}': aux.feat[k] for k in ('deter', 'stoch')}
    last = {k: data[k][:, -1] for k in self.act_space}
    carry = dict(dyn=aux.last, prevact=last)
    return state, carry, {'replay': outs}, metrics

  def update(
    self,
    state: Dict,
    start: Dict,
    obs: Dict,
    prevact: Dict,
    key: jax.Array | None,
  ) -> tuple[Dict, Aux, Dict]:
    """One optimizer step on the loss of a batch, then the slow critic."""
    trained = {k: v for k, v in state.items() if TRAINED.match(k)}
    opt = {k: v for k, v in state.items() if k.startswith('opt/')}
    rest = {k: v for k, v in state.items() if not (k in trained or k in opt)}

    def loss(trained: Dict) -> tuple[jax.Array, Aux]:
      _, out = nj.pure(self.loss)(
        {**trained, **rest}, start, obs, prevact, key, modify=False
      )
      return out

    (total, aux), grads = jax.value_and_grad(loss, has_aux=True)(trained)
    trained, opt, mets = self.opt.update(trained, grads, opt)
    metrics = {**aux.metrics, **mets, 'opt/loss': total}
    state = {**state, **trained, **opt, **aux.norms}
    slow = self.config.slowvalue
    state |= slow_update(state, 'val', 'slowval', slow.rate, slow.every)
    return state, aux, metrics

  def context(
    self, carry: Dict, data: Dict
  ) -> tuple[Dict, Dict, Dict, jax.Array | None]:
    """Cut the replay context off a batch and find the state to start from.

    With context K, the first K steps only give a start: at the first chunk of
    a sequence (consec 0) the latents stored at step K-1, later the carry.

    Args:
      data: (B, K + T, ...) per key.

    Returns:
      State before the first step; observations, actions before each of them,
      and step ids, all (B, T, ...).
    """
    obs = {k: data[k] for k in (*self.spaces, *_FLAGS) if k in data}
    acts = {k: data[k] for k in self.act_space}
    stepid = data.get('stepid')
    prevact = {
      k: jnp.concatenate([carry['prevact'][k][:, None], v[:, :-1]], 1)
      for k, v in acts.items()
    }
    K = self.config.replay_context
    if not K:
      return carry['dyn'], obs, prevact, stepid
    stored = {
      k: data[f'dyn/{k}'][:, K - 1].astype(self.dtype)
      for k in ('deter', 'stoch')
    }
    first = data['consec'][:, 0] == 0
    start = utils.where(first, stored, carry['dyn'])
    cut = {k: v[:, K:] for k, v in prevact.items()}
    obs = {k: v[:, K:] for k, v in obs.items()}
    return start, obs, cut, None if stepid is None else stepid[:, K:]

  def loss(
    self,
    start: Dict,
    obs: Dict,
    prevact: Dict,
    key: jax.Array | None,
  ) -> tuple[jax.Array, Aux]:
    """The training loss on a batch of sequences.

    Args:
      start: latent state before the first step (B, ...).
      obs: observations (B, T, ...), prevact: the action before each.

    Returns:
      Total loss and what else the pass has found. Metrics hold each loss as
      loss/<name>, its mean.
    """
    key1, key2 = internal.split(key, 2)
    dyn, feat, terms, metrics = self.world_loss(start, obs, prevact, key1)
    last = self.config.imag_last or obs['is_last'].shape[1]
    terms2, ret, norms, mets = self.imag_loss(feat, last, key2)
    terms.update(terms2)
    metrics.update(mets)
    if self.config.repval_loss:
      terms['repval'] = self.replay_loss(feat, obs, ret, last)
    scales = {**self.config.loss_scales}
    scales.update({k: scales['rec'] for k in self.spaces})
    means = {k: v.mean() for k, v in terms.items()}
    metrics.update({f'loss/{k}': v for k, v in means.items()})
    total = sum(v * scales[k] for k, v in means.items())
    return total, Aux(dyn, feat, terms, norms, metrics)

  def world_loss(
    self,
    start: Dict,
    obs: Dict,
    prevact: Dict,
    key: jax.Array | None,
  ) -> tuple[Dict, Dict, Dict, Dict]:
    """Reconstruction, KL, reward and continuation, each (B, T)."""
    config = self.config
    tokens = self.enc(obs, 2, self.dtype)
    dyn, feat = self.dyn.observe(start, tokens, prevact, obs['is_first'], key)
    terms, metrics = self.dyn.loss(feat)
    for name, recon in self.dec(feat).items():
      target = obs[name]
      if len(self.spaces[name].shape) == 3:
        target = target.astype(jnp.float32) / 255
      terms[name] = recon.loss(target)
    x = self.tensor(feat)
    read = x if config.reward_grad else sg(x)
    terms['rew'] = self.rew(read).loss(obs['reward'])
    live = (~obs['is_terminal']).astype(jnp.float32)
    if config.contdisc:
      live = live * (1 - 1 / config.horizon)
    terms['con'] = self.con(x).loss(live)
    return dyn, feat, terms, metrics

  def imag_loss(
    self, feat: Dict, last: int, key: jax.Array | None
  ) -> tuple[Dict, jax.Array, Dict, Dict]:
    """Actor and critic on rollouts of the policy in the world model.

    Args:
      feat: posterior features (B, T, ...); rollouts start from the last
        `last` steps of each sequence.

    Returns:
      Losses policy and value (B, last), returns (B, last, H), new
      statistics, metrics.
    """
    config, H = self.config, self.config.imag_length
    start = {
      k: feat[k][:, -last:].reshape((-1, *feat[k].shape[2:]))
      for k in ('deter', 'stoch')
    }
    call = self.dream if config.ac_grads else self.frozen_dream
    x, act = call(start, H, key)  # (H + 1, N, F), (H, N, ...)
    x = x if config.ac_grads else sg(x)
    disc = 1.0 if config.contdisc else 1 - 1 / config.horizon

    def read(x: jax.Array) -> tuple:
      return self.rew(x).pred(), self.con(x).prob(), self.slowval(x).pred()

    rew, con, slow = (v.T for v in internal.frozen(read, x))
    value, policy = self.val(x), self.pol(x[:-1])
    voffset, vscale = self.valnorm.stats(self._norms())
    val = value.pred().T * vscale + voffset
    slow = slow * vscale + voffset
    boot = slow if config.imag_loss.slowtar else val
    ret = losses.imag_return(rew, con, sg(boot), config.imag_loss.lam, disc)
    weight = losses.survival(con, disc)
    norms, adv, ret_normed, target = self._normed(ret, sg(boot))
    loss, ents = losses.actor_loss(policy, act, adv.T, config.imag_loss.actent)
    weights = sg(weight[:, :-1])
    slow_target = (slow - voffset) / vscale
    padded = jnp.concatenate([target, jnp.zeros_like(target[:, :1])], 1)
    cost = losses.critic_loss(
      value, padded.T, slow_target.T, config.imag_loss.slowreg
    )
    B = feat['deter'].shape[0]
    terms = {
      'policy': (weights * loss.T).mean(1).reshape((B, last)),
      'value': (weights * cost[:-1].T).mean(1).reshape((B, last)),
    }
    metrics = dict(
      adv=adv.mean(), adv_std=adv.std(), adv_mag=jnp.abs(adv).mean(),
      rew=rew.mean(), con=con.mean(), weight=weight.mean(),
      ret=ret_normed.mean(), ret_min=ret_normed.min(),
      ret_max=ret_normed.max(),
      ret_rate=(jnp.abs(ret_normed) >= 1).mean(),
      val=val.mean(), tar=target.mean(), slowval=slow.mean(),
    )  # fmt: skip
    metrics.update(_entropies(policy, ents))
    return terms, ret.reshape((B, last, H)), norms, metrics

  def replay_loss(
    self, feat: Dict, obs: Dict, ret: jax.Array, last: int
  ) -> jax.Array:
    """The critic on replayed states, bootstrapped from imagined returns.

    Returns:
      (B, last - 1).
    """
    config = self.config
    x = self.tensor({k: v[:, -last:] for k, v in feat.items()})
    x = x if config.repval_grad else sg(x)
    ends, term, rew = (
      obs[k][:, -last:] for k in ('is_last', 'is_terminal', 'reward')
    )
    voffset, vscale = self.valnorm.stats(self._norms())
    value = self.val(x)
    slow = internal.frozen(lambda x: self.slowval(x).pred(), sg(x))
    boot = sg(ret[:, :, 0])
    disc = 1 - 1 / config.horizon
    target = losses.lambda_return(
      ends, term, rew, boot, disc, config.repl_loss.lam
    )
    target = (target - voffset) / vscale
    target = jnp.concatenate([target, jnp.zeros_like(target[:, :1])], 1)
    cost = losses.critic_loss(value, target, slow, config.repl_loss.slowreg)
    return (~ends[:, :-1]).astype(jnp.float32) * cost[:, :-1]

  # Imagination

  def dream(
    self, start: Dict, length: int, key: jax.Array | None
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
      x = self.tensor(carry)
      policy = self.pol(sg(x))
      akeys = internal.split(key1, len(policy))
      act = {k: v.sample(akeys[i]) for i, (k, v) in enumerate(policy.items())}
      action = self.dyn.embed(act, self.dtype)
      carry, _ = self.dyn.predict(carry, action, key2)
      return carry, (x, act)

    last, (x, act) = internal.scan(step, start, keys, length=length)
    x = jnp.concatenate([x, self.tensor(last)[None]], 0)
    return x, act

  def frozen_dream(
    self, start: Dict, length: int, key: jax.Array | None
  ) -> tuple[jax.Array, Dict]:
    """`dream` without gradients to anything."""
    return internal.frozen(self.dream, sg(start), length, key)

  def _norms(self) -> Dict:
    """Statistics in the context, by name."""
    return {
      k: v
      for k, v in nj.context().items()
      if k.startswith(('retnorm/', 'valnorm/', 'advnorm/'))
    }

  def _normed(
    self, ret: jax.Array, base: jax.Array
  ) -> tuple[Dict, jax.Array, jax.Array, jax.Array]:
    """Update the statistics and normalise returns (N, H).

    Returns:
      New statistics; advantage, normalised return and critic target (N, H).
    """
    norms = self._norms()
    norms |= self.retnorm.update(norms, ret)
    roffset, rscale = self.retnorm.stats(norms)
    adv = (ret - base[:, :-1]) / rscale
    norms |= self.advnorm.update(norms, adv)
    aoffset, ascale = self.advnorm.stats(norms)
    norms |= self.valnorm.update(norms, ret)
    voffset, vscale = self.valnorm.stats(norms)
    return (
      norms,
      (adv - aoffset) / ascale,
      (ret - roffset) / rscale,
      (ret - voffset) / vscale,
    )

  # Reports

  def report(
    self, state: Dict, carry: Dict, data: Dict, key: jax.Array | None
  ) -> tuple[Dict, Dict]:
    """Losses on a batch without learning, and open-loop reconstructions."""
    start, obs, prevact, _ = self.context(carry, data)
    key1, key2 = internal.split(key, 2)
    _, (_, aux) = nj.pure(self.loss)(
      state, start, obs, prevact, key1, modify=False
    )
    metrics = dict(aux.metrics)
    if self.config.report_gradnorms:
      metrics.update(report.grad_norms(self, state, start, obs, prevact, key1))
    _, videos = nj.pure(report.openloop)(
      state, self, start, obs, prevact, key2, modify=False
    )
    metrics.update(videos)
    last = {k: data[k][:, -1] for k in self.act_space}
    return dict(dyn=aux.last, prevact=last), metrics


_FLAGS = ('reward', 'is_first', 'is_last', 'is_terminal')


def _head(config: elements.Config, name: str) -> Any:
  options = {k: v for k, v in config.items() if k != 'output'}
  return Head(config.output, **options, name=name)


def _entropies(policy: dict[str, outs.Output], ents: Dict) -> Dict:
  """ent/<key> [nats], and rand/<key>, its place between least and most."""
  metrics = {}
  for key, ent in ents.items():
    lo, hi = policy[key].entropy_range()
    metrics[f'ent/{key}'] = ent.mean()
    metrics[f'rand/{key}'] = (ent.mean() - lo) / (hi - lo)
  return metrics


class Agent(JaxAgent):
  """The agent as the training loop sees it.

  Args:
    obs_space, act_space: spaces by key; `log/*` and `reset` are ignored.
    config: the `agent` block of the configuration, and beside it logdir,
      seed, jax, batch_size, batch_length, replay_context, report_length,
      replica, replicas.
  """

  def __init__(
    self,
    obs_space: dict[str, elements.Space],
    act_space: dict[str, elements.Space],
    config: elements.Config,
  ):
    obs_space = {k: v for k, v in obs_space.items() if not k.startswith('log/')}
    act_space = {k: v for k, v in act_space.items() if k != 'reset'}

    def make(dtype: jnp.dtype) -> Model:
      return Model(obs_space, act_space, config, dtype)

    super().__init__(make, obs_space, act_space, config)
