"""What an analysis computes on: positions and activations, row by row.

  track = data.track()                  # pos (N, 2), episode, t, facing
  samples = data.layer('dyn/deter')     # X (N, D) in step with its track

For every analysis; `Trajectories` makes them. They check their shapes and raise,
they never truncate.
"""

import dataclasses
from typing import Any

import numpy as np

from dreamerv3.data import convert


@dataclasses.dataclass(frozen=True)
class Track:
  """Where the agent was: one row per analysed timestep.

  Attributes:
    pos: (N, 2) int64 [tiles; x east, y south].
    episode: (N,) int64, place of the episode in `Trajectories.episodes`.
    t: (N,) int64, timestep inside the episode; 0 is the reset observation.
    facing: (N, 2) int8 of (dx, dy); (0, 0) where it is unknown.
  """

  pos: np.ndarray
  episode: np.ndarray
  t: np.ndarray
  facing: np.ndarray

  def __post_init__(self) -> None:
    n = len(self.pos)
    shapes = {'pos': (n, 2), 'episode': (n,), 't': (n,), 'facing': (n, 2)}
    for name, shape in shapes.items():
      got = getattr(self, name).shape
      if got != shape:
        raise ValueError(f'{name} has shape {got}; expected {shape}.')

  def __len__(self) -> int:
    return len(self.pos)

  def rows(self, index: np.ndarray) -> 'Track':
    """The track at some rows: an index array or a mask."""
    return Track(
      self.pos[index], self.episode[index], self.t[index], self.facing[index]
    )

  def clock(self, step_s: float = 1.0) -> convert.RowTimes:
    """Times of the rows and epochs of the episodes [s], see `data.convert`."""
    return convert.clock(self.episode, self.t, step_s)

  def to_pynapple(self, step_s: float = 1.0) -> Any:
    """`TsdFrame` of x, y, facing_x, facing_y with an epoch per episode.

    Args:
      step_s: how long a timestep lasts [s].
    """
    values = np.column_stack([self.pos, self.facing]).astype(np.float64)
    return convert.to_pynapple(values, _COLUMNS, self.clock(step_s))

  def to_pandas(self) -> Any:
    """`DataFrame` of x, y, facing_x, facing_y, found by (episode, t)."""
    values = np.column_stack([self.pos, self.facing])
    columns = dict(zip(_COLUMNS, values.T, strict=True))
    return convert.to_pandas(columns, {'episode': self.episode, 't': self.t})


_COLUMNS = ('x', 'y', 'facing_x', 'facing_y')


@dataclasses.dataclass(frozen=True)
class Samples:
  """The activations of one layer, in step with the track.

  Attributes:
    layer: name.
    X: (N, D) float32.
    track: positions, episodes, times and facings of the same N rows.
  """

  layer: str
  X: np.ndarray
  track: Track

  def __post_init__(self) -> None:
    if self.X.ndim != 2 or len(self.X) != len(self.track):
      raise ValueError(
        f'{self.layer}: X has shape {self.X.shape}; expected ({len(self.track)}, D).'
      )

  def __len__(self) -> int:
    return len(self.X)

  @property
  def pos(self) -> np.ndarray:
    """(N, 2) int64 [tiles; x east, y south]."""
    return self.track.pos

  @property
  def episode(self) -> np.ndarray:
    """(N,) int64, place of the episode in `Trajectories.episodes`."""
    return self.track.episode

  def columns(self, units: np.ndarray) -> np.ndarray:
    """Activations (N, d) of some units; neighbours are not copied."""
    first, last = int(units[0]), int(units[-1])
    neighbours = last - first == len(units) - 1 and (np.diff(units) == 1).all()
    found: np.ndarray = self.X[:, slice(first, last + 1) if neighbours else units]
    return found

  @property
  def units(self) -> int:
    """Number of units D."""
    return int(self.X.shape[1])

  def rows(self, index: np.ndarray) -> 'Samples':
    """The samples at some rows: an index array or a mask."""
    return Samples(self.layer, self.X[index], self.track.rows(index))

  def to_pynapple(self, step_s: float = 1.0) -> Any:
    """`TsdFrame` (N, D) of the units, with an epoch per episode.

    Args:
      step_s: how long a timestep lasts [s]; a convention, the game has no clock.
    """
    columns = range(self.X.shape[1])
    return convert.to_pynapple(self.X, columns, self.track.clock(step_s))

  def to_xarray(self, step_s: float = 1.0) -> Any:
    """`DataArray` (time, unit) with coordinates episode, t, x and y per row."""
    track = self.track
    x, y = track.pos.T
    rows = {'episode': track.episode, 't': track.t, 'x': x, 'y': y}
    return convert.to_xarray(
      self.X,
      ('time', 'unit'),
      {
        'time': track.clock(step_s).times,
        'unit': np.arange(self.X.shape[1]),
        **{k: ('time', v) for k, v in rows.items()},
      },
      self.layer,
      {'step_s': step_s, 'position': 'tiles; x east, y south'},
    )

  def to_pandas(self) -> Any:
    """`DataFrame` (N, D) of the units, found by (episode, t)."""
    columns = dict(enumerate(self.X.T))
    index = {'episode': self.episode, 't': self.track.t}
    return convert.to_pandas(columns, index)
