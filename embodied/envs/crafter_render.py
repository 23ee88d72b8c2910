"""What does the player see? Crafter's frames, many times faster.

For the environment and for every figure that shows the game:

  image = Renderer((64, 64))(game.world, game.player, noise)

A frame equals the one that stock Crafter 1.8.3 draws of the same state with
the same noise, bit for bit. Stock blends 63 textures per frame; here every
pair of material and sprite is blended once, when the renderer is made, and a
frame is a lookup of tiles, then one compiled pass over the pixels for the
light of day, night and sleep.

Inside, pictures are indexed [x, y] as in Crafter; images that leave are
[row, column] like any image.
"""

import functools
from collections.abc import Iterable
from typing import Any

import crafter
import numpy as np
from crafter import engine

from . import crafter_worldgen
from .crafter_light import Bank, paint, vignette

GRID = (9, 9)  # [tiles] what the picture shows, inventory included
ITEMS = tuple(crafter.constants.items)
STRIP = (9, -(-len(ITEMS) // 9))  # [tiles] the inventory below the view
VIEW = (GRID[0], GRID[1] - STRIP[1])  # [tiles] the part with the world
MANY = 10  # from here on there is no digit to show
SMALLEST = 2  # [pixels] a tile; with fewer, the digits have no pixel left

MATERIALS = crafter_worldgen.MATERIALS
OUTSIDE = len(MATERIALS)  # id of tiles beyond the edge of the map
SPRITES = (
  *('cow', 'zombie', 'skeleton', 'fence', 'plant', 'plant-ripe'),
  *(f'arrow-{way}' for way in ('left', 'right', 'up', 'down')),
  *(f'player-{way}' for way in ('left', 'right', 'up', 'down', 'sleep')),
)
NOTHING = 0  # sprite id of an empty tile; SPRITES count from 1
SPRITE_IDS = {name: index for index, name in enumerate(SPRITES, 1)}
SPRITE_COUNT = len(SPRITES) + 1

GREY = 127


class Renderer:
  """Draws frames of one size.

  Args:
    size: (width, height) [pixels] of the frames.
  """

  def __init__(self, size: tuple[int, int]):
    self.size = check_size(size)
    self.unit = (size[0] // GRID[0], size[1] // GRID[1])
    self.noise_shape = (VIEW[0] * self.unit[0], VIEW[1] * self.unit[1])
    self._bank = tile_bank(self.unit)
    self._vignette = vignette(self.noise_shape)
    used = [grid * unit for grid, unit in zip(GRID, self.unit, strict=True)]
    self._border = [(a - b) // 2 for a, b in zip(size, used, strict=True)]
    self._items: tuple[int, ...] = ()
    self._strip = np.zeros((0, 0, 3), np.uint8)

  def __call__(self, world: Any, player: Any, noise: np.ndarray | None) -> np.ndarray:
    """Draw the state.

    Args:
      world, player: a world and the player in it.
      noise: f64 noise_shape, in [32, 127): the grain of the night; may be
        None when `needs_noise(world.daylight)` is false.

    Returns:
      u8 (height, width, 3).
    """
    x, y = player.pos
    left, top = x - VIEW[0] // 2, y - VIEW[1] // 2
    ids = tile_ids(world, left, top, VIEW)
    image = np.zeros((self.size[1], self.size[0], 3), np.uint8)
    x0, y0 = self._border
    view = image[y0 : y0 + self.noise_shape[1], x0 : x0 + self.noise_shape[0]]
    paint(
      view,
      self._bank,
      ids,
      world.daylight,
      noise,
      self._vignette,
      player.sleeping,
    )
    self._place_strip(image, player.inventory)
    return image

  def bottom(self, inventory: dict[str, int], rows: int) -> np.ndarray:
    """The last rows of a frame, u8 (rows, width, 3): its inventory alone."""
    image = np.zeros((self.size[1], self.size[0], 3), np.uint8)
    self._place_strip(image, inventory)
    return image[-rows:]

  def _place_strip(self, image: np.ndarray, inventory: dict[str, int]) -> None:
    strip = self.strip(inventory)
    x, y = self._border[0], self._border[1] + self.noise_shape[1]
    image[y : y + strip.shape[0], x : x + strip.shape[1]] = strip

  def strip(self, inventory: dict[str, int]) -> np.ndarray:
    """The inventory below the view, u8 (rows, columns, 3); do not change."""
    amounts = tuple(inventory.values())
    if amounts != self._items:
      self._strip = self._draw_strip(amounts)
      self._items = amounts
    return self._strip

  def _draw_strip(self, amounts: tuple[int, ...]) -> np.ndarray:
    canvas = np.zeros((*np.multiply(STRIP, self.unit), 3), np.uint8)
    for index, amount in enumerate(amounts):
      if amount > 0:
        x, y, cell = item_cell(self.unit, index, min(amount, MANY))
        canvas[x : x + cell.shape[0], y : y + cell.shape[1]] = cell
    return canvas.transpose((1, 0, 2))


def check_size(size: Iterable[int]) -> tuple[int, int]:
  """The size as two ints, or a ValueError with the values."""
  try:
    width, height = (int(x) for x in size)
    whole = [width, height] == list(size)
  except (TypeError, ValueError):
    whole = False
  if not whole:
    raise ValueError(f'size must be two whole numbers of pixels, got {size!r}')
  least = (SMALLEST * GRID[0], SMALLEST * GRID[1])
  if width < least[0] or height < least[1]:
    raise ValueError(
      f'size {width}x{height} is too small: a frame shows {GRID[0]}x{GRID[1]} '
      f'tiles of at least {SMALLEST} pixels, so at least {least[0]}x{least[1]}'
    )
  return width, height


def tile_ids(world: Any, left: int, top: int, shape: tuple[int, int]) -> np.ndarray:
  """Tiles of a window on the world, for `paint`.

  Args:
    world: the world.
    left, top: first column and row [tiles]; may lie outside the map.
    shape: (columns, rows) [tiles].

  Returns:
    i64 shape: material id * SPRITE_COUNT + sprite id.
  """
  right, bottom = left + shape[0], top + shape[1]
  ids = np.full(shape, OUTSIDE * SPRITE_COUNT, np.int64)
  x0, y0 = max(left, 0), max(top, 0)
  seen = world.terrain[x0 : max(right, 0), y0 : max(bottom, 0)]
  inside = ids[x0 - left :, y0 - top :][: seen.shape[0], : seen.shape[1]]
  np.multiply(seen, SPRITE_COUNT, out=inside, dtype=np.int64)
  for obj in world.within(left, right, top, bottom):
    x, y = obj.pos
    ids[x - left, y - top] += SPRITE_IDS[obj.texture]
  return ids


@functools.cache
def textures() -> engine.Textures:
  """Crafter's pictures, read once per process."""
  return engine.Textures(crafter.constants.root / 'assets')


@functools.lru_cache(8)
def tile_bank(unit: tuple[int, int]) -> Bank:
  """All tiles as the frame shows them, unit (columns, rows) [pixels]."""
  return Bank.of(tile_pictures(unit))


def tile_pictures(unit: tuple[int, int]) -> np.ndarray:
  """u8 (OUTSIDE + 1, SPRITE_COUNT, columns, rows, 3)."""
  bank = np.empty((OUTSIDE + 1, SPRITE_COUNT, *unit, 3), np.uint8)
  bank[OUTSIDE] = GREY
  for material, name in enumerate(MATERIALS):
    bank[material] = textures().get(name, unit)[..., :3]
  for sprite, name in enumerate(SPRITES, 1):
    for tile in bank[:, sprite]:
      tile[:] = blend(tile, textures().get(name, unit))
  return bank


@functools.lru_cache(1024)
def item_cell(
  unit: tuple[int, int], index: int, amount: int
) -> tuple[int, int, np.ndarray]:
  """One cell of the inventory: an item with its amount on black.

  Returns:
    x, y: where it goes on the strip [pixels].
    cell: u8 (w, h, 3).
  """
  corner = np.array([index % STRIP[0], index // STRIP[0]]) * unit
  cell = np.zeros((*unit, 3), np.uint8)
  digit = str(amount) if amount < MANY else 'unknown'
  layers = (ITEMS[index], 0.8, 0.1), (digit, 0.6, 0.4)
  for name, share, offset in layers:
    picture = textures().get(name, share * np.array(unit))
    # The place on the strip is rounded, not that in the cell.
    place = (corner + offset * np.array(unit)).astype(np.int32) - corner
    width, height = picture.shape[:2]
    area = cell[place[0] : place[0] + width, place[1] : place[1] + height]
    area[:] = blend(area, picture)
  return int(corner[0]), int(corner[1]), cell


def blend(below: np.ndarray, above: np.ndarray) -> np.ndarray:
  """Lay a picture with transparency over another, as Crafter does: float32.

  Args:
    below: u8 (w, h, 3).
    above: u8 (w, h, 3 or 4); without a fourth channel it covers all.
  """
  if above.shape[-1] == 3:
    return above
  alpha = above[..., 3:].astype(np.float32) / 255
  top = above[..., :3].astype(np.float32) / 255
  mixed = alpha * top + (1 - alpha) * (below.astype(np.float32) / 255)
  return (255 * mixed).astype(np.uint8)
