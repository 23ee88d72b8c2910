"""Which units of a layer go along with the position, tested on unseen episodes.

  units = correlate(data.layer('dyn/deter'), seed=0)
  units.table()[0]   # the strongest unit: r with its interval, p and q

A quick look at a layer, before tuning curves: a linear correlation finds
gradients over the world, not place fields.
"""

import dataclasses

import numpy as np

from dreamerv3.analysis import bootstrap, nulls
from dreamerv3.data.samples import Samples

# Units whose sums are held in memory at a time.
BLOCK = 512
# Null pairings that are computed at a time.
PAIRINGS = 100
AXES = ('x', 'y')


@dataclasses.dataclass(frozen=True)
class SpatialUnits:
  """Correlations of D units with x and y.

  Attributes:
    layer: name.
    chosen: (D, 2) r with x and y in the episodes that rank the units.
    r: (D, 2) r in the other episodes; in the same ones when `held_out` is
      False.
    axis: (D,) 0 or 1, the stronger axis in the ranking episodes.
    low, high: (D,) 95 % interval of r on that axis, by bootstrap over
      episodes; NaN for few of them.
    p: (D,) share of null pairings whose max(|r_x|, |r_y|) is at least as
      large; q: the same by Benjamini and Hochberg. NaN without a null.
    null: (D,) 95th percentile of the null; NaN without one.
    n_null: number of null pairings.
    held_out: False when a single episode leaves nothing to hold out.
    counts: episodes and timesteps that r rests on.
  """

  layer: str
  chosen: np.ndarray
  r: np.ndarray
  axis: np.ndarray
  low: np.ndarray
  high: np.ndarray
  p: np.ndarray
  q: np.ndarray
  null: np.ndarray
  n_null: int
  held_out: bool
  counts: tuple[int, int]

  def order(self) -> np.ndarray:
    """Units, the strongest in the ranking episodes first."""
    return np.argsort(-np.abs(self.chosen).max(1), kind='stable')

  def strongest(self) -> np.ndarray:
    """(D,) r on each unit's axis."""
    r: np.ndarray = self.r[np.arange(len(self.r)), self.axis]
    return r

  def table(self) -> list[dict[str, str | int | float]]:
    """One row per unit, the strongest first."""
    best = self.strongest()
    return [
      {
        'unit': int(i),
        'axis': AXES[self.axis[i]],
        'r_ranking': self.chosen[i, self.axis[i]],
        'r': best[i],
        'low': self.low[i],
        'high': self.high[i],
        'p': self.p[i],
        'q': self.q[i],
        'null_95': self.null[i],
        'r_x': self.r[i, 0],
        'r_y': self.r[i, 1],
      }
      for i in self.order()
    ]

  def summary(self, best: int = 10) -> str:
    """The strongest units as lines of text."""
    lines = [f'{"unit":>6} axis {"r":>6} {"95 % interval":>16} {"p":>7} {"q":>7}']
    for row in self.table()[:best]:
      p, q, low, high = (
        f'{row[k]:.3f}' if row[k] == row[k] else '-' for k in ('p', 'q', 'low', 'high')
      )
      spread = f'{float(low):.2f} .. {float(high):5.2f}' if low != '-' else '-'
      lines.append(
        f'{row["unit"]:6} {row["axis"]:>4} {row["r"]:6.2f} {spread:>16} {p:>7} {q:>7}'
      )
    if np.isnan(self.low).all():
      lines.append(f'{bootstrap.NONE.capitalize()}: r rests on {self.counts[0]}.')
    if not self.n_null:
      lines.append('No p: there is no other path to pair the activations with.')
    return '\n'.join(lines)


def correlate(
  samples: Samples, n_null: int = 500, n_boot: int = 500, seed: int = 0
) -> SpatialUnits:
  """Correlates each unit with x and y in episodes that did not choose it.

  A random half of the episodes ranks the units; r, its interval and its p
  come from the other half. The null pairs their paths with the activations of
  random episodes (pseudo-sessions, see `nulls`): it has the same slow changes
  over an episode, but not the position.

  Args:
    samples: X (N, D) with positions and episodes.
    n_null: pairings; fewer where the episodes allow no more.
    n_boot: bootstrap draws over episodes.
    seed: of the halves, the pairings and the draws.
  """
  rng = np.random.default_rng(seed)
  names = np.unique(samples.episode)
  shuffled = rng.permutation(names)
  half = len(names) // 2
  ranking, test = shuffled[:half], shuffled[half:]
  if not half:
    ranking = test
  chosen = _r(_sums(samples, ranking).sum(0))
  axis = np.abs(chosen).argmax(1)
  sums = _sums(samples, test)
  r = _r(sums.sum(0))
  low, high = _bootstrap(sums, axis, n_boot, rng)
  null = _null(samples, test, n_null, rng)
  p = np.full(len(r), np.nan)
  q, bound = p.copy(), p.copy()
  if len(null):
    p = nulls.p_values(np.abs(r).max(1), null)
    q = nulls.q_values(p)
    bound = np.percentile(null, 95, axis=0)
  steps = int(np.isin(samples.episode, test).sum())
  return SpatialUnits(
    samples.layer,
    chosen,
    r,
    axis,
    low,
    high,
    p,
    q,
    bound,
    len(null),
    held_out=bool(half),
    counts=(len(test), steps),
  )


def _sums(samples: Samples, episodes: np.ndarray) -> np.ndarray:
  """Sums of each episode, (E, D, 9): n, a, aa, x, xx, xa, y, yy, ya."""
  found = []
  for episode in episodes:
    rows = samples.episode == episode
    X = samples.X[rows].astype(np.float64)
    pos = samples.pos[rows].astype(np.float64)
    columns = [np.full(X.shape[1], len(X)), X.sum(0), (X**2).sum(0)]
    for at in pos.T:
      same = np.ones(X.shape[1])
      columns += [at.sum() * same, (at**2).sum() * same, at @ X]
    found.append(np.stack(columns, -1))
  return np.stack(found)


def _r(sums: np.ndarray) -> np.ndarray:
  """Pearson's r from sums, (..., 9) -> (..., 2); 0 where nothing varies."""
  n, a, aa = np.moveaxis(sums[..., :3], -1, 0)
  parts = []
  for first in (3, 6):
    x, xx, xa = np.moveaxis(sums[..., first : first + 3], -1, 0)
    parts.append(_pearson(n, a, aa, x, xx, xa))
  return np.stack(parts, -1)


def _pearson(
  n: np.ndarray,
  a: np.ndarray,
  aa: np.ndarray,
  x: np.ndarray,
  xx: np.ndarray,
  xa: np.ndarray,
) -> np.ndarray:
  """r from the sums of a and x, of their squares and of their product."""
  count = np.maximum(n, 1)
  cov = xa - x * a / count
  var_a, var_x = aa - a * a / count, xx - x * x / count
  # Rounding leaves a rest where nothing varies.
  vary = (var_a > 1e-9 * np.maximum(aa, 1e-30)) & (var_x > 1e-9 * xx)
  scale = np.sqrt(np.where(vary, var_a * var_x, 1.0))
  return np.where(vary, cov / scale, 0.0)


def _bootstrap(
  sums: np.ndarray, axis: np.ndarray, n_boot: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """95 % interval of r on the axis of each unit, over episodes."""
  episodes, units = sums.shape[:2]
  if episodes < bootstrap.ENOUGH:
    return np.full(units, np.nan), np.full(units, np.nan)
  share = np.full(episodes, 1 / episodes)
  weights = rng.multinomial(episodes, share, n_boot).astype(np.float64)
  low, high = np.empty(units), np.empty(units)
  levels = bootstrap.levels(episodes)
  for start in range(0, units, BLOCK):
    part = slice(start, start + BLOCK)
    drawn = np.tensordot(weights, sums[:, part], 1)
    r = np.take_along_axis(_r(drawn), axis[None, part, None], 2)[..., 0]
    low[part], high[part] = np.percentile(r, levels, axis=0)
  return low, high


def _null(
  samples: Samples, test: np.ndarray, n_null: int, rng: np.random.Generator
) -> np.ndarray:
  """max(|r_x|, |r_y|) of each unit under each pairing, (P, D)."""
  rows = np.flatnonzero(np.isin(samples.episode, test))
  path = np.stack([np.ones(len(rows)), *samples.pos[rows].T])
  draws = [*nulls.permutations(samples.episode, 'session', n_null, rng)]
  values = np.empty((len(draws), samples.X.shape[1]))
  for start in range(0, len(draws), PAIRINGS):
    block = draws[start : start + PAIRINGS]
    paired = np.zeros((3, len(block), len(samples)))
    for i, partner in enumerate(block):
      paired[:, i, partner[rows]] = path
    for unit in range(0, samples.X.shape[1], BLOCK):
      part = slice(unit, unit + BLOCK)
      r = _null_r(paired, samples.X[:, part].astype(np.float64))
      values[start : start + len(block), part] = np.abs(r).max(-1)
  return values


def _null_r(paired: np.ndarray, X: np.ndarray) -> np.ndarray:
  """r of units X (N, D) with paths (3, P, N), (P, D, 2)."""
  used = paired[0]
  n = used.sum(1)[:, None]
  # One product for all sums: many small ones cost more than their flops.
  a, *crossed = (paired.reshape(-1, len(X)) @ X).reshape(3, len(used), -1)
  aa = used @ X**2
  parts = []
  for at, xa in zip(paired[1:], crossed, strict=True):
    x, xx = at.sum(1)[:, None], (at**2).sum(1)[:, None]
    parts.append(_pearson(n, a, aa, x, xx, xa))
  return np.stack(parts, -1)
