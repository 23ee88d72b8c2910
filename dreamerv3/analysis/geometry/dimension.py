"""How many dimensions does a code use?

ratio, d = participation(X, episode, weight), two_nn(X, episode, weight)
"""

import dataclasses
from typing import Self

import numpy as np
from scipy.spatial.distance import cdist

from dreamerv3.analysis.geometry.evidence import interval

TRIMMED = 0.1  # of the largest ratios of neighbours, which outliers make


@dataclasses.dataclass(frozen=True)
class Dimension:
  """A dimension with its 95 % interval over episodes (NaN below five).

  Attributes:
    drawn: (n_boot,) the same of each draw of episodes, for differences of two networks;
      empty in results of before.
  """

  value: float
  low: float
  high: float
  drawn: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))

  @classmethod
  def of(cls, value: float, drawn: np.ndarray, episodes: int) -> Self:
    """A value, and those of draws of so many episodes."""
    return cls(value, *interval(drawn, episodes), drawn)


def participation(X: np.ndarray, episode: np.ndarray, weight: np.ndarray) -> Dimension:
  """Participation ratio of the variances, (sum l)^2 / sum l^2, from 1 to D.

  l are the eigenvalues of the covariance (Gao et al. 2017, doi:10.1101/214262). From
  the inner products of the centred rows: sum l = sum_i G_ii, sum l^2 = sum_ij G_ij^2.

  Args:
    X: (n, D); episode: (n,) in blocks; weight: (n_boot, E) of bootstrap draws.
  """
  centred = (X - X.mean(0, dtype=np.float64)).astype(np.float32)
  starts = np.flatnonzero(np.diff(episode, prepend=episode[0] - 1))
  lengths = np.einsum('nd,nd->n', centred, centred, dtype=np.float64)
  trace = np.add.reduceat(lengths, starts)
  # The products of units of each episode, or those of rows, whichever are fewer.
  if len(starts) * X.shape[1] ** 2 <= len(X) ** 2:
    parts = np.split(centred.astype(np.float64), starts[1:])
    inner = np.stack([x.T @ x for x in parts]).reshape(len(parts), -1)
    squares = inner @ inner.T
  else:
    squares = np.add.reduceat(
      np.add.reduceat(np.square(centred @ centred.T, dtype=np.float64), starts, 0),
      starts,
      1,
    )

  def ratio(w: np.ndarray) -> float:
    below = w @ squares @ w
    return float((w @ trace) ** 2 / below) if below > 0 else float('nan')

  drawn = np.array([ratio(w) for w in weight.astype(float)])
  value = ratio(np.ones(len(starts)))
  return Dimension.of(value, drawn, len(starts))


def two_nn(X: np.ndarray, episode: np.ndarray, weight: np.ndarray) -> Dimension:
  """Intrinsic dimension from the two nearest neighbours of each state.

  d = k / sum log(r2 / r1) over the k states with the smallest ratios; of the others, a
  tenth, only that they are larger is used (Facco et al. 2017,
  doi:10.1038/s41598-017-11873-y). Neighbours are of other episodes: within one the next
  timestep is the nearest, and every path would be a line. States that are met twice
  exactly say nothing and are left out.
  """
  logs = np.full(len(X), np.nan)
  X = np.asarray(X, np.float64)  # near neighbours would drown in float32
  for e in np.unique(episode):
    here, other = episode == e, episode != e
    if other.sum() < 2:
      continue
    squares = np.maximum(_squares(X[here], X[other]), 0)
    nearest = np.sqrt(np.partition(squares, 1, 1)[:, :2])
    with np.errstate(divide='ignore', invalid='ignore'):
      logs[here] = np.log(nearest[:, 1] / nearest[:, 0])
  known = np.isfinite(logs)
  if known.sum() < 10:
    return Dimension.of(float('nan'), np.full(len(weight), np.nan), len(weight))
  place = np.unique(episode, return_inverse=True)[1][known]
  order = np.argsort(logs[known])
  logs, place = logs[known][order], place[order]

  def estimate(w: np.ndarray) -> float:
    counted = w[place]
    kept = np.cumsum(counted) <= (1 - TRIMMED) * counted.sum()
    total = (counted * logs)[kept].sum()
    # Ratios above the cut are known to be at least as large as the cut.
    rest = counted[~kept].sum() * (logs[kept][-1] if kept.any() else 0)
    return float(counted[kept].sum() / (total + rest)) if total + rest > 0 else np.nan

  drawn = np.array([estimate(w) for w in weight.astype(float)])
  value = estimate(np.ones(weight.shape[1]))
  return Dimension.of(value, drawn, weight.shape[1])


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Squared distances (n, m), exact where the inner product would lose digits."""
  if a.shape[1] <= 8:
    squares: np.ndarray = np.square(cdist(a, b))
  else:
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
  return squares
