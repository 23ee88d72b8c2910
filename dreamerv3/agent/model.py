"""DreamerV3: world model, actor and critic, wired together.

The mathematics, as pure functions of a flat dict of parameters
(arXiv:2301.04104). What the training loop talks to is in agent.py.

  state = Model(obs_space, act_space, config).init(seed=0)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ninjax as nj

from dreamerv3.agent import imagination, losses, report
from dreamerv3.agent.latents import Arrays, Carry, Feat, Latent, State, classes, tensor
from dreamerv3.agent.networks import TRAINED, Networks
from embodied.jax import internal, shards, utils
from embodied.jax.opt import slow_update

sg = jax.lax.stop_gradient
_FLAGS = ('reward', 'is_first', 'is_last', 'is_terminal')
Metrics = dict[str, jax.Array]


class Context(NamedTuple):
  """A batch to learn from.

  Attributes:
    start: state before the first step (B, ...).
    obs: observations (B, T, ...).
    prevact: action before each observation (B, T, ...).
    stepid: where each step lies in the replay, or None.
  """

  start: Latent
  obs: Arrays
  prevact: Arrays
  stepid: jax.Array | None = None


class WorldTerms(NamedTuple):
  """What the world model finds in a batch.

  Attributes:
    last: latents after the last step (B, ...).
    feat: posterior (B, T, ...).
    terms: its losses, each (B, T).
    metrics: scalars by name.
  """

  last: Latent
  feat: Feat
  terms: dict[str, jax.Array]
  metrics: Metrics


class Aux(NamedTuple):
  """What the loss finds besides its value.

  Attributes:
    last: latents after the last step (B, ...).
    feat: posterior (B, T, ...).
    terms: each loss before the mean, (B, T) or shorter in time.
    stats: new statistics of the normalisers.
    metrics: scalars by name.
  """

  last: Latent
  feat: Feat
  terms: dict[str, jax.Array]
  stats: State
  metrics: Metrics


class Model(Networks):
  """The networks at work; methods read parameters of a ninjax context."""

  policy_regex = r'^(enc|dyn|pol)/'

  # Acting

  def policy(
    self,
    carry: Carry,
    obs: Arrays,
    key: jax.Array | None,
    greedy: bool = False,
  ) -> tuple[Carry, Arrays, Arrays]:
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
    latent, feat = self.dyn.observe_step(
      carry.latent, tokens, carry.prevact, obs['is_first'], key1
    )
    policy = self.pol(tensor(feat))
    keys = internal.split(None if greedy else key2, len(policy))
    act = {
      k: v.sample(keys[i]).astype(self.act_space[k].dtype)
      for i, (k, v) in enumerate(policy.items())
    }
    return Carry(latent, act), act, stored(latent)

  # Learning

  def train(
    self, state: State, carry: Carry, data: Arrays, key: jax.Array | None
  ) -> tuple[State, Carry, dict[str, Any], Metrics]:
    """One update: all losses, one optimizer step, slow critic.

    Returns:
      state, carry, outs (what to write back to the replay), metrics.
    """
    batch = self.context(carry, data)
    state, aux, metrics = self.update(state, batch, key)
    carry = Carry(aux.last, {k: data[k][:, -1] for k in self.act_space})
    return state, carry, self.outs(aux, batch.stepid), metrics

  def outs(self, aux: Aux, stepid: jax.Array | None) -> dict[str, Any]:
    """For the replay: latents to start from, priorities, each (B, T, ...).

    Of stoch the classes (B, T, S), as the replay keeps them: the fewest bytes.
    """
    found: dict[str, Any] = {}
    if self.config.replay_context:
      found = stored(aux.feat)
      found['dyn/stoch'] = classes(aux.feat.stoch)
    if self.priority:
      found['priority'] = sum(aux.terms[k] * v for k, v in self.priority.items())
    if not found or stepid is None:
      return {}
    return {'replay': {'stepid': stepid, **found}}

  def update(
    self, state: State, batch: Context, key: jax.Array | None
  ) -> tuple[State, Aux, Metrics]:
    """One optimizer step on the loss of a batch, then the slow critic."""
    trained = {k: v for k, v in state.items() if TRAINED.match(k)}
    opt = {k: v for k, v in state.items() if k.startswith('opt/')}
    rest = {k: v for k, v in state.items() if not (k in trained or k in opt)}

    def loss(trained: State) -> tuple[jax.Array, Aux]:
      _, out = nj.pure(self.loss)({**trained, **rest}, batch, key, modify=False)
      return out

    (total, aux), grads = jax.value_and_grad(loss, has_aux=True)(trained)
    grads, metrics = shards.mean((grads, {**aux.metrics, 'opt/loss': total}))
    trained, opt, mets = self.opt.update(trained, grads, opt)
    metrics.update(mets)
    new = {**state, **trained, **opt, **aux.stats}
    slow = self.config.slowvalue
    new |= slow_update(new, 'val', 'slowval', slow.rate, slow.every)
    return new, aux, metrics

  def needed(self, data: Arrays) -> dict[str, jax.Array]:
    """What `context` reads of a batch: of stored latents, the first K steps.

    Latents are most of a batch's bytes, and of K + T steps T need no copy.
    """
    K = self.config.replay_context
    latent = tuple(f'dyn/{k}' for k in Latent._fields)
    return {
      k: v[:, :K] if k in latent else v for k, v in data.items() if K or k not in latent
    }

  def context(self, carry: Carry, data: Arrays) -> Context:
    """Cut the replay context off a batch and find the state to start from.

    With context K, the first K steps only give a start: at the first chunk of
    a sequence (consec 0) the latents stored at step K-1, later the carry.

    Args:
      carry: as from init_carry, or from the chunk before.
      data: (B, K + T, ...) per key; latents may be (B, K, ...).
    """
    obs = {k: data[k] for k in (*self.spaces, *_FLAGS) if k in data}
    stepid = data.get('stepid')
    prevact = {
      k: jnp.concatenate([carry.prevact[k][:, None], data[k][:, :-1]], 1)
      for k in self.act_space
    }
    K = self.config.replay_context
    if not K:
      return Context(carry.latent, obs, prevact, stepid)
    before = Latent(
      *(data[f'dyn/{k}'][:, K - 1].astype(self.dtype) for k in Latent._fields)
    )
    start = utils.where(data['consec'][:, 0] == 0, before, carry.latent)
    rest = jax.tree.map(lambda x: x[:, K:], (obs, prevact, stepid))
    return Context(start, *rest)

  def loss(self, batch: Context, key: jax.Array | None) -> tuple[jax.Array, Aux]:
    """The training loss on a batch of sequences.

    Returns:
      Total loss and what else the pass has found. Metrics hold each loss as
      loss/<name>, its mean.
    """
    key1, key2 = internal.split(key, 2)
    world = self.world_loss(batch, key1)
    terms, metrics = {**world.terms}, {**world.metrics}
    B, T = batch.obs['is_last'].shape
    last = min(self.config.imag_last or T, T)
    dreamt = self.imagine(world.feat, last, key2)
    disc = 1.0 if self.config.contdisc else 1 - 1 / self.config.horizon
    found = losses.imagination(
      dreamt, self.stats(), self.norms, disc=disc, **self.config.imag_loss
    )
    terms['policy'] = found.policy.reshape((B, last))
    terms['value'] = found.value.reshape((B, last))
    metrics.update(found.metrics)
    stats = found.stats
    if self.config.repval_loss:
      v_t = found.ret[:, 0].reshape((B, last))
      terms['repval'], stats = self.replay_loss(world.feat, batch.obs, v_t, stats)
    assert terms.keys() == self.scales.keys(), (sorted(terms), sorted(self.scales))
    means = {k: v.mean() for k, v in terms.items()}
    metrics.update({f'loss/{k}': v for k, v in means.items()})
    total = jnp.asarray(sum(v * self.scales[k] for k, v in means.items()))
    assert total.shape == (), total.shape
    return total, Aux(world.last, world.feat, terms, stats, metrics)

  def world_loss(self, batch: Context, key: jax.Array | None) -> WorldTerms:
    """Reconstruction, KL, reward and continuation, each (B, T)."""
    config, obs = self.config, batch.obs
    tokens = self.enc(obs, 2, self.dtype)
    reset = obs['is_first']
    last, feat = self.dyn.observe(batch.start, tokens, batch.prevact, reset, key)
    terms, metrics = self.dyn.loss(feat)
    for name, recon in self.dec(feat).items():
      target = obs[name]
      if len(self.spaces[name].shape) == 3:
        target = target.astype(jnp.float32) / 255
      terms[name] = recon.loss(target)
    x = tensor(feat)
    read = x if config.reward_grad else sg(x)
    terms['rew'] = self.rew(read).loss(obs['reward'])
    live = (~obs['is_terminal']).astype(jnp.float32)
    if config.contdisc:
      live = live * (1 - 1 / config.horizon)
    terms['con'] = self.con(x).loss(live)
    shapes = {k: v.shape for k, v in terms.items()}
    assert all(x == reset.shape for x in shapes.values()), (reset.shape, shapes)
    return WorldTerms(last, feat, terms, metrics)

  def imagine(self, feat: Feat, last: int, key: jax.Array | None) -> losses.Dreamt:
    """Dreams from the last `last` steps of each sequence, read by all heads."""
    H = self.config.imag_length
    start = jax.tree.map(
      lambda x: x[:, -last:].reshape((-1, *x.shape[2:])), feat.latent
    )
    made = internal.frozen(self.dream, sg(start), H, key)
    x, act = sg(made[0]), made[1]  # (H + 1, N, F), (H, N, ...)
    if self.config.ac_grads:  # of the real states; imagined ones never learn from it
      x = jnp.concatenate([tensor(start)[None], x[1:]], 0)

    def read(x: jax.Array) -> tuple[jax.Array, ...]:
      return self.rew(x).pred(), self.con(x).prob(), self.slowval(x).pred()

    r_t, c_t, slow_t = internal.frozen(read, sg(x))
    return losses.Dreamt(r_t, c_t, slow_t, self.val(x), self.pol(x[:-1]), act)

  def replay_loss(
    self, feat: Feat, obs: Arrays, v_t: jax.Array, stats: State
  ) -> losses.CriticLoss:
    """The critic on the last steps of each sequence, values v_t (B, last)."""
    config, last = self.config, v_t.shape[1]
    x = tensor(jax.tree.map(lambda x: x[:, -last:], feat))
    x = x if config.repval_grad else sg(x)
    slow_t = internal.frozen(lambda x: self.slowval(x).pred(), sg(x))
    keys = ('reward', 'is_last', 'is_terminal')
    relived = losses.Relived(
      self.val(x), slow_t, v_t, *(obs[k][:, -last:] for k in keys)
    )
    disc, settings = 1 - 1 / config.horizon, config.repl_loss
    return losses.replay_critic(
      relived,
      stats,
      self.norms.val,
      disc=disc,
      lam=settings.lam,
      slowreg=settings.slowreg,
    )

  def stats(self) -> State:
    """Statistics of the normalisers in the context, by name."""
    names = tuple(f'{x.name}/' for x in self.norms)
    return {k: v for k, v in nj.context().items() if k.startswith(names)}

  def dream(
    self, start: Latent, length: int, key: jax.Array | None
  ) -> tuple[jax.Array, Arrays]:
    """Roll the policy out in the world model, see `imagination.dream`."""
    return imagination.dream(self.dyn, self.pol, start, length, key)

  # Reports

  def report(
    self, state: State, carry: Carry, data: Arrays, key: jax.Array | None
  ) -> tuple[Carry, Metrics]:
    """Losses on a batch without learning, and open-loop reconstructions."""
    batch = self.context(carry, data)
    key1, key2 = internal.split(key, 2)

    def loss(state: State) -> Aux:
      return nj.pure(self.loss)(state, batch, key1, modify=False)[1][1]

    aux = loss(state)
    metrics = dict(shards.mean(aux.metrics))
    if self.config.report_gradnorms:
      metrics.update(report.grad_norms(lambda x: loss(x).metrics, state))
    _, videos = nj.pure(report.openloop)(
      state, self, batch.start, batch.obs, batch.prevact, key2, modify=False
    )
    metrics.update(videos)
    return Carry(aux.last, {k: data[k][:, -1] for k in self.act_space}), metrics


def stored(x: Latent | Feat) -> dict[str, jax.Array]:
  """Latents as the replay holds them."""
  return {f'dyn/{k}': getattr(x, k) for k in Latent._fields}
