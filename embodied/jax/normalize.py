"""Running scale of a signal, as a pure function of its state.

stats = Normalizer('retnorm', impl='perc')
state = stats.update(stats.init(), returns)
offset, scale = stats.stats(state)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from . import shards

State = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Normalizer:
  """Exponential averages of percentiles or of mean and power.

  perc:    offset = lo, scale = max(limit, hi - lo), percentiles perclo and
           perchi of each batch, averaged (arXiv:2301.04104, eq. 12)
  meanstd: offset = mean, scale = max(limit, standard deviation)
  none:    0 and 1, no state

  State keys are `<name>/<statistic>/value`, starting at zero. With debias,
  averages are divided by the sum of their weights.
  """

  name: str
  impl: str = 'perc'
  rate: float = 0.01
  limit: float = 1e-8
  perclo: float = 5.0
  perchi: float = 95.0
  debias: bool = True

  def __post_init__(self) -> None:
    if self.impl not in _STATISTICS:
      raise ValueError(
        f'{self.name}.impl {self.impl!r}: expected one of {list(_STATISTICS)}'
      )

  def _key(self, statistic: str) -> str:
    return f'{self.name}/{statistic}/value'

  def init(self) -> dict[str, np.ndarray]:
    """All statistics zero."""
    names = _STATISTICS[self.impl]
    if self.debias and self.impl != 'none':
      names = (*names, 'corr')
    return {self._key(k): np.zeros((), np.float32) for k in names}

  def update(self, state: State, x: jax.Array) -> dict[str, jax.Array]:
    """Average in the statistics of a batch, its rows along the first axis."""
    x = shards.whole(jax.lax.stop_gradient(x.astype(jnp.float32)))
    fresh: dict[str, jax.Array] = {}
    if self.impl == 'meanstd':
      fresh = {'mean': x.mean(), 'sqrs': jnp.square(x).mean()}
    elif self.impl == 'perc':
      quantiles = jnp.array([self.perclo, self.perchi])
      lo, hi = jnp.percentile(x.reshape(-1), quantiles)
      fresh = {'lo': lo, 'hi': hi}
    if self.debias and fresh:
      fresh['corr'] = jnp.ones(())
    keep = 1 - self.rate
    return {
      self._key(k): keep * state[self._key(k)] + self.rate * v for k, v in fresh.items()
    }

  def stats(self, state: State) -> tuple[jax.Array, jax.Array]:
    """Offset and scale, float32 scalars."""
    if self.impl == 'none':
      return jnp.zeros(()), jnp.ones(())
    read = {k: state[self._key(k)] for k in _STATISTICS[self.impl]}
    if self.debias:
      weight = jnp.maximum(self.rate, state[self._key('corr')])
      read = {k: v / weight for k, v in read.items()}
    if self.impl == 'perc':
      return read['lo'], jnp.maximum(self.limit, read['hi'] - read['lo'])
    power = jax.nn.relu(read['sqrs'] - jnp.square(read['mean']))
    return read['mean'], jnp.maximum(self.limit, jnp.sqrt(power))


_STATISTICS: dict[str, tuple[str, ...]] = {
  'none': (),
  'meanstd': ('mean', 'sqrs'),
  'perc': ('lo', 'hi'),
}
