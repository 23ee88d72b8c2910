"""What lies ahead of the player? The world as seen from the player's own view.

For the environment when `egocentric_view` is set, and for figures of it:

  tiles = seen_tiles(pos=(5, 7), facing=(1, 0), width=7, ahead=4)

Which tiles are seen is a pure function of position and facing: a block that
is `width` tiles wide and reaches `ahead` tiles in front of the player, who
stands in the middle of its last row. It is drawn turned, never mirrored, so
that the facing direction points up; beyond the edge of the map it is grey.
The player is always the same sprite, looking at us: the picture does not
tell where north is.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import crafter_render
from .crafter_light import Bank, paint, vignette
from .crafter_render import GREY, MATERIALS, SPRITE_IDS, STRIP, textures

SMALLEST = 4  # [pixels] a tile; with fewer, sprites cannot be told apart
FACINGS = ((0, -1), (1, 0), (0, 1), (-1, 0))  # up, right, down, left
MOVES = {
  FACINGS[0]: 'move_up',
  FACINGS[1]: 'move_right',
  FACINGS[2]: 'move_down',
  FACINGS[3]: 'move_left',
}
CANONICAL = 'player-down'


@dataclasses.dataclass(frozen=True)
class Geometry:
  """How an N x N view fits into a frame.

  Fields:
    width: N, tiles from left to right; odd.
    tile: [pixels] side of a tile.
    ahead: [tiles] seen in front of the player. The N - 1 tiles that would fit
      above the player's own, less those that the inventory covers.
    strip: [pixels] rows at the bottom, those of the normal frame.
  """

  width: int
  tile: int
  ahead: int
  strip: int

  @classmethod
  def of(cls, width: int, size: tuple[int, int], area: tuple[int, int]) -> 'Geometry':
    """For a view of `width` tiles; ValueError if it is even or too large."""
    most = min(min(size) // SMALLEST, *area)
    if width % 2 == 0 or not 3 <= width <= most:
      raise ValueError(
        f'egocentric_view must be 0 (off) or an odd number from 3 to '
        f'{most - (most % 2 == 0)}, got {width}: frames have {size[0]}x'
        f'{size[1]} pixels, tiles need {SMALLEST}, the world has '
        f'{area[0]}x{area[1]} tiles'
      )
    tile = min(size) // width
    strip = STRIP[1] * size[1] // crafter_render.GRID[1]
    return cls(width, tile, width - 1 - math.ceil(strip / tile), strip)


def seen_tiles(
  pos: tuple[int, int], facing: tuple[int, int], width: int, ahead: int
) -> np.ndarray:
  """Which tile of the world is where in the view.

  Args:
    pos: (x, y) of the player [tiles].
    facing: (dx, dy), one of FACINGS.
    width, ahead: as in Geometry.

  Returns:
    i64 (width, ahead + 1, 2): (x, y) [tiles] by column, from the player's
    left to right, and row, from far to near. May lie outside the map.
  """
  column, row = np.indices((width, ahead + 1))
  side, front = column - width // 2, ahead - row
  return np.stack(_turn(side, front, facing), -1) + np.array(pos)


def world_move(move: str, facing: tuple[int, int]) -> str:
  """The move on the map that an ego-relative one stands for.

  Args:
    move: move_up (forward), move_down (backward), move_left, move_right.
    facing: (dx, dy) of the player.
  """
  ((x, y),) = (way for way, name in MOVES.items() if name == move)
  side, front = _turn(x, -y, tuple(facing))
  return MOVES[side, front]


def _turn(side: Any, front: Any, facing: Sequence[int]) -> tuple[Any, Any]:
  """(to the right, forward) of the player -> (x, y) on the map."""
  fx, fy = facing
  # The right hand of who looks along (fx, fy) is (-fy, fx): y points south.
  return side * -fy + front * fx, side * fx + front * fy


class EgoRenderer:
  """Draws egocentric frames.

  Args:
    geometry: of the view.
    frame: renderer of the normal frame, for its size and inventory.
  """

  def __init__(self, geometry: Geometry, frame: crafter_render.Renderer) -> None:
    self.geometry = geometry
    self._frame = frame
    width, tile, ahead = geometry.width, geometry.tile, geometry.ahead
    self.noise_shape = (width * tile, (ahead + 1) * tile)
    # The night is dark around the player, so its mask is a part of that of
    # the full view, with the player in the middle.
    full = 2 * width - 1
    left, top = width - 1 - width // 2, width - 1 - ahead
    mask = vignette((full * tile, full * tile))
    self._mask = mask[left * tile : (left + width) * tile, top * tile : width * tile]

  def __call__(self, world: Any, player: Any, noise: np.ndarray | None) -> np.ndarray:
    """Draw the state; arguments and result as in `Renderer`."""
    width, ahead = self.geometry.width, self.geometry.ahead
    facing = tuple(player.facing)
    tiles = seen_tiles(player.pos, facing, width, ahead)
    low, high = tiles.min((0, 1)), tiles.max((0, 1))
    window = crafter_render.tile_ids(
      world, int(low[0]), int(low[1]), tuple((high - low + 1).tolist())
    )
    ids = window[tiles[..., 0] - low[0], tiles[..., 1] - low[1]]
    image = np.zeros((self._frame.size[1], self._frame.size[0], 3), np.uint8)
    view = image[: self.noise_shape[1], : self.noise_shape[0]]
    paint(
      view,
      ego_bank(self.geometry.tile, facing),
      ids,
      world.daylight,
      noise,
      self._mask,
      player.sleeping,
    )
    image[-self.geometry.strip :] = self._frame.bottom(
      player.inventory, self.geometry.strip
    )
    return image


@functools.lru_cache(16)
def ego_bank(tile: int, facing: tuple[int, int]) -> Bank:
  """All tiles, turned so that `facing` points up; one look for the player."""
  pictures = crafter_render.tile_pictures((tile, tile))
  column, row = np.indices((tile, tile))
  # Twice the distance from the middle: a whole number for odd sides, too.
  x, y = _turn(2 * column - (tile - 1), (tile - 1) - 2 * row, facing)
  x, y = (x + tile - 1) // 2, (y + tile - 1) // 2
  turned = pictures[:, :, x, y]
  sprite = textures().get(CANONICAL, (tile, tile))
  for name in SPRITE_IDS:
    if name.startswith('player-'):
      for material in range(len(MATERIALS)):
        turned[material, SPRITE_IDS[name]] = crafter_render.blend(
          turned[material, 0], sprite
        )
  assert (turned[-1, 0] == GREY).all()
  return Bank.of(turned)
