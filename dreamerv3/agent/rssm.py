"""The recurrent state-space model: what the agent believes about the world.

State: `deter` (D), a recurrent vector that predicts, and `stoch` (stoch,
classes), one-hot variables inferred from what is seen (posterior) or from
deter alone (prior). For readers of the world model (arXiv:2301.04104).

  carry, feat = dyn.observe(carry, tokens, actions, resets, key)
"""

import elements
import jax
import jax.numpy as jnp
import ninjax as nj

from dreamerv3.agent import losses
from dreamerv3.agent.latents import Arrays, Feat, Latent
from embodied.jax import internal, outs, utils
from embodied.jax.linear import BlockLinear, Linear, blocks, joined
from embodied.jax.norm import Norm, activation


class RSSM(nj.Module):
  """Recurrent core with block-diagonal gates and categorical latents."""

  deter: int = 4096
  hidden: int = 2048
  stoch: int = 32
  classes: int = 32
  act: str = 'silu'
  norm: str = 'rms'
  unimix: float = 0.01
  outscale: float = 1.0
  winit: str = 'trunc_normal_in'
  imglayers: int = 2
  obslayers: int = 1
  dynlayers: int = 1
  absolute: bool = False
  blocks: int = 8
  free_nats: float = 1.0

  def __init__(self, act_space: dict[str, elements.Space]):
    if self.deter % self.blocks:
      raise ValueError(
        f'dyn.rssm.deter {self.deter} must divide by blocks {self.blocks}'
      )
    self.act_space = act_space

  def initial(self, batch: int, dtype: jnp.dtype) -> Latent:
    """All zeros: deter (B, D), stoch (B, stoch, classes)."""
    return Latent(
      deter=jnp.zeros((batch, self.deter), dtype),
      stoch=jnp.zeros((batch, self.stoch, self.classes), dtype),
    )

  def observe(
    self,
    carry: Latent,
    tokens: jax.Array,
    action: Arrays,
    reset: jax.Array,
    key: jax.Array | None,
  ) -> tuple[Latent, Feat]:
    """Filter a sequence: one posterior per observation.

    Where reset is true, the state and the action before it are zero.

    Args:
      carry: state before the first step.
      tokens: encoder outputs (B, T, N), in the compute dtype.
      action: action before each observation, per key (B, T, ...).
      reset: (B, T) bool, observation starts an episode.
      key: random key, or None for the mode.

    Returns:
      Carry after the last step, and feat: deter (B, T, D), stoch and logit
      (B, T, stoch, classes), logit of the posterior before unimix.
    """
    embedded = self.embed(action, tokens.dtype, reset)
    seen = self._seen(tokens)
    length = tokens.shape[1]
    keys = None if key is None else internal.split(key, length)
    xs = jax.tree.map(lambda x: x.swapaxes(0, 1), (embedded, seen, ~reset))
    carry, feat = internal.scan(self._step, carry, (*xs, keys))
    feat = jax.tree.map(lambda x: x.swapaxes(0, 1), feat)
    return carry, feat

  def observe_step(
    self,
    carry: Latent,
    tokens: jax.Array,
    action: Arrays,
    reset: jax.Array,
    key: jax.Array | None,
  ) -> tuple[Latent, Feat]:
    """`observe` for one step: tokens (B, N), reset (B,), key also (B,)."""
    embedded = self.embed(action, tokens.dtype, reset)
    step = (embedded, self._seen(tokens), ~reset, key)
    carry, feat = self._step(carry, step)
    internal.tap(f'{self.path}/deter', feat.deter)
    internal.tap(f'{self.path}/stoch', feat.stoch)
    internal.tap(f'{self.path}/post_logit', feat.logit)
    return carry, feat

  def imagine(
    self, carry: Latent, action: Arrays, key: jax.Array | None
  ) -> tuple[Latent, Feat]:
    """Predict along given actions, per key (B, T, ...), without seeing.

    Returns:
      Carry after the last step, and feat as in `observe`, logit of the prior.
    """
    length = jax.tree.leaves(action)[0].shape[1]
    inputs = self.embed(action, carry.deter.dtype)
    keys = None if key is None else internal.split(key, length)

    def step(carry: Latent, x: tuple) -> tuple[Latent, Feat]:
      feat = self.predict(carry, *x)
      return feat.latent, feat

    xs = (inputs.swapaxes(0, 1), keys)
    carry, feat = internal.scan(step, carry, xs)
    return carry, jax.tree.map(lambda x: x.swapaxes(0, 1), feat)

  def embed(
    self, action: Arrays, dtype: jnp.dtype, reset: jax.Array | None = None
  ) -> jax.Array:
    """First hidden layer of the actions, (..., hidden); zeros where reset."""
    x = utils.concat_spaces(action, self.act_space, dtype)
    if reset is not None:
      x = utils.mask(x, ~reset)
    x = x / jax.lax.stop_gradient(jnp.maximum(1, jnp.abs(x)))
    return self._layer('dynin2', x, self.hidden)

  def predict(self, carry: Latent, action: jax.Array, key: jax.Array | None) -> Feat:
    """One imagined step from an embedded action (B, hidden)."""
    deter = self._core(carry.deter, carry.stoch, action)
    logit = self.prior(deter)
    stoch = self.dist(logit).sample(key).astype(deter.dtype)
    return Feat(deter, stoch, logit)

  def prior(self, deter: jax.Array) -> jax.Array:
    """Logits (..., stoch, classes) predicted from deter (..., D)."""
    x = deter
    for i in range(self.imglayers):
      x = self._layer(f'prior{i}', x, self.hidden)
    return self._logit('priorlogit', x)

  def dist(self, logits: jax.Array) -> outs.Agg:
    """Independent one-hot variables with a share of uniform chance."""
    return outs.Agg(outs.OneHot(logits, self.unimix), 1)

  def loss(self, feat: Feat) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """KL losses of a filtered sequence.

    Args:
      feat: as from `observe`.

    Returns:
      Losses dyn and rep (B, T) [nats], and metrics dyn_ent, rep_ent: mean
      entropy of prior and posterior [nats].
    """
    sg = jax.lax.stop_gradient
    prior = self.prior(feat.deter)
    post = feat.logit
    dists = map(self.dist, (post, prior, sg(post), sg(prior)))
    p, q, p_sg, q_sg = dists
    terms = losses.kl_losses(p, q, p_sg, q_sg, free=self.free_nats)
    B_T = feat.deter.shape[:-1]
    shapes = {k: v.shape for k, v in terms.items()}
    assert all(x == B_T for x in shapes.values()), (B_T, shapes)
    metrics = dict(dyn_ent=q.entropy().mean(), rep_ent=p.entropy().mean())
    return terms, metrics

  def _step(self, carry: Latent, x: tuple) -> tuple[Latent, Feat]:
    """Posterior of one step; x = (action, seen, keep, key)."""
    action, seen, keep, key = x
    carry = utils.mask(carry, keep)
    deter = self._core(carry.deter, carry.stoch, action)
    logit = self._posterior(deter, seen)
    stoch = self.dist(logit).sample(key).astype(deter.dtype)
    feat = Feat(deter, stoch, logit)
    return feat.latent, feat

  def _seen(self, tokens: jax.Array) -> jax.Array:
    """The tokens' share of the first posterior layer, for all steps at once.

    That layer acts on [deter, tokens]; only deter has to wait for its turn.
    """
    if not self.obslayers:
      return tokens
    kernel, bias = self._first_posterior(tokens.shape[-1])
    kernel = kernel[0 if self.absolute else self.deter :]
    dtype = tokens.dtype
    return tokens @ kernel.astype(dtype) + utils.along(bias, tokens)

  def _first_posterior(self, tokens: int) -> tuple[jax.Array, jax.Array]:
    layer = self.sub('obs0', Linear, self.hidden, winit=self.winit)
    return layer.params(tokens + (0 if self.absolute else self.deter))

  def _posterior(self, deter: jax.Array, seen: jax.Array) -> jax.Array:
    """Posterior logits from deter and what `_seen` prepared."""
    x = seen
    if self.obslayers:
      if not self.absolute:
        kernel = self.sub('obs0').read('kernel')[: self.deter]
        x = x + deter @ kernel.astype(deter.dtype)
      norm = self.sub('obs0norm', Norm, self.norm)
      x = activation(self.act)(norm(x))
    elif not self.absolute:
      x = jnp.concatenate([deter, x], -1)
    for i in range(1, self.obslayers):
      x = self._layer(f'obs{i}', x, self.hidden)
    return self._logit('obslogit', x)

  def _core(self, deter: jax.Array, stoch: jax.Array, action: jax.Array) -> jax.Array:
    """deter' = z c + (1 - z) deter, gates from block-diagonal layers."""
    g = self.blocks
    stoch = stoch.reshape((*stoch.shape[:-2], -1))
    x0 = self._layer('dynin0', deter, self.hidden)
    x1 = self._layer('dynin1', stoch, self.hidden)
    shared: jax.Array | None = jnp.concatenate([x0, x1, action], -1)
    old = x = blocks(deter, g)
    if not self.dynlayers:
      raise ValueError('dyn.rssm.dynlayers 0: expected at least one')
    kw = dict(winit=self.winit)
    for i in range(self.dynlayers):
      name = f'dynhid{i}'
      layer = self.sub(name, BlockLinear, self.deter, g, **kw)
      x, shared = joined(layer.blockwise(x, shared)), None
      x = self.sub(f'{name}norm', Norm, self.norm)(x)
      x = blocks(activation(self.act)(x), g)
    x = self.sub('dyngru', BlockLinear, 3 * self.deter, g, **kw).blockwise(x)
    reset, cand, update = jnp.split(x, 3, -1)
    cand = jnp.tanh(jax.nn.sigmoid(reset) * cand)
    update = jax.nn.sigmoid(update - 1)
    return joined(update * cand + (1 - update) * old)

  def _layer(self, name: str, x: jax.Array, units: int) -> jax.Array:
    x = self.sub(name, Linear, units, winit=self.winit)(x)
    x = self.sub(f'{name}norm', Norm, self.norm)(x)
    return activation(self.act)(x)

  def _logit(self, name: str, x: jax.Array) -> jax.Array:
    shape = (self.stoch, self.classes)
    kw = dict(winit=self.winit, outscale=self.outscale)
    return self.sub(name, Linear, shape, **kw)(x)
