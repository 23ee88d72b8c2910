"""Does the decoder err where the agent has rarely been?

by_tile = tile_errors(true, errors, grid)      # (W, H), NaN = not tested
rows = error_by_visits(by_tile, train_visits)  # error against visits
"""

import dataclasses

import numpy as np

from dreamerv3.data.grid import Grid


@dataclasses.dataclass(frozen=True)
class VisitCurve:
  """Error of tiles with similar numbers of training visits.

  Attributes:
    visits: (B,) geometric middle of each bin; 0 for tiles never trained on.
    mean, sem, median, low, high: (B,) over tiles [tiles]; low and high are the
      quartiles.
    tiles: (B,) number of tiles.
  """

  visits: np.ndarray
  mean: np.ndarray
  sem: np.ndarray
  median: np.ndarray
  low: np.ndarray
  high: np.ndarray
  tiles: np.ndarray


def tile_errors(pos: np.ndarray, errors: np.ndarray, grid: Grid) -> np.ndarray:
  """Mean error per true tile, (W, H) [tiles]; NaN where nothing was tested."""
  classes = grid.to_class(pos)
  counts = np.bincount(classes, minlength=grid.size)
  sums = np.bincount(classes, weights=errors, minlength=grid.size)
  mean = np.full(grid.size, np.nan)
  np.divide(sums, counts, out=mean, where=counts > 0)
  return mean.reshape(grid.shape)


def balanced_error(pos: np.ndarray, errors: np.ndarray, grid: Grid) -> float:
  """Mean over tested tiles of their mean error: each tile counts once."""
  return float(np.nanmean(tile_errors(pos, errors, grid)))


def error_by_visits(by_tile: np.ndarray, visits: np.ndarray) -> VisitCurve:
  """Groups tested tiles by training visits: 0, 1, 2-3, 4-7, 8-15 ..."""
  tested = np.isfinite(by_tile)
  errors, counts = by_tile[tested], visits[tested].astype(np.int64)
  # The number of binary digits: 0 -> 0, 1 -> 1, 2..3 -> 2, 4..7 -> 3 ...
  bins = np.frexp(counts.astype(np.float64))[1]
  rows = [_bin(b, errors[bins == b]) for b in np.unique(bins)]
  return VisitCurve(*(np.array(x) for x in zip(*rows, strict=True)))


def _bin(digits: int, errors: np.ndarray) -> tuple[float, ...]:
  low, middle, high = np.percentile(errors, (25, 50, 75))
  sem = errors.std(ddof=1) / len(errors) ** 0.5 if len(errors) > 1 else np.nan
  first, last = (0, 0) if digits == 0 else (2 ** (digits - 1), 2**digits - 1)
  visits = float(np.sqrt(first * last))
  return visits, errors.mean(), sem, middle, low, high, len(errors)
