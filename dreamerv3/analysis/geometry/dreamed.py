"""How far do dreamed states lie from those of the waking agent?

found = Sleep.of(wake, episode, dreams, valid)
"""

import dataclasses
from typing import Self

import numpy as np

ROWS = 1024


@dataclasses.dataclass(frozen=True)
class Sleep:
  """Cosine distance to the nearest waking state ("sleep-wake distance").

  Attributes:
    dream: (M,) of each dreamed state; NaN after the end of an episode.
    step: (M,) of the dream, from 1.
    wake: (n,) of each waking state to those of *other* episodes: what a state costs
      that is no dream at all. Without it a dream looks near only since waking
      states are dense.
  """

  dream: np.ndarray
  step: np.ndarray
  wake: np.ndarray

  @classmethod
  def of(
    cls, wake: np.ndarray, episode: np.ndarray, dreams: np.ndarray, valid: np.ndarray
  ) -> Self:
    """Compares dreams (N, H, D), where valid (N, H), with waking states (n, D)."""
    units, other = _units(wake), _units(dreams.reshape(-1, dreams.shape[-1]))
    far = nearest(other, units)
    far[~valid.reshape(-1)] = np.nan
    apart = np.full(len(units), np.nan)
    for e in np.unique(episode):
      here = episode == e
      if not here.all():
        apart[here] = nearest(units[here], units[~here])
    steps = np.tile(np.arange(1, dreams.shape[1] + 1), len(dreams))
    return cls(far, steps, apart)

  @property
  def distance(self) -> float:
    """Median over dreamed states."""
    return float(np.nanmedian(self.dream))

  @property
  def baseline(self) -> float:
    """Median over waking states of other episodes."""
    return float(np.nanmedian(self.wake))

  def course(self) -> np.ndarray:
    """Quartiles at each step of the dream, (3, H)."""
    steps = range(1, self.step.max() + 1)
    cut = [self.dream[(self.step == h) & np.isfinite(self.dream)] for h in steps]
    empty = np.full(3, np.nan)
    return np.stack(
      [np.percentile(x, (25, 50, 75)) if len(x) else empty for x in cut], 1
    )


def nearest(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Cosine distance of each unit vector of a (n, D) to the nearest of b (m, D)."""
  parts = [1 - (a[i : i + ROWS] @ b.T).max(1) for i in range(0, len(a), ROWS)]
  distance: np.ndarray = np.maximum(np.concatenate(parts), 0)
  return distance


def _units(X: np.ndarray) -> np.ndarray:
  X = np.asarray(X, np.float32)
  length = np.sqrt(np.einsum('nd,nd->n', X, X, dtype=np.float64))
  return (X / np.where(length > 0, length, 1)[:, None]).astype(np.float32)
