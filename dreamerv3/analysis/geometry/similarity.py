"""Do states that lie near each other in space lie near each other in the code?

  similarity = Similarity.of(X, pos_class, table, episode, views, t)
  print(similarity.srsa, similarity.value(given=('view', 'time')))

Spatial representational similarity (sRSA; Levenstein et al. 2024,
doi:10.1101/2024.04.28.591528) is Spearman's correlation, over pairs of timesteps, of
their distance in space and the cosine distance of their activations. Here only pairs
from *different episodes* count: within one, what is near in space is near in time, and
every slow signal would look like a map.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from dreamerv3.analysis.geometry.distances import Ranks, distances_of, ranks_of

BINS = 60  # of cosine distance, in the histogram
CHUNK = 1 << 22  # pairs at a time
EQUAL = 1e-6  # variance of ranks that rounding may leave of equal distances


@dataclasses.dataclass(frozen=True)
class Similarity:
  """Sums over pairs of timesteps of each pair of episodes, E of them.

  Attributes:
    names: the V variables: code, space, view if images are there, time.
    count: (E, E) pairs; only the upper triangle is filled.
    sums: (V, E, E) sums of the ranks in 0..1.
    products: (V, V, E, E) of two ranks.
    histogram: (S, BINS) pairs by whole spatial distance [tiles] and cosine distance
      (0 to `widest`).
    near: (S,) sum of cosine distances at each spatial distance.
    widest: largest cosine distance of the histogram.
  """

  names: tuple[str, ...]
  count: np.ndarray
  sums: np.ndarray
  products: np.ndarray
  histogram: np.ndarray
  near: np.ndarray
  widest: float

  @classmethod
  def of(
    cls,
    X: np.ndarray,
    tile: np.ndarray,
    table: np.ndarray,
    episode: np.ndarray,
    t: np.ndarray,
    views: np.ndarray | None = None,
    seed: int = 0,
  ) -> Self:
    """Compares all pairs of n timesteps from different episodes.

    Pairs are worked through in blocks, so that memory is n D numbers and not n^2.
    Ranks are those among many sampled pairs, exact where there are no more.

    Args:
      X: (n, D) activations.
      tile: (n,) class of the position; table: (tiles, tiles) distances.
      episode: (n,) in blocks; t: (n,) timestep in the episode.
      views: (n, pixels) what was seen, or None.
      seed: of the sampled pairs.
    """
    distances = distances_of(X, tile, table, t, views)
    names = tuple(distances)
    starts = np.flatnonzero(np.diff(episode, prepend=episode[0] - 1))
    ends = np.append(starts[1:], len(episode))
    ranks = ranks_of(distances, episode, seed)
    known = table[np.ix_(np.unique(tile), np.unique(tile))]
    far = int(known[np.isfinite(known)].max()) + 1
    E, V = len(starts), len(names)
    found = cls(
      names,
      np.zeros((E, E)),
      np.zeros((V, E, E)),
      np.zeros((V, V, E, E)),
      np.zeros((far + 1, BINS)),
      np.zeros(far + 1),
      ranks['code'].most,
    )
    for e in range(E - 1):
      later = np.arange(ends[e], len(episode))
      step = max(1, CHUNK // len(later))
      for first in range(starts[e], ends[e], step):
        rows = np.arange(first, min(first + step, ends[e]))
        values = {k: x.block(rows, later) for k, x in distances.items()}
        found._add(e, values, ranks, starts[e + 1 :] - ends[e])
    return found

  def _add(
    self,
    e: int,
    values: Mapping[str, np.ndarray],
    ranks: Mapping[str, Ranks],
    cut: np.ndarray,
  ) -> None:
    """Sums up a block of pairs of episode e with all later ones."""
    keep = np.isfinite(values['space'])
    ranked = np.stack([ranks[k](v) * keep for k, v in values.items()])
    self.count[e, e + 1 :] += np.add.reduceat(keep.sum(0), cut)
    self.sums[:, e, e + 1 :] += np.add.reduceat(ranked.sum(1), cut, 1)
    for i, j in np.ndindex(self.products.shape[:2]):
      if i <= j:
        both = np.einsum('ij,ij->j', ranked[i], ranked[j])
        self.products[i, j, e, e + 1 :] += np.add.reduceat(both, cut)
    apart = values['space'][keep].round().astype(np.int32)
    code = values['code'][keep]
    level = np.minimum(code * (BINS / self.widest), BINS - 1).astype(np.int32)
    size = self.histogram.size
    counts = np.bincount(apart * BINS + level, minlength=size)
    self.histogram[:] += counts.reshape(self.histogram.shape)
    self.near[:] += np.bincount(apart, code, len(self.near))

  def correlations(self, weight: np.ndarray | None = None) -> np.ndarray:
    """Rank correlations (V, V), each episode counted `weight` (E,) times.

    NaN of variables that are the same in all pairs.
    """
    w = np.ones(len(self.count)) if weight is None else np.asarray(weight, float)
    pair = w[:, None] * w[None]
    with np.errstate(invalid='ignore', divide='ignore'):  # a draw may have no pairs
      n = (pair * self.count).sum()
      mean = (pair * self.sums).sum((1, 2)) / n
      moments = (pair * self.products).sum((2, 3)) / n
    moments = np.triu(moments) + np.triu(moments, 1).T
    covariance = moments - mean[:, None] * mean[None]
    variance = np.diag(covariance)
    spread = np.sqrt(np.where(variance > EQUAL, variance, np.nan))
    found: np.ndarray = covariance / (spread[:, None] * spread[None])
    return found

  @property
  def srsa(self) -> float:
    """Rank correlation of the distances in space and in the code, -1 to 1."""
    return self.value()

  def value(self, given: Sequence[str] = (), weight: np.ndarray | None = None) -> float:
    """sRSA, or what is left of it given other variables.

    The partial rank correlation -P_cs / sqrt(P_cc P_ss), P the inverse of the matrix
    of rank correlations of code, space and the given ones. NaN for a constant code.
    """
    chosen = [self.names.index(x) for x in ('code', 'space', *given)]
    found = self.correlations(weight)[np.ix_(chosen, chosen)]
    if not np.isfinite(found).all():
      return float('nan')
    inverse = np.linalg.pinv(found)
    return float(-inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1]))

  @property
  def controls(self) -> tuple[str, ...]:
    """The variables that a partial value can be given."""
    return tuple(x for x in self.names if x not in ('code', 'space'))
