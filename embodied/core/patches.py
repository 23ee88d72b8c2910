"""The rows of a chunk that were written over since its file was.

For chunkfiles, which keeps them in files of their own.

  patch = cut({'dyn/deter': values}, changed)   # bool (length,)
  put_over(arrays, patch, touched)
"""

from collections.abc import Mapping

import numpy as np

Arrays = Mapping[str, np.ndarray]
ROWS = '.rows'  # key of which rows a patch holds, if not all


def cut(data: Arrays, rows: np.ndarray) -> dict[str, np.ndarray]:
  """The marked rows of arrays, with their numbers; all of them without a copy."""
  if rows.all():
    return dict(data)
  patch = {k: v[rows] for k, v in data.items()}
  return {**patch, ROWS: np.flatnonzero(rows).astype(np.int32)}


def put_over(data: dict[str, np.ndarray], patch: Arrays, touched: np.ndarray) -> int:
  """Write a patch over the arrays of its chunk.

  Args:
    data: arrays (N, ...) by key, changed.
    patch: as from `cut`, also of a moment when the chunk had more rows or fewer.
    touched: bool (length,), length <= N: rows that count; set where they are written.

  Returns:
    Number of rows written.

  Raises:
    ValueError: a patch of another chunk.
  """
  values = {k: v for k, v in patch.items() if k != ROWS}
  most = min((len(x) for x in values.values()), default=0)
  rows = patch.get(ROWS, np.arange(most))
  if not (rows.ndim == 1 and rows.dtype.kind == 'i' and (rows >= 0).all()):
    raise ValueError('rows that no chunk has')
  for key, value in values.items():
    mine = data.get(key)
    if mine is None or value.shape[1:] != mine.shape[1:] or value.dtype != mine.dtype:
      raise ValueError(f'{key} is not of its chunk')
    if len(value) != len(rows):
      raise ValueError(f'{key} has {len(value)} of {len(rows)} rows')
  here = rows < len(touched)
  rows = rows[here]
  for key, value in values.items():
    if ROWS not in patch and len(value) == len(data[key]):
      data[key] = value
    else:
      data[key][rows] = value if here.all() else value[here]
  touched[rows] = True
  return len(rows)
