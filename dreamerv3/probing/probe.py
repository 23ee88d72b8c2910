"""What every layer of the agent computes at one step of acting.

For recordings. One compiled function filters a batch of observations, chooses
the actions and returns the activations of the layers that were asked for,
packed into one array per dtype, so that a step is one transfer. What nobody
asked for is neither computed nor transferred.

  probe = Probe(model, layers='enc,dyn/*', dtype='float16')
  carry = probe.init()
  carry, act, rows = probe(params, carry, obs, seeds, time)
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np

from dreamerv3.agent import Model
from dreamerv3.agent.latents import Arrays, Carry, Latent, State, tensor
from dreamerv3.agent.networks import TRAINED
from dreamerv3.data.columns import Column
from dreamerv3.data.layers import select, settled
from embodied.jax import internal, outs

# Rows of every policy call. The compiler chooses another order of summation
# for another number of rows, and with it other last digits.
WIDTH = 16

# A single number per step is kept whole: it costs nothing, and a value of
# 1000 would lose its decimals in half precision.
SCALAR = np.dtype(np.float32)

# Parameters that the layers depend on; the rest is only for training.
REGEX = TRAINED.pattern.removeprefix('^')


class Probe:
  """The policy of a model, with its layers laid open.

  Args:
    model: with its parameters passed to each call.
    layers: pattern of the layers to lay open, read by `data.layers.select`; or
      `auto`, see `data.layers.settled`.
    dtype: float16 or float32, of layers with more than one unit.
    width: rows of a call.

  Attributes:
    layers: what is recorded, sorted by name.
    pattern: of these, with `auto` settled; left_out: what that leaves out.
    available: names of all layers of this model.

  Raises:
    UserError: the pattern means no layer.
  """

  def __init__(
    self,
    model: Model,
    layers: str = '.*',
    dtype: str = 'float16',
    width: int = WIDTH,
  ):
    self.model, self.width = model, width
    shapes = self._shapes()
    self.available = sorted(shapes)
    units = {k: math.prod(v) for k, v in shapes.items()}
    self.pattern, self.left_out = settled(layers, units)
    chosen = sorted(select([self.pattern], self.available))
    self.layers = place(chosen, shapes, dtype)
    self._call = jax.jit(self._step, donate_argnums=1)

  def init(self) -> Carry:
    """State of `width` rows before their first observation."""
    return self.model.init_carry(self.width)

  def __call__(
    self,
    params: Mapping[str, jax.Array],
    carry: Carry,
    obs: Mapping[str, np.ndarray],
    seeds: np.ndarray,
    time: np.ndarray,
    blind: np.ndarray | None = None,
  ) -> tuple[Carry, Arrays, dict[str, jax.Array]]:
    """Filter one observation per row, act, and look inside.

    Args:
      params: those of the model that match REGEX.
      carry: from `init` or the call before; it is consumed.
      obs: (width, ...) per key of the model's spaces, and `is_first`.
      seeds: uint32 (width, 2), of the episode in each row.
      time: int32 (width,), timestep in that episode. All chance at a step
        comes from its row's seed and time.
      blind: bool (width,), rows that go on from their prior instead of what
        `obs` shows; None for none.

    Returns:
      carry; act, (width, ...) per key; {dtype: (width, values)} of the layers.
    """
    return self._call(params, carry, obs, seeds, time, blind)

  def after(
    self, carry: Carry, actions: Mapping[int, Mapping[str, np.ndarray]]
  ) -> Carry:
    """The carry as if these actions had been taken last.

    Args:
      carry: from the call before.
      actions: {row: {key: value}}; rows that are not named begin an episode.
    """
    spaces: Mapping[str, Any] = self.model.act_space
    taken: dict[str, Any] = {
      k: np.zeros((self.width, *v.shape), v.dtype) for k, v in spaces.items()
    }
    for row, act in actions.items():
      for key, values in taken.items():
        values[row] = act[key]
    return carry._replace(prevact=taken)

  def _step(
    self,
    params: State,
    carry: Carry,
    obs: Arrays,
    seeds: jax.Array,
    time: jax.Array,
    blind: jax.Array | None = None,
  ) -> tuple[Carry, Arrays, dict[str, jax.Array]]:
    keys = jax.vmap(jax.random.fold_in)(internal.keys_from_seeds(seeds), time)
    _, out = nj.pure(observe)(params, self.model, carry, obs, keys, blind, modify=False)
    carry, act, found = out
    return carry, act, pack(found, self.layers)

  def _shapes(self) -> dict[str, tuple[int, ...]]:
    """{layer: shape of one step} of all layers, without computing any."""
    model = self.model
    params = {k: v for k, v in model.shapes().items() if re.match(REGEX, k)}
    obs = {k: _struct(1, v.shape, v.dtype) for k, v in model.spaces.items()}
    obs['is_first'] = _struct(1, (), bool)

    def call(params: State, obs: Arrays) -> Arrays:
      carry = model.init_carry(1)
      key = jax.random.key(0)
      _, out = nj.pure(observe)(params, model, carry, obs, key, modify=False)
      return out[2]

    found = jax.eval_shape(call, params, obs)
    return {k: v.shape[1:] for k, v in found.items()}


def observe(
  model: Model,
  carry: Carry,
  obs: Arrays,
  key: jax.Array,
  blind: jax.Array | None = None,
) -> tuple[Carry, Arrays, dict[str, jax.Array]]:
  """One step of acting, and everything the networks compute from it.

  Decoder and heads read the state after this observation, as in training; in
  blind rows it is drawn from the prior, as if nothing had been observed. Runs
  in a ninjax context.

  Returns:
    carry, act, {layer: (B, ...)}.
  """
  with internal.taps() as found:
    carry, act, _ = model.policy(carry, obs, key)
    state = carry.latent
    if blind is not None:
      state = _unseen(model, state, key, blind, found)
      carry = carry._replace(latent=state)
    x = tensor(state)
    model.dec(jax.tree.map(lambda x: x[:, None], state))
    value, reward, live = model.val(x), model.rew(x), model.con(x)
    policy = model.pol(x)  # once more; the compiler shares the work
    prior = model.dyn.prior(state.deter)
  found['dyn/prior_logit'] = _mixed(model, prior)
  found['dyn/post_logit'] = _mixed(model, found['dyn/post_logit'])
  found['val/value'] = value.pred()
  found['rew/pred'] = reward.pred()
  found['con/pred'] = live.prob()
  for key_, output in policy.items():
    prefix = 'pol' if len(policy) == 1 else f'pol/{key_}'
    found.update(_policy(prefix, output))
  batch = len(obs['is_first'])
  return (
    carry,
    act,
    {k: v.reshape((batch, *v.shape[1:])) for k, v in found.items()},
  )


def _unseen(
  model: Model,
  state: Latent,
  key: jax.Array,
  blind: jax.Array,
  found: dict[str, jax.Array],
) -> Latent:
  """The state with stoch from the prior in blind rows, also in `found`.

  The recurrent state of a step comes before its image and stays as it is.
  """
  where = blind[:, None, None]
  prior = model.dyn.prior(state.deter)
  key, _ = internal.split(key, 2)  # the one that the posterior is drawn with
  drawn = model.dyn.dist(prior).sample(key).astype(state.stoch.dtype)
  stoch = jnp.where(where, drawn, state.stoch)
  found['dyn/stoch'] = stoch
  found['dyn/post_logit'] = jnp.where(where, prior, found['dyn/post_logit'])
  return state._replace(stoch=stoch)


def _mixed(model: Model, logits: jax.Array) -> jax.Array:
  """Logits with the share of uniform chance that the model samples with."""
  output = model.dyn.dist(logits).output
  assert isinstance(output, outs.Categorical)
  return output.logits


def _policy(prefix: str, output: outs.Output) -> dict[str, jax.Array]:
  inner = output.output if isinstance(output, outs.Agg) else output
  entropy = output.entropy()
  if isinstance(inner, outs.Categorical):
    raw = {'logits': inner.logits}
  else:
    assert isinstance(inner, outs.BoundedNormal), inner
    raw = {'mean': inner.mean, 'stddev': inner.stddev}
    entropy = entropy.reshape((len(entropy), -1)).sum(-1)
  raw['entropy'] = entropy
  return {f'{prefix}/{k}': v for k, v in raw.items()}


def place(
  names: list[str], shapes: Mapping[str, tuple[int, ...]], dtype: str
) -> tuple[Column, ...]:
  """Gives each layer its place in the array of its dtype, named by that."""
  ends: dict[str, int] = {}
  layers = []
  for name in names:
    kind = dtype if math.prod(shapes[name]) > 1 else SCALAR.name
    layer = Column(name, kind, ends.get(kind, 0), shapes[name], np.dtype(kind))
    ends[kind] = layer.stop
    layers.append(layer)
  return tuple(layers)


def pack(
  found: Mapping[str, jax.Array], layers: tuple[Column, ...]
) -> dict[str, jax.Array]:
  """{dtype: (B, values)}, the layers side by side, flattened in C order.

  What half precision cannot hold becomes its largest number, not infinity.
  """
  parts: dict[str, list[jax.Array]] = {}
  for layer in layers:
    value = found[layer.name].astype(jnp.float32)
    value = value.reshape((len(value), -1))
    if layer.group == 'float16':
      limit = float(jnp.finfo(jnp.float16).max)
      value = jnp.clip(value, -limit, limit)
    parts.setdefault(layer.group, []).append(value.astype(layer.dtype))
  return {k: jnp.concatenate(v, -1) for k, v in parts.items()}


def _struct(batch: int, shape: tuple, dtype: Any) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct((batch, *shape), np.dtype(dtype))
