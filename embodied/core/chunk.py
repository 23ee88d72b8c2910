"""A block of consecutive steps of one worker, in preallocated arrays.

For the replay. Blocks of one worker are linked, so that a sequence can run
over the border of two.

  chunk = Chunk(serial=0, size=1024); chunk.append({'reward': np.float32(1)})
"""

import datetime
from collections.abc import Collection, Mapping
from typing import Any

import elements
import numpy as np

from .compact import Forms

STEPID = 20  # bytes: 16 of the chunk's uuid, 4 of the index (big-endian)

Layout = dict[str, tuple[tuple[int, ...], np.dtype]]


def stored_dtype(dtype: Any) -> np.dtype:
  """Dtype in which the replay keeps values of this one.

  Python and double precision floats become float32, signed integers int32;
  unsigned integers and bool stay.
  """
  dtype = np.dtype(dtype)
  if np.issubdtype(dtype, np.floating):
    return np.dtype(np.float32)
  if np.issubdtype(dtype, np.signedinteger):
    return np.dtype(np.int32)
  if np.issubdtype(dtype, np.unsignedinteger) or dtype == np.bool_:
    return dtype
  raise ValueError(f'The replay cannot store {dtype}: numbers and bool only.')


def layout_of(step: Mapping[str, Any], packed: Collection[str] = ()) -> Layout:
  """{key: (shape, stored dtype)} of one step, or of a dict of spaces.

  Args:
    packed: keys that are in the form of their own in which they are stored.
  """
  arrays = {
    k: v if hasattr(v, 'dtype') and hasattr(v, 'shape') else np.asarray(v)
    for k, v in step.items()
  }
  return {
    k: (tuple(v.shape), v.dtype if k in packed else stored_dtype(v.dtype))
    for k, v in sorted(arrays.items())
  }


def step_bytes(layout: Layout) -> int:
  """Memory of one step [bytes]: its values, its stepid, its item."""
  values = sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in layout.values())
  return values + STEPID + 8


def memory_estimate(
  spaces: Mapping[str, Any],
  steps: float,
  capacity: float = 0,
  workers: int = 1,
  length: int = 65,
  chunksize: int = 1024,
  forms: Forms | None = None,
) -> int:
  """Memory [bytes] of a replay after so many environment steps.

  Args:
    spaces: Space or example of each key of a step, latents included.
    steps: Environment steps of the run.
    capacity: Items kept; 0 means all.
    forms: How keys are kept that are not kept as they come.
  """
  kept = min(steps, capacity + workers * length) if capacity else steps
  # Each worker has a chunk that it fills and one that it empties.
  rows = kept + workers * chunksize * (2 if kept < steps else 1)
  layout = layout_of({k: v for k, v in spaces.items() if not k.startswith('log/')})
  for key, form in (forms or {}).items():
    if key in layout:
      layout[key] = form.row(layout[key][0])
  return int(rows * step_bytes(layout))


def check_update(
  layout: Layout, stepid: np.ndarray, values: Mapping[str, np.ndarray]
) -> None:
  """ValueError unless `stepid` (B, T, 20) and values (B, T, ...) fit the layout."""
  if stepid.ndim != 3 or stepid.shape[2] != STEPID:
    raise ValueError(f'stepid has shape {stepid.shape}, expected (B, T, {STEPID}).')
  for key, value in values.items():
    shape = layout[key][0] if key in layout else 'not stored'
    if shape == 'not stored' or value.shape != (*stepid.shape[:2], *shape):
      raise ValueError(
        f'Update of {key!r} with shape {value.shape} for '
        f'{stepid.shape[:2]} steps; a stored step is {shape}.'
      )


class Chunk:
  """Steps [0, length) of `size` rows, never changed once they are written,
  except by `update`.

  Attributes:
    serial: Number within this process; ascends with creation.
    uuid, time: Name on disk and in `stepid`.
    prev, succ: Neighbours in the worker's stream, or None.
    refs: Steps that are the start of an item, or still may become one.
    open: Whether steps may be appended.
    shared: Keys whose arrays a snapshot still needs; emptied when that is
      written, by the one who took it.
    version: Number of updates; tells whether the copy on disk is stale.
    stamps: Of each row, the version at its last update.
    updated: Keys that were ever updated.
    file, file_version, patches, patched, saved_version: What is on disk, see
      chunkfiles.py.
  """

  def __init__(
    self,
    serial: int,
    size: int,
    uuid: elements.UUID | None = None,
    time: str | None = None,
  ) -> None:
    now = datetime.datetime.now(datetime.UTC)
    self.serial = serial
    self.size = size
    self.uuid = uuid or elements.UUID()
    self.time = time or now.strftime('%Y%m%dT%H%M%SF%f')
    self.prev: Chunk | None = None
    self.succ: Chunk | None = None
    self.length = 0
    self.refs = 0
    self.open = True
    self.data: dict[str, np.ndarray] = {}
    self.shared: set[str] = set()
    self.updated: set[str] = set()
    self.version = 0
    self.stamps = np.zeros(size, np.int32)
    self.file: str | None = None
    self.file_version = 0
    self.patches: list[str] = []
    self.patched = 0  # rows in the patches, those that are in several counted so
    self.saved_version = 0

  @property
  def nbytes(self) -> int:
    """Memory of its arrays [bytes]."""
    return sum(x.nbytes for x in self.data.values())

  @property
  def full(self) -> bool:
    """Whether no further step fits."""
    return self.length >= self.size

  def allocate(self, layout: Layout) -> None:
    """Reserve all rows. The system commits memory as they are written."""
    self.data = {
      key: np.empty((self.size, *shape), dtype)
      for key, (shape, dtype) in layout.items()
    }
    self.data['stepid'] = np.empty((self.size, STEPID), np.uint8)
    self.data['stepid'][:, :16] = np.frombuffer(self.uuid.value, np.uint8)
    index = np.arange(self.size, dtype='>u4')
    self.data['stepid'][:, 16:] = index.view(np.uint8).reshape(-1, 4)

  def append(self, step: Mapping[str, Any]) -> int:
    """Write the next row; returns its index."""
    index = self.length
    for key, value in step.items():
      self.data[key][index] = value
    self.length += 1
    return index

  def update(self, start: int, stop: int, values: dict[str, Any]) -> None:
    """Write over rows [start, stop).

    Arrays that a snapshot holds are replaced by copies first, so the snapshot
    keeps what it was taken of.
    """
    for key, value in values.items():
      if key in self.shared:
        self.data[key] = self.data[key].copy()
        self.shared.discard(key)
      self.data[key][start:stop] = value
    self.updated.update(values)
    self.version += 1
    self.stamps[start:stop] = self.version

  def snapshot(self) -> dict[str, np.ndarray]:
    """The rows as they are now, without a copy, whatever happens next."""
    self.shared = set(self.data)
    return {k: v[: self.length] for k, v in self.data.items()}

  def fill(self, data: dict[str, np.ndarray], length: int, layout: Layout) -> None:
    """Take over the first `length` rows of arrays read from disk."""
    if self.open:
      self.allocate(layout)
      for key, value in data.items():
        self.data[key][:length] = value[:length]
    else:
      self.size = length
      self.data = {k: v[:length] for k, v in data.items()}
    self.length = length
