"""Does a unit's map stay the same from the first to the last episodes?

  drift = Drift.build(design)
  scores = drift.scores(X)                    # (1 + n, D), high: remapped

The maps of the first and of the second half of the recording are correlated;
chance is the same for random halves of its episodes.
"""

import dataclasses
import itertools

import numpy as np
import scipy.sparse

from dreamerv3.analysis.tuning.maps.binned_path import Design, indicator
from dreamerv3.analysis.tuning.maps.reliability import HALF_WEIGHT, correlation

BLOCKS = 10  # runs of neighbouring episodes
SPLITS = 60  # random halves of the runs
FEWEST = 8  # runs below which there is nothing to compare with


@dataclasses.dataclass(frozen=True)
class Drift:
  """Sums over tiles in each of B runs of neighbouring episodes.

  Attributes:
    by_block: (B * V, N) float32; empty for too few episodes.
    visits: (B, V).
    splits: (n + 1, B) bool halves of the runs, the first one in time.
  """

  by_block: scipy.sparse.csr_array
  visits: np.ndarray
  splits: np.ndarray

  @classmethod
  def build(cls, design: Design, seed: int = 0) -> 'Drift':
    """Cuts the episodes of a path into runs, and draws halves of the runs."""
    episode = np.unique(design.track.episode, return_inverse=True)[1]
    count = int(episode.max()) + 1
    blocks = min(BLOCKS, count) // 2 * 2
    if blocks < FEWEST:
      blocks = 0
    block = episode * max(blocks, 1) // count
    v = design.n_tiles
    row = block * v + design.tile if blocks else np.full(len(design), -1)
    visits = np.bincount(row[row >= 0], minlength=blocks * v)
    by_block = indicator(row, blocks * v).astype(np.float32)
    splits = _halves(blocks, np.random.default_rng([seed, 30]))
    return cls(by_block, visits.reshape(blocks, v), splits)

  def __bool__(self) -> bool:
    return len(self.visits) > 0

  def scores(self, X: np.ndarray) -> np.ndarray:
    """Minus the correlation of the halves' maps (1 + n, D), the data's first."""
    if not self:
      return np.zeros((0, X.shape[1]))
    sums = (self.by_block @ X).reshape(*self.visits.shape, -1)
    total, visits = sums.sum(0), self.visits.sum(0)
    found = []
    for half in self.splits:
      m = self.visits[half].sum(0)
      n = visits - m
      both = (m > 0) & (n > 0)
      first = sums[half].sum(0)
      a = first[both] / m[both, None].astype(np.float32)
      b = (total - first)[both] / n[both, None].astype(np.float32)
      harmonic = 2 * m[both] * n[both] / (m[both] + n[both])
      weight = harmonic / (harmonic + HALF_WEIGHT)
      if both.sum() < 3:
        found.append(np.full(X.shape[1], np.nan))
      else:
        found.append(-correlation(a, b, weight))
    return np.stack(found)


def _halves(blocks: int, rng: np.random.Generator) -> np.ndarray:
  """The first half of the runs, then up to 60 others, with run 0 in each."""
  if not blocks:
    return np.zeros((0, 0), bool)
  others = list(itertools.combinations(range(1, blocks), blocks // 2 - 1))
  halves = np.zeros((len(others), blocks), bool)
  for i, some in enumerate(others):
    halves[i, [0, *some]] = True
  chosen = 1 + rng.permutation(len(halves) - 1)[:SPLITS]
  return np.concatenate([halves[:1], halves[chosen]])
