"""Which tiles of the world an observation shows, and where in the picture.

  view = View.normal()
  seen = mosaic(images, pos, facing, view, grid).image()

The normal view is centred on the player with north up. The egocentric one is
turned so that the player faces up, and shows nothing behind it.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from scipy import sparse

from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid

# The inventory lies below the world and takes rows of the picture from it.
ITEMS = 16
ITEM_COLUMNS = 9

# Colour of tiles that were never seen.
UNSEEN = 217

# Share of tiles in disagreement above which two worlds are not the same.
DIFFERENT = 0.12

# Frames whose patches are held in memory at a time.
BLOCK = 256


@dataclasses.dataclass(frozen=True)
class View:
  """The part of the world in a picture [tiles], around the player's tile.

  Attributes:
    tiles: columns that the picture is divided into.
    side: columns on each side of the player.
    ahead: rows above the player's, behind: rows below it.
    egocentric: whether the picture is turned so that up is where it faces.
  """

  tiles: int
  side: int
  ahead: int
  behind: int
  egocentric: bool = False

  @classmethod
  def normal(cls, half: int = 4) -> 'View':
    """The game's own view: 2 * half + 1 columns, of which 9 x 7 by default."""
    tiles = 2 * half + 1
    rows = tiles - -(-ITEMS // tiles)
    if rows < 1:
      raise UserError(f'--view_half is {half}; expected at least 2.')
    return cls(tiles, half, rows // 2, rows - 1 - rows // 2)

  @classmethod
  def ego(cls, tiles: int, size: int = 64) -> 'View':
    """The egocentric view of `tiles` columns in a picture of `size` pixels."""
    if tiles < 3 or tiles % 2 == 0:
      raise UserError(f'--egocentric_view is {tiles}; expected an odd number.')
    if tiles > size // 2:
      raise UserError(
        f'--egocentric_view is {tiles}; expected at most {size // 2}, since '
        f'images are {size} pixels wide.'
      )
    strip = -(-ITEMS // ITEM_COLUMNS) * size // ITEM_COLUMNS
    ahead = tiles - 1 - -(-strip // (size // tiles))
    return cls(tiles, tiles // 2, ahead, 0, egocentric=True)

  @property
  def shape(self) -> tuple[int, int]:
    """Columns and rows of tiles that show the world."""
    return 2 * self.side + 1, self.ahead + 1 + self.behind

  def unit(self, size: int) -> int:
    """Pixels of a tile in a picture of `size` pixels."""
    return size // self.tiles

  def patches(self, images: np.ndarray) -> np.ndarray:
    """World part of pictures, (T, h, w, 3) -> (T, rows, cols, u, u, 3)."""
    size = images.shape[2]
    unit = self.unit(size)
    cols, rows = self.shape
    if unit < 1 or images.shape[1] < rows * unit:
      raise UserError(
        f'Images are {size} x {images.shape[1]} pixels; too small for '
        f'{cols} x {rows} tiles.'
      )
    # The egocentric picture starts in the corner, the game's is centred.
    start = 0 if self.egocentric else (size - unit * self.tiles) // 2
    part = images[:, start : start + rows * unit, start : start + cols * unit]
    part = part.reshape(len(images), rows, unit, cols, unit, 3)
    return part.transpose(0, 1, 3, 2, 4, 5)

  def offsets(self, facing: np.ndarray) -> np.ndarray:
    """World offsets [tiles] of the picture's tiles, (T, rows, cols, 2).

    Args:
      facing: (T, 2) of (dx, dy), used by the egocentric view alone.
    """
    right, down = np.meshgrid(
      np.arange(-self.side, self.side + 1),
      np.arange(-self.ahead, self.behind + 1),
    )
    return self._to_world(right, down, facing)

  def outline(self, facing: np.ndarray) -> np.ndarray:
    """Corners of the field of view (4, 2) [tiles] around the player.

    In the picture they are upper left, upper right, lower right, lower left.
    """
    wide = self.side + 0.5
    right = np.array([[-wide, wide, wide, -wide]])
    far, near = -self.ahead - 0.5, self.behind + 0.5
    down = np.array([[far, far, near, near]])
    return self._to_world(right, down, np.asarray(facing)[None])[0, 0]

  def _to_world(
    self, right: np.ndarray, down: np.ndarray, facing: np.ndarray
  ) -> np.ndarray:
    """Directions (rows, cols) in the picture to the world's, (T, ..., 2)."""
    if not self.egocentric:
      fixed = np.stack([right, down], -1)
      return np.broadcast_to(fixed, (len(facing), *fixed.shape))
    facing = np.asarray(facing, np.int64)
    # Up in the picture is where the player faces, right is clockwise of it.
    clockwise = np.stack([-facing[:, 1], facing[:, 0]], -1)
    right, down = right[None, :, :, None], down[None, :, :, None]
    return right * clockwise[:, None, None] - down * facing[:, None, None]


def recorded(settings: Mapping[str, Any]) -> int:
  """The egocentric view that a recording was made with; 0 for none.

  Args:
    settings: of the recording, nested or with dotted names.
  """
  for key, value in settings.items():
    if isinstance(value, Mapping):
      found = recorded(value)
    else:
      found = int(value) if key.endswith('egocentric_view') else 0
    if found:
      return found
  return 0


def turn(patches: np.ndarray, facing: np.ndarray) -> np.ndarray:
  """Egocentric patches (T, rows, cols, u, u, 3) with north up again."""
  turned = patches.copy()
  for (dx, dy), quarters in {(1, 0): -1, (0, 1): 2, (-1, 0): 1}.items():
    rows = (facing == (dx, dy)).all(-1)
    turned[rows] = np.rot90(patches[rows], quarters, axes=(3, 4))
  return turned


@dataclasses.dataclass(frozen=True)
class Mosaic:
  """The world as the agent saw it: each tile the mean of all its pictures.

  Attributes:
    grid: of the world.
    unit: pixels of a tile.
    sums: (W * H, u * u * 3) float32, summed pixels of each tile.
    counts: (W * H,) how often each tile was seen.
  """

  grid: Grid
  unit: int
  sums: np.ndarray
  counts: np.ndarray

  def __add__(self, other: 'Mosaic') -> 'Mosaic':
    sums, counts = self.sums + other.sums, self.counts + other.counts
    return dataclasses.replace(self, sums=sums, counts=counts)

  @property
  def seen(self) -> np.ndarray:
    """Tiles that were seen, bool (W, H)."""
    return (self.counts > 0).reshape(self.grid.shape)

  def means(self) -> np.ndarray:
    """Mean pixels of each tile, (W * H, u, u, 3); 0 where never seen."""
    means = self.sums / np.maximum(self.counts, 1)[:, None]
    return means.reshape(-1, self.unit, self.unit, 3)

  def image(self) -> np.ndarray:
    """A picture (H * u, W * u, 3) uint8, north up, in grey where unseen."""
    w, h, u = self.grid.width, self.grid.height, self.unit
    tiles = np.where(self.seen.reshape(-1, 1, 1, 1), self.means(), UNSEEN)
    tiles = tiles.reshape(w, h, u, u, 3).transpose(1, 2, 0, 3, 4)
    return tiles.round().astype(np.uint8).reshape(h * u, w * u, 3)


def mosaic(
  images: np.ndarray,
  pos: np.ndarray,
  facing: np.ndarray,
  view: View,
  grid: Grid,
) -> Mosaic:
  """What an episode shows of the world, in sunlight and at night.

  The player's own tile is left out of each picture, and so are frames of an
  egocentric view whose facing is unknown.

  Args:
    images: (T, h, w, 3) uint8.
    pos: (T, 2) [tiles].
    facing: (T, 2) of (dx, dy).
  """
  unit = view.unit(images.shape[2])
  sums = np.zeros((grid.size, unit * unit * 3), np.float32)
  counts = np.zeros(grid.size, np.int64)
  for start in range(0, len(images), BLOCK):
    part = slice(start, start + BLOCK)
    cls, pixels = _tiles(images[part], pos[part], facing[part], view, grid)
    place = sparse.csr_array(
      (np.ones(len(cls), np.float32), (cls, np.arange(len(cls)))),
      shape=(grid.size, len(cls)),
    )
    sums += place @ pixels
    counts += np.bincount(cls, minlength=grid.size)
  return Mosaic(grid, unit, sums, counts)


def overlay(
  mosaics: Iterable[Mosaic], keep: int = 0
) -> tuple[Mosaic, float, list[Mosaic]]:
  """All mosaics in one, how far they disagree, and the first `keep` of them.

  Disagreement is the share of tiles that an episode shows unlike those before
  it; NaN where episodes share no tile. Compared are the shares of red, green
  and blue, which depend less on daylight than the colours do. Random walks of
  200 steps gave at most 0.05 in one world, mostly over 0.2 in different ones.
  """
  total: Mosaic | None = None
  first: list[Mosaic] = []
  shared = different = 0
  for mosaic in mosaics:
    if len(first) < keep:
      first.append(mosaic)
    if total is None:
      total = mosaic
      continue
    both = (total.counts > 0) & (mosaic.counts > 0)
    gap = np.abs(_chroma(total)[both] - _chroma(mosaic)[both]).sum(-1)
    shared += len(gap)
    different += int((gap > 0.5).sum())
    total = total + mosaic
  if total is None:
    raise ValueError('There are no mosaics to overlay.')
  return total, different / shared if shared else np.nan, first


def _chroma(mosaic: Mosaic) -> np.ndarray:
  colors = mosaic.means().mean((1, 2)) + 1.0
  return colors / colors.sum(-1, keepdims=True)


def _tiles(
  images: np.ndarray,
  pos: np.ndarray,
  facing: np.ndarray,
  view: View,
  grid: Grid,
) -> tuple[np.ndarray, np.ndarray]:
  """Class (K,) and pixels (K, u * u * 3) of every tile in some pictures."""
  if view.egocentric:
    known = (facing != 0).any(-1)
    images, pos, facing = images[known], pos[known], facing[known]
  offsets = view.offsets(facing)
  where = pos[:, None, None] + offsets
  use = ((where >= 0) & (where < grid.shape)).all(-1)
  use &= (offsets != 0).any(-1)
  patches = view.patches(images)
  if view.egocentric:
    patches = turn(patches, facing)
  values = patches.shape[3] * patches.shape[4] * 3
  pixels = patches[use].reshape(-1, values).astype(np.float32)
  return grid.to_class(where[use]), pixels
