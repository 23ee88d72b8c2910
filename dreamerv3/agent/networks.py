"""What the agent consists of: networks, optimizer, statistics, their state.

For `Model` in agent.py, which puts them to work (arXiv:2301.04104).

  state = Networks(obs_space, act_space, config).init(seed=0)
"""

from __future__ import annotations

import re
from typing import Any

import elements
import jax
import jax.numpy as jnp
import numpy as np

from dreamerv3.agent.decoder import Decoder
from dreamerv3.agent.encoder import Encoder, Spaces, inputs
from dreamerv3.agent.latents import Carry, tensor
from dreamerv3.agent.losses import Norms
from dreamerv3.agent.rssm import RSSM
from embodied.jax import init
from embodied.jax.heads import DictHead, Head
from embodied.jax.normalize import Normalizer
from embodied.jax.opt import Optimizer, slow_copy

TRAINED = re.compile(r'^(enc|dyn|dec|rew|con|pol|val)/')


class Networks:
  """All parts by name, as in checkpoints, and the state that they need.

  State is one flat dict: trained parameters, the slow critic, the return
  statistics and the optimizer.
  """

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
    self.priority = _priority(config, self.spaces)
    self.scales = _scales(config, self.spaces)
    parts = (('dyn', 'rssm'), ('enc', 'simple'), ('dec', 'simple'))
    for part, typ in parts:
      if config[part].typ != typ:
        raise ValueError(f'agent.{part}.typ {config[part].typ!r}: expected {typ!r}')
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
    self.norms = Norms(
      ret=Normalizer('retnorm', **config.retnorm),
      val=Normalizer('valnorm', **config.valnorm),
      adv=Normalizer('advnorm', **config.advnorm),
    )

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
      k: np.broadcast_to(zero, shape) for k, (_, shape) in self.recipes().items()
    }
    made = jax.eval_shape(lambda: self.complete(params))
    return {k: made[k] for k in sorted(made)}

  def complete(self, params: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Add slow critic, statistics and optimizer state to drawn networks."""
    state = dict(params)
    trained = {k: v for k, v in params.items() if TRAINED.match(k)}
    slow_copy(state, 'val', 'slowval')
    for norm in self.norms:
      state.update(norm.init())
    state.update(self.opt.init(trained))
    return state

  def _touch(self) -> None:
    """Run every network once, so that its parameters exist."""
    obs = {k: jnp.zeros((1, 1, *v.shape), v.dtype) for k, v in self.spaces.items()}
    act = {k: jnp.zeros((1, 1, *v.shape), v.dtype) for k, v in self.act_space.items()}
    tokens = self.enc(obs, 2, self.dtype)
    carry = self.dyn.initial(1, self.dtype)
    first = jnp.ones((1, 1), bool)
    _, feat = self.dyn.observe(carry, tokens, act, first, None)
    self.dyn.prior(feat.deter)
    self.dec(feat)
    x = tensor(feat)
    for head in (self.rew, self.con, self.pol, self.val):
      head(x)

  def init_carry(self, batch: int) -> Carry:
    """Carry of policy, train and report: latents and the last action."""
    act = {k: jnp.zeros((batch, *v.shape), v.dtype) for k, v in self.act_space.items()}
    return Carry(self.dyn.initial(batch, self.dtype), act)


def _head(config: elements.Config, name: str) -> Any:
  options = {k: v for k, v in config.items() if k != 'output'}
  return Head(config.output, **options, name=name)


def _scales(config: elements.Config, spaces: Spaces) -> dict[str, float]:
  """The weight of each loss in the total."""
  scales = {**config.loss_scales}
  rec = scales.pop('rec')
  if not config.repval_loss:
    del scales['repval']
  return scales | dict.fromkeys(spaces, rec)


def _priority(config: elements.Config, spaces: Spaces) -> dict[str, float]:
  """The losses, with their weights, whose sum is the priority of a step."""
  names = ('rew', 'con', 'dyn', 'rep')
  terms = dict.fromkeys(spaces, config.loss_scales.rec)
  terms |= {k: config.loss_scales[k] for k in names}
  signal = config.get('priosignal', '')
  if signal in ('', 'model'):
    return terms if signal else {}
  if signal not in terms:
    raise ValueError(
      f'replay.priosignal {signal!r}: expected model or a loss of the world '
      f'model, {", ".join(terms)}'
    )
  return {signal: 1.0}
