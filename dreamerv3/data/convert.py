"""Rows of a recording as objects of pynapple, xarray and pandas.

For those who analyse with them; `Track`, `Samples` and results call it.

  samples.to_pynapple(step_s=0.1).restrict(epochs)      # nap.TsdFrame
  samples.to_xarray().groupby('episode').mean()         # xr.DataArray

The time base: a timestep lasts `step_s` seconds, 1 unless it is given (the game has no
clock of its own). Episodes follow each other with one empty timestep between them, so
that an epoch [first, last + 1) of one does not touch the next.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class RowTimes(NamedTuple):
  """The time of rows, and the epochs of their episodes.

  Attributes:
    times: (N,) [s] at which a timestep begins.
    episodes: (E,) places of the episodes.
    starts, ends: (E,) [s] of their epochs.
  """

  times: np.ndarray
  episodes: np.ndarray
  starts: np.ndarray
  ends: np.ndarray


def clock(episode: np.ndarray, t: np.ndarray, step_s: float = 1.0) -> RowTimes:
  """Puts episodes one after another on one axis of time.

  Args:
    episode, t: (N,) of each row, in order.
    step_s: how long a timestep lasts [s].

  Raises:
    ValueError: rows out of order, which have no place in time; no positive step.
  """
  if not step_s > 0:
    raise ValueError(f'step_s is {step_s}; expected seconds above 0.')
  place, step = np.asarray(episode, np.int64), np.asarray(t, np.int64)
  same = place[1:] == place[:-1]
  if (place[1:] < place[:-1]).any() or (step[1:] <= step[:-1])[same].any():
    raise ValueError('Rows are not in the order of episodes and time.')
  places, first, which = np.unique(place, return_index=True, return_inverse=True)
  last = np.append(first[1:], len(step)) - 1
  lengths = step[last] + 1
  begin = np.cumsum(lengths + 1) - lengths - 1
  return RowTimes(
    (begin[which] + step) * float(step_s),
    places,
    (begin + step[first]) * float(step_s),
    (begin + lengths) * float(step_s),
  )


def to_pynapple(values: np.ndarray, columns: Sequence[Any], time: RowTimes) -> Any:
  """A `pynapple.TsdFrame` (N, D) with an epoch per episode as its time support.

  Args:
    values: (N, D), columns: D names.
  """
  import pynapple as nap  # slow to import

  epochs = nap.IntervalSet(
    time.starts, time.ends, metadata={'episode': time.episodes.tolist()}
  )
  return nap.TsdFrame(
    t=time.times, d=values, columns=list(columns), time_support=epochs
  )


def to_xarray(
  values: np.ndarray,
  dims: Sequence[str],
  coords: Mapping[str, Any],
  name: str,
  attrs: Mapping[str, Any],
) -> Any:
  """An `xarray.DataArray`.

  Args:
    values: one axis for each of `dims`.
    coords: {name: values of the dimension of this name, or (dimension, values)}.
    name, attrs: what it is.
  """
  import xarray as xr

  return xr.DataArray(
    values, dims=tuple(dims), coords=dict(coords), name=name, attrs=dict(attrs)
  )


def to_pandas(
  columns: Mapping[Any, Any] | Sequence[Mapping[str, Any]],
  index: Mapping[str, np.ndarray] | None = None,
) -> Any:
  """A `pandas.DataFrame`.

  Args:
    columns: {name: (N,) values}, or N rows as {name: value}.
    index: {name: (N,)} that rows are found by.
  """
  import pandas as pd

  rows = None
  if index is not None:
    rows = pd.MultiIndex.from_arrays(list(index.values()), names=list(index))
  return pd.DataFrame(columns, index=rows)
