"""DreamerV3: world model, actor and critic, wired together.

`Model` is the mathematics, pure functions of a flat dict of parameters;
`Agent` is what the training loop talks to (arXiv:2301.04104).

  agent = Agent(obs_space, act_space, config)
  carry, act, out = agent.policy(agent.init_policy(16), obs)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import elements
import jax
import jax.numpy as jnp
import ninjax as nj

from dreamerv3.agent import imagination, report
from dreamerv3.agent.networks import TRAINED, Networks
from embodied.jax import internal, shards, utils
from embodied.jax.agent import JaxAgent
from embodied.jax.devices import bring_up
from embodied.jax.opt import slow_update

sg = jax.lax.stop_gradient
Dict = dict[str, Any]


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


class Model(Networks):
  """The networks at work; methods read parameters of a ninjax context."""

  policy_regex = r'^(enc|dyn|pol)/'

  # Acting

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
      state, carry, outs (what to write back to the replay), metrics.
    """
    start, obs, prevact, stepid = self.context(carry, data)
    state, aux, metrics = self.update(state, start, obs, prevact, key)
    last = {k: data[k][:, -1] for k in self.act_space}
    carry = dict(dyn=aux.last, prevact=last)
    return state, carry, self.outs(aux, stepid), metrics

  def outs(self, aux: Aux, stepid: jax.Array | None) -> Dict:
    """For the replay: latents to start from, priorities, each (B, T, ...)."""
    found = {}
    if self.config.replay_context:
      found = {f'dyn/{k}': aux.feat[k] for k in ('deter', 'stoch')}
    if self.priority:
      found['priority'] = sum(aux.terms[k] * v for k, v in self.priority.items())
    if not found or stepid is None:
      return {}
    return {'replay': {'stepid': stepid, **found}}

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
    grads, metrics = shards.mean((grads, {**aux.metrics, 'opt/loss': total}))
    trained, opt, mets = self.opt.update(trained, grads, opt)
    metrics.update(mets)
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
      k: data[f'dyn/{k}'][:, K - 1].astype(self.dtype) for k in ('deter', 'stoch')
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
    steps = obs['is_last'].shape[1]
    last = min(self.config.imag_last or steps, steps)
    terms2, ret, norms, mets = imagination.imag_loss(self, feat, last, key2)
    terms.update(terms2)
    metrics.update(mets)
    if self.config.repval_loss:
      terms['repval'], norms = imagination.replay_loss(
        self, feat, obs, ret, last, norms
      )
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

  def dream(
    self, start: Dict, length: int, key: jax.Array | None
  ) -> tuple[jax.Array, Dict]:
    """Roll the policy out in the world model, see `imagination.dream`."""
    return imagination.dream(self, start, length, key)

  # Reports

  def report(
    self, state: Dict, carry: Dict, data: Dict, key: jax.Array | None
  ) -> tuple[Dict, Dict]:
    """Losses on a batch without learning, and open-loop reconstructions."""
    start, obs, prevact, _ = self.context(carry, data)
    key1, key2 = internal.split(key, 2)
    _, (_, aux) = nj.pure(self.loss)(state, start, obs, prevact, key1, modify=False)
    metrics = dict(shards.mean(aux.metrics))
    if self.config.report_gradnorms:
      metrics.update(report.grad_norms(self, state, start, obs, prevact, key1))
    _, videos = nj.pure(report.openloop)(
      state, self, start, obs, prevact, key2, modify=False
    )
    metrics.update(videos)
    last = {k: data[k][:, -1] for k in self.act_space}
    return dict(dyn=aux.last, prevact=last), metrics


_FLAGS = ('reward', 'is_first', 'is_last', 'is_terminal')


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
    obs_space, act_space = _seen(obs_space), _chosen(act_space)

    def make(dtype: jnp.dtype) -> Model:
      return Model(obs_space, act_space, config, dtype)

    super().__init__(make, obs_space, act_space, config)


def plan(
  obs_space: dict[str, elements.Space],
  act_space: dict[str, elements.Space],
  config: elements.Config,
) -> tuple[str, dict[str, jax.ShapeDtypeStruct]]:
  """What an `Agent` of the same arguments would be, without its memory.

  Returns:
    Backend, 'cpu' or 'gpu'; names, shapes and dtypes of the state.

  Raises:
    ValueError: there can be no such agent.
  """
  devices = bring_up(config)
  spaces = _seen(obs_space), _chosen(act_space)
  return devices.backend, Model(*spaces, config, devices.dtype).shapes()


def _seen(space: dict[str, elements.Space]) -> dict[str, elements.Space]:
  return {k: v for k, v in space.items() if not k.startswith('log/')}


def _chosen(space: dict[str, elements.Space]) -> dict[str, elements.Space]:
  return {k: v for k, v in space.items() if k != 'reset'}
