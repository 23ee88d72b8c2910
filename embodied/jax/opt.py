"""The optimizer: LaProp behind adaptive gradient clipping, and slow copies.

Pure functions over flat dicts of float32 arrays. The state is named as in
checkpoints of the published agent, where the digits are places in a chain.

  opt = Optimizer(lr=4e-5)
  state = opt.init(params)
  params, state, metrics = opt.update(params, grads, state)
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Params = dict[str, jax.Array]

_RMS, _MOM = 'opt/state/1', 'opt/state/2'
_PMIN = 1e-3  # smallest parameter norm that clipping assumes


@dataclasses.dataclass(frozen=True)
class Optimizer:
  """Per tensor, in this order, with t the number of the update from 1:

  1. clip:      g / max(1, |g| / (agc max(1e-3, |p|)))   (arXiv:2102.06171)
  2. normalise: n = beta2 n + (1 - beta2) g^2;
                g / (sqrt(n / (1 - beta2^t)) + eps)
  3. momentum:  m = beta1 m + (1 - beta1) g;  m / (1 - beta1^t)
                (2 before 3: LaProp, arXiv:2002.04839)
  4. weight decay on parameters that match wdregex, if wd > 0
  5. times -lr(count), rising linearly over `warmup` updates from zero, then
     constant, or falling to lr / 10 at update `anneal`.
  """

  lr: float = 4e-5
  agc: float = 0.3
  eps: float = 1e-20
  beta1: float = 0.9
  beta2: float = 0.999
  momentum: bool = True
  wd: float = 0.0
  wdregex: str = r'/kernel$'
  schedule: str = 'const'
  warmup: int = 1000
  anneal: int = 0

  def __post_init__(self) -> None:
    if not self.momentum:
      raise ValueError('opt.momentum False: momentum is part of this optimizer')
    if self.schedule not in ('const', 'linear', 'cosine'):
      raise ValueError(
        f'opt.schedule {self.schedule!r}: expected const, linear or cosine'
      )
    if self.schedule != 'const' and self.anneal <= self.warmup:
      raise ValueError(
        f'opt.anneal {self.anneal}: schedule {self.schedule} needs more '
        f'updates than opt.warmup {self.warmup}'
      )

  @property
  def _count(self) -> str:
    return f'opt/state/{4 if self.wd else 3}/count'

  def init(self, params: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Zero moments and counters for these parameters."""
    counters = ('opt/step/value', f'{_RMS}/0', f'{_MOM}/0', self._count)
    state = {k: np.zeros((), np.int32) for k in counters}
    for name, value in params.items():
      state[f'{_RMS}/1/{name}'] = np.zeros(value.shape, np.float32)
      state[f'{_MOM}/1/{name}'] = np.zeros(value.shape, np.float32)
    return state

  def rate(self, count: jax.Array) -> jax.Array:
    """Learning rate of update number count, from 0."""
    count = jnp.asarray(count, jnp.float32)
    ramp = jnp.minimum(1, count / self.warmup) if self.warmup else 1
    span = max(1, self.anneal - self.warmup)
    done = jnp.clip((count - self.warmup) / span, 0, 1)
    if self.schedule == 'linear':
      ramp = ramp * (1 - 0.9 * done)
    elif self.schedule == 'cosine':
      ramp = ramp * (0.1 + 0.45 * (1 + jnp.cos(jnp.pi * done)))
    return self.lr * jnp.asarray(ramp, jnp.float32)

  def update(
    self, params: Params, grads: Params, state: Params
  ) -> tuple[Params, Params, Params]:
    """One step.

    Args:
      params: trained parameters by name.
      grads: their gradients, same keys.
      state: as from `init`.

    Returns:
      New params, new state, and metrics opt/{grad_norm, grad_rms, update_rms,
      param_rms, param_count, updates}.
    """
    assert params.keys() == grads.keys(), params.keys() ^ grads.keys()
    new = {
      k: state[k] + 1 for k in ('opt/step/value', f'{_RMS}/0', f'{_MOM}/0', self._count)
    }
    lr = self.rate(state[self._count])
    fix2 = 1 - self.beta2 ** new[f'{_RMS}/0'].astype(jnp.float32)
    fix1 = 1 - self.beta1 ** new[f'{_MOM}/0'].astype(jnp.float32)
    after: Params = {}
    power: dict[str, Any] = {'grad': 0.0, 'update': 0.0, 'param': 0.0}
    for name, value in params.items():
      grad = grads[name].astype(jnp.float32)
      grad2 = jnp.square(grad).sum()
      limit = self.agc * jnp.maximum(_PMIN, jnp.sqrt(jnp.square(value).sum()))
      clipped = grad
      if self.agc:
        clipped = grad / jnp.maximum(1, jnp.sqrt(grad2) / limit)
      rms, mom = f'{_RMS}/1/{name}', f'{_MOM}/1/{name}'
      new[rms] = _ema(state[rms], jnp.square(clipped), self.beta2)
      scaled = clipped / (jnp.sqrt(new[rms] / fix2) + self.eps)
      new[mom] = _ema(state[mom], scaled, self.beta1)
      step = new[mom] / fix1
      if self.wd and re.search(self.wdregex, name):
        step = step + self.wd * value
      step = -lr * step
      after[name] = value + step
      power['grad'] += grad2
      power['update'] += jnp.square(step).sum()
      power['param'] += jnp.square(after[name]).sum()
    size = sum(x.size for x in params.values())
    metrics = {f'opt/{k}_rms': jnp.sqrt(v / size) for k, v in power.items()}
    metrics['opt/grad_norm'] = jnp.sqrt(power['grad'])
    metrics['opt/param_count'] = jnp.float32(size)
    metrics['opt/updates'] = new['opt/step/value']
    return after, new, metrics


def _ema(old: jax.Array, fresh: jax.Array, keep: float) -> jax.Array:
  return keep * old + (1 - keep) * fresh


def slow_copy(params: dict[str, np.ndarray], source: str, target: str) -> None:
  """Set `target/...` equal to `source/...` and add its counter, in place."""
  for name in [k for k in params if k.startswith(f'{source}/')]:
    params[f'{target}{name[len(source) :]}'] = params[name].copy()
  params[f'{target}_count/value'] = np.zeros((), np.int32)


def slow_update(
  params: Params, source: str, target: str, rate: float, every: int
) -> Params:
  """target <- rate source + (1 - rate) target, at every `every`-th call.

  Returns:
    The new entries `target/...` and `target_count/value`.
  """
  counter = f'{target}_count/value'
  mix = jnp.where(params[counter] % every == 0, rate, 0.0)
  new = {counter: params[counter] + 1}
  for name in [k for k in params if k.startswith(f'{target}/')]:
    fresh = params[f'{source}{name[len(target) :]}']
    new[name] = mix * fresh + (1 - mix) * params[name]
  return new
