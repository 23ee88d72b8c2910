"""Activations without single wild values, which would hide any code.

calm, outliers = winsorise(X)               # (N, D) and (D,) samples moved
"""

import numpy as np

ROWS = 2048  # that the range of a unit is estimated from
INNER = 3  # the most extreme of those that do not count
FENCE = 1.0  # ranges beyond the range at which a value is an outlier
MIN_ROWS = 200  # below, a range says too little


def winsorise(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Moves values far outside a unit's range to a fence around it.

    2 low - high <= x <= 2 high - low

  low and high are the fourth lowest and fourth highest of up to 2048 samples,
  evenly spread: about the 0.15 and 99.85 percentiles. A sparse unit, silent in
  all but a few of them, has no range and stays as it is; so do normal and
  even heavy tails. (Winsorising: Tukey 1962, doi:10.1214/aoms/1177704711.)

  Args:
    X: (N, D).

  Returns:
    The same array where nothing was moved, else a copy; and for each unit the
    number of samples that were, (D,).
  """
  if len(X) < MIN_ROWS:
    return X, np.zeros(X.shape[1], np.int64)
  rows = np.linspace(0, len(X) - 1, min(len(X), ROWS)).astype(int)
  some = np.partition(X[rows], (INNER, len(rows) - 1 - INNER), axis=0)
  low, high = some[INNER], some[-1 - INNER]
  span = np.where(high > low, high - low, np.inf)
  low, high = low - FENCE * span, high + FENCE * span
  wild = (X.min(0) < low) | (X.max(0) > high)
  moved = np.zeros(X.shape[1], np.int64)
  if not wild.any():
    return X, moved
  part = X[:, wild]
  calm = np.clip(part, low[wild], high[wild])
  moved[wild] = (calm != part).sum(0)
  out = X.copy()
  out[:, wild] = calm
  return out, moved
