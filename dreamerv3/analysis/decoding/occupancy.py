"""Does the decoder err where the agent has rarely been?

errors = tile_means(pos, errors, grid)   # (W, H), NaN = not tested
visits = tile_means(pos, visits, grid)   # of training, each row's own fold
curve = error_by_visits(errors, visits)
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


def tile_means(pos: np.ndarray, values: np.ndarray, grid: Grid) -> np.ndarray:
  """Mean of values (N,) on each tile, (W, H); NaN where there are none."""
  classes = grid.to_class(pos)
  counts = np.bincount(classes, minlength=grid.size)
  weights = np.asarray(values, np.float64)
  sums = np.bincount(classes, weights, minlength=grid.size)
  mean = np.full(grid.size, np.nan)
  np.divide(sums, counts, out=mean, where=counts > 0)
  return mean.reshape(grid.shape)


def balanced_error(pos: np.ndarray, errors: np.ndarray, grid: Grid) -> float:
  """Mean over tested tiles of their mean error: each tile counts once."""
  return float(np.nanmean(tile_means(pos, errors, grid)))


def error_by_visits(by_tile: np.ndarray, visits: np.ndarray) -> VisitCurve:
  """Groups tested tiles by training visits: 0, up to 2, up to 4, up to 8 ...

  Visits are means over folds: any below 1 is some, and falls to the tiles
  with one.
  """
  tested = np.isfinite(by_tile)
  errors, counts = by_tile[tested], visits[tested].astype(np.float64)
  # The number of binary digits: 0 -> 0, 0+..2- -> 1, 2..4- -> 2, 4..8- -> 3
  bins = np.where(counts > 0, np.maximum(np.frexp(counts)[1], 1), 0)
  rows = [_bin(b, errors[bins == b]) for b in np.unique(bins)]
  return VisitCurve(*(np.array(x) for x in zip(*rows, strict=True)))


def _bin(digits: int, errors: np.ndarray) -> tuple[float, ...]:
  low, middle, high = np.percentile(errors, (25, 50, 75))
  sem = errors.std(ddof=1) / len(errors) ** 0.5 if len(errors) > 1 else np.nan
  first, last = (0, 0) if digits == 0 else (2 ** (digits - 1), 2**digits - 1)
  visits = float(np.sqrt(first * last))
  return visits, errors.mean(), sem, middle, low, high, len(errors)
