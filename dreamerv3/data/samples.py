"""What an analysis computes on: positions and activations, row by row.

  track = data.track()                  # pos (N, 2), episode, t, facing
  samples = data.layer('dyn/deter')     # X (N, D) in step with its track

For every analysis; `reader` makes them. They check their shapes and raise,
they never truncate.
"""

import dataclasses

import numpy as np


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
