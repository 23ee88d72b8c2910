"""Does a unit's map stay the same from the first to the last episodes?

  drift = Drift.build(design)
  scores = drift.scores(X)                    # (1 + n, D), high: remapped

The maps of the first and of the second half of the recording are correlated;
chance is the same for random halves of its episodes.
"""

import dataclasses
import functools
import itertools

import numpy as np
import scipy.sparse

from dreamerv3.analysis.tuning.maps.binned_path import Design, indicator
from dreamerv3.analysis.tuning.maps.reliability import HALF_WEIGHT

BLOCKS = 10  # runs of neighbouring episodes
SPLITS = 60  # random halves of the runs
TILES = 64  # whose maps of all splits are made at a time
FEWEST = 8  # runs below which there is nothing to compare with
UNEVEN = 1.5  # times as many samples in one half, from which on it is not tested


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
    block, blocks = _runs(design.track.episode)
    if blocks < FEWEST or uneven(design.track.episode):
      blocks = 0
    v = design.n_tiles
    row = block * v + design.tile if blocks else np.full(len(design), -1)
    visits = np.bincount(row[row >= 0], minlength=blocks * v)
    by_block = indicator(row, blocks * v).astype(np.float32)
    splits = _halves(blocks, np.random.default_rng([seed, 30]))
    return cls(by_block, visits.reshape(blocks, v), splits)

  def __bool__(self) -> bool:
    return len(self.visits) > 0

  def scores(self, X: np.ndarray) -> np.ndarray:
    """Minus the correlation of the halves' maps (1 + n, D), the data's first.

    NaN where the halves share fewer than three tiles, or a half's map is even.

    Args:
      X: (N, D) activations less their means.
    """
    if not self:
      return np.zeros((0, X.shape[1]))
    sums = (self.by_block @ X).reshape(*self.visits.shape, -1)
    halves = self.splits.astype(np.float32)
    terms = np.zeros((5, len(halves), X.shape[1]), np.float32)
    m, n, weight = self._weights
    for at in range(0, sums.shape[1], TILES):
      tiles = slice(at, at + TILES)
      some = sums[:, tiles]
      a = np.tensordot(halves, some, 1)
      b = some.sum(0) - a
      a *= m[:, tiles, None]
      b *= n[:, tiles, None]
      for term, values in zip(terms, (a, b, a * a, b * b, a * b), strict=True):
        term += np.matmul(weight[:, None, tiles], values)[:, 0]
    first, second, aa, bb, ab = terms
    spread = (aa - first**2) * (bb - second**2)
    known = (spread > 1e-12 * aa * bb) & (spread > 0)
    r = (ab - first * second) / np.sqrt(np.where(known, spread, 1))
    return np.where(known, -r, np.nan)

  @functools.cached_property
  def _weights(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What sums of each split (n + 1, V) are multiplied with; of tiles of both halves.

    1 / visits of the first half and of the second; the tile's weight, of sum 1, or 0 of
    splits that share fewer than three tiles.
    """
    m = self.splits.astype(np.int64) @ self.visits
    n = self.visits.sum(0) - m
    both = (m > 0) & (n > 0)
    harmonic = 2 * m * n / np.maximum(m + n, 1)
    weight = np.where(both, harmonic / (harmonic + HALF_WEIGHT), 0)
    weight *= (both.sum(1) >= 3)[:, None]
    weight /= np.maximum(weight.sum(1, keepdims=True), 1e-30)
    first, second = (np.where(both, 1 / np.maximum(x, 1), 0) for x in (m, n))
    kind = np.float32
    return first.astype(kind), second.astype(kind), weight.astype(kind)


def uneven(episode: np.ndarray) -> bool:
  """Whether the first or the second half of the episodes holds far more samples.

  Their maps then are less alike than those of random halves, which hold as many, and
  fields that never change would be told as remapping.
  """
  block, blocks = _runs(episode)
  first = int((2 * block < blocks).sum())
  halves = sorted((first, len(block) - first))
  return blocks >= FEWEST and halves[1] > UNEVEN * halves[0]


def _runs(episode: np.ndarray) -> tuple[np.ndarray, int]:
  """The run (N,) of neighbouring episodes that each sample is in, and their number."""
  place = np.unique(episode, return_inverse=True)[1]
  count = int(place.max()) + 1
  blocks = min(BLOCKS, count) // 2 * 2
  return place * max(blocks, 1) // count, blocks


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
