"""One layer of a recording on disk: rows and units are read when asked for.

  layer = data.activations('dyn/deter')     # of Trajectories; reads nothing
  layer[rows]                                # (n, D) float32
  layer.read(rows, units)                    # (n, d) float32

For analyses of layers that are larger than memory. Numbers are those of
`Trajectories.layer`, whichever way they are read.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from dreamerv3.base.errors import UserError
from dreamerv3.data.episode import Episode


class Matrix(Protocol):
  """Activations (N, D) whose rows can be taken: an array, or what reads them."""

  @property
  def shape(self) -> tuple[int, ...]:
    """(N, D)."""

  def __getitem__(self, rows: Any, /) -> np.ndarray:
    """Some rows (n, D) float32, by an index (n,)."""


class Units(Protocol):
  """Activations whose units can be taken, in memory (`Samples`) or on disk."""

  @property
  def layer(self) -> str:
    """Name of the layer."""

  @property
  def units(self) -> int:
    """Number of units D."""

  def __len__(self) -> int:
    """Number of rows N."""

  def columns(self, units: np.ndarray, /) -> np.ndarray:
    """Activations (N, d) float32 of some units."""


@dataclasses.dataclass(frozen=True)
class Activations:
  """A layer of N timesteps and D units, still on disk.

  Attributes:
    episodes: of the recording.
    parts: (layer, units) of what lies side by side; one, but for 'combined'.
    first: timesteps that are left out at the begin of each episode.
  """

  episodes: tuple[Episode, ...]
  parts: tuple[tuple[str, int], ...]
  first: int

  @property
  def shape(self) -> tuple[int, int]:
    """(N, D)."""
    return int(self._starts[-1]), sum(x for _, x in self.parts)

  def __len__(self) -> int:
    return self.shape[0]

  def __getitem__(self, rows: Any, /) -> np.ndarray:
    """Some rows (n, D) float32: an index, a mask or a slice."""
    return self.read(np.arange(len(self))[rows])

  def read(
    self, rows: np.ndarray | None = None, units: np.ndarray | None = None
  ) -> np.ndarray:
    """Some rows and units (n, d) float32; all by default.

    Args:
      rows: (n,) index in any order, or a mask (N,).
      units: (d,) index in any order.

    Raises:
      UserError: NaN or infinity in what was read; file and key are named.
    """
    count, width = self.shape
    rows = np.arange(count)[slice(None) if rows is None else rows]
    order: np.ndarray | slice = slice(None)
    if (np.diff(rows) < 0).any():
      order = np.argsort(rows, kind='stable')
    ascending = rows[order]
    X = np.empty((len(rows), width if units is None else len(units)), np.float32)
    target = X if isinstance(order, slice) else np.empty_like(X)
    cuts = np.searchsorted(ascending, self._starts).tolist()
    for i, (a, b) in enumerate(itertools.pairwise(cuts)):
      if a == b:
        continue
      t = ascending[a:b] - self._starts[i] + self.first
      for name, inside, columns in self._split(units):
        target[a:b, columns] = _finite(self.episodes[i], name, t, inside)
    if target is not X:
      X[order] = target
    return X

  def hold(self, rows: np.ndarray, most: float) -> 'Matrix':
    """The rows (n,) in memory where they have at most `most` bytes, else itself."""
    if 4 * len(rows) * self.shape[1] > most:
      return self
    return Held(self.shape, rows, self.read(rows))

  def _split(
    self, units: np.ndarray | None
  ) -> Iterable[tuple[str, slice | np.ndarray, slice | np.ndarray]]:
    """Layer, units inside it, and their columns in the result."""
    begin = 0
    for name, size in self.parts:
      if units is None:
        yield name, slice(None), slice(begin, begin + size)
      elif (here := np.flatnonzero((units >= begin) & (units < begin + size))).size:
        inside = units[here] - begin
        yield name, _run(inside), _run(here)
      begin += size

  @functools.cached_property
  def _starts(self) -> np.ndarray:
    """First row of each episode, and the number of rows."""
    lengths = [len(x) - self.first for x in self.episodes]
    return np.concatenate([[0], np.cumsum(lengths)])


@dataclasses.dataclass(frozen=True)
class StoredUnits:
  """Some rows of a layer on disk, of which blocks of units are read.

  Attributes:
    layer: name.
    activations: of all rows.
    kept: (N',) mask of those that count; None for all.
  """

  layer: str
  activations: Activations
  kept: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.activations) if self.kept is None else int(self.kept.sum())

  @property
  def units(self) -> int:
    """Number of units D."""
    return self.activations.shape[1]

  def columns(self, units: np.ndarray) -> np.ndarray:
    """Activations (N, d) float32 of some units."""
    return self.activations.read(self.kept, units)


@dataclasses.dataclass(frozen=True)
class Held:
  """Some rows of a matrix in memory, under their numbers there.

  Attributes:
    shape: (N, D) of the matrix.
    rows: (n,) in ascending order.
    X: (n, D) float32.
  """

  shape: tuple[int, ...]
  rows: np.ndarray
  X: np.ndarray

  def __getitem__(self, rows: Any, /) -> np.ndarray:
    """Some rows (m, D), by an index of rows that are held."""
    place = np.searchsorted(self.rows, rows)
    assert (self.rows[place] == rows).all()
    found: np.ndarray = self.X[place]
    return found


def _run(index: np.ndarray) -> slice | np.ndarray:
  """Neighbours as a slice, which is read and copied faster."""
  first, last = int(index[0]), int(index[-1])
  neighbours = last - first + 1 == len(index) and (np.diff(index) == 1).all()
  return slice(first, last + 1) if neighbours else index


def _finite(
  episode: Episode, name: str, t: np.ndarray, units: slice | np.ndarray
) -> np.ndarray:
  values = episode.part(name, t, units)
  if not np.isfinite(values).all():
    raise UserError(f'{episode.path}: act/{name} holds NaN or infinity; record again.')
  return values
