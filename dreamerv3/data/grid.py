"""Tiles of a world, and the classes that a position decoder predicts.

grid = Grid(64, 64); grid.to_class(np.array([[3, 5]]))  # [197]
"""

import dataclasses

import numpy as np

from dreamerv3.base.errors import UserError

MOST_TILES = 1 << 22  # 2048 x 2048; maps of more would not fit into memory


@dataclasses.dataclass(frozen=True)
class Grid:
  """A world of `width` x `height` tiles; x runs east, y south, from 0.

  Every map is indexed [x, y] and has shape (W, H). The class of a tile is
  x * H + y, the C-order index into such a map.
  """

  width: int  # [tiles]
  height: int  # [tiles]

  def __post_init__(self) -> None:
    for name in ('width', 'height'):
      value = getattr(self, name)
      if not isinstance(value, int | np.integer) or value < 1:
        raise UserError(f'Grid {name} is {value!r}; expected an integer >= 1.')
      object.__setattr__(self, name, int(value))
    if self.size > MOST_TILES:
      raise UserError(
        f'A grid of {self.width} x {self.height} tiles; at most {MOST_TILES} fit.'
      )

  @property
  def shape(self) -> tuple[int, int]:
    """(W, H) [tiles], of every map of this world."""
    return self.width, self.height

  @property
  def size(self) -> int:
    """Number of tiles."""
    return self.width * self.height

  def check(self, pos: np.ndarray) -> np.ndarray:
    """Positions (..., 2) as int64; raises unless each is a tile of the grid."""
    pos = np.asarray(pos)
    if pos.shape[-1:] != (2,):
      raise UserError(f'Positions have shape {pos.shape}; expected (..., 2).')
    if not np.isfinite(pos).all():
      raise UserError('Positions hold NaN or infinity; expected tiles.')
    tiles = pos.astype(np.int64)
    if (tiles != pos).any():
      bad = pos[(tiles != pos).any(-1)][0]
      raise UserError(f'Position {bad.tolist()} is not a whole tile.')
    outside = ((tiles < 0) | (tiles >= self.shape)).any(-1)
    if outside.any():
      raise UserError(
        f'Position {tiles[outside][0].tolist()} lies outside the world of '
        f'{self.width} x {self.height} tiles; give the right --area.'
      )
    return tiles

  def to_class(self, pos: np.ndarray) -> np.ndarray:
    """Positions (..., 2) to classes (...)."""
    tiles = self.check(pos)
    classes: np.ndarray = tiles[..., 0] * self.height + tiles[..., 1]
    return classes

  def to_pos(self, cls: np.ndarray) -> np.ndarray:
    """Classes (...) to positions (..., 2)."""
    cls = np.asarray(cls)
    if ((cls < 0) | (cls >= self.size)).any():
      raise UserError(
        f'Classes span {cls.min()}..{cls.max()}; the grid has {self.size}.'
      )
    return np.stack(np.divmod(cls, self.height), -1)

  def count(self, pos: np.ndarray) -> np.ndarray:
    """Visits per tile, (N, 2) -> (W, H) int64."""
    counts = np.bincount(self.to_class(pos), minlength=self.size)
    return counts.reshape(self.shape)


def manhattan(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """|dx| + |dy| [tiles] between positions (..., 2), broadcasting."""
  steps: np.ndarray = np.abs(np.asarray(a) - np.asarray(b)).sum(-1)
  return steps
