"""Maps as the game shows them: north (y = 0) up, x to the right.

  fig, axes = style.new_figure()
  draw_world(axes[0, 0], metadata)
  draw_map(axes[0, 0], error, label='error [tiles]')

A map is indexed [x, y] and has shape (W, H); tile (x, y) is the unit square
around the point (x, y), so that paths can be drawn in tile coordinates.
"""

import functools
import importlib.util
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from PIL import Image

from dreamerv3.data.grid import Grid
from dreamerv3.data.metadata import Metadata
from dreamerv3.plots import style

# Shown for a material without a texture.
PLAIN = (127, 127, 127)
# Tiles that were never visited.
UNVISITED = '#d9d9d9'
FLOOR = '#f6f6f6'


@functools.cache
def texture(name: str, pixels: int) -> np.ndarray:
  """The game's picture of a material or object, uint8 (px, px, 3).

  Transparent parts lie on grass, as in the game; a name that the game has no
  picture for is plain grey.
  """
  path = _assets() / f'{name}.png'
  if not path.exists():
    return np.full((pixels, pixels, 3), PLAIN, np.uint8)
  image = Image.open(path).convert('RGBA')
  image = image.resize((pixels, pixels), Image.Resampling.BOX)
  rgba = np.asarray(image, np.float32)
  if (rgba[..., 3] == 255).all() or name == 'grass':
    return rgba[..., :3].astype(np.uint8)
  alpha = rgba[..., 3:] / 255
  below = texture('grass', pixels)
  return (alpha * rgba[..., :3] + (1 - alpha) * below).astype(np.uint8)


def world_image(
  world_map: np.ndarray, materials: Sequence[str], pixels: int = 8
) -> np.ndarray:
  """The terrain (W, H) as a picture, uint8 (H * px, W * px, 3), north up."""
  tiles = np.stack([texture(x, pixels) for x in materials])
  w, h = world_map.shape
  image = tiles[world_map.T]  # (H, W, px, px, 3)
  return image.transpose(0, 2, 1, 3, 4).reshape(h * pixels, w * pixels, 3)


def frame(ax: Axes, grid: Grid, labels: bool = True) -> None:
  """Sets the axes of a map: whole world, square tiles, north up."""
  ax.set_xlim(-0.5, grid.width - 0.5)
  ax.set_ylim(grid.height - 0.5, -0.5)
  ax.set_aspect('equal')
  for side in ('top', 'right'):
    ax.spines[side].set_visible(True)
  if labels:
    ax.set_xlabel('x [tiles]')
    ax.set_ylabel('y [tiles], south down')
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
  else:
    ax.set(xlabel='', ylabel='', xticks=[], yticks=[])


def box(
  pos: np.ndarray, grid: Grid, margin: int = 0, least: int = 1
) -> tuple[int, int, int, int]:
  """A square around positions (N, 2), moved inside the world: x, y, w, h [tiles].

  Args:
    margin: tiles around the positions.
    least: side of the square at least; a smaller world is shown whole.
  """
  low, high = pos.min(0) - margin, pos.max(0) + margin
  side = max(int((high - low + 1).max()), least)
  spans = [min(side, size) for size in grid.shape]
  starts = [
    int(np.clip((low[k] + high[k] + 1 - spans[k]) // 2, 0, grid.shape[k] - spans[k]))
    for k in (0, 1)
  ]
  return starts[0], starts[1], spans[0], spans[1]


def zoom(ax: Axes, part: tuple[int, int, int, int]) -> None:
  """Shows a part of a map, as `box` gives it, north up."""
  x, y, w, h = part
  ax.set_xlim(x - 0.5, x + w - 0.5)
  ax.set_ylim(y + h - 0.5, y - 0.5)


def draw_world(ax: Axes, metadata: Metadata, dim: float = 0.0) -> bool:
  """Draws the terrain under everything else; False when it is not known.

  Args:
    dim: how far towards white, 0 (as in the game) to 1.
  """
  frame(ax, metadata.grid)
  if metadata.world_map is None:
    return False
  image = world_image(metadata.world_map, metadata.materials, 16)
  image = (image + dim * (255.0 - image)).astype(np.uint8)
  ax.imshow(image, extent=extent(metadata.grid), zorder=0)
  return True


def draw_floor(ax: Axes, grid: Grid, walkable: np.ndarray | None) -> None:
  """Draws obstacles in grey and their outlines, where they are known.

  Args:
    walkable: (W, H) bool.
  """
  frame(ax, grid)
  ax.set_facecolor(FLOOR)
  if walkable is not None:
    obstacles = np.where(walkable, np.nan, 1.0)
    draw_map(
      ax, obstacles, cmap='Greys', vmin=0, vmax=3, background=FLOOR, colorbar=False
    )
    draw_walls(ax, walkable)


def draw_map(
  ax: Axes,
  values: np.ndarray,
  label: str = '',
  cmap: Any = style.SEQUENTIAL,
  walkable: np.ndarray | None = None,
  background: str | None = UNVISITED,
  colorbar: bool = True,
  **options: Any,
) -> AxesImage:
  """Draws a value per tile, (W, H); NaN is unvisited and shown as grey.

  Args:
    label: of the colour bar, with unit.
    walkable: (W, H) bool; obstacles are outlined where it is given.
    background: colour of unvisited tiles; None leaves them transparent.
    options: for `imshow`: vmin, vmax, alpha, norm ...
  """
  grid = Grid(*values.shape)
  frame(ax, grid)
  if background:
    ax.set_facecolor(background)
  image = ax.imshow(
    np.ma.masked_invalid(np.asarray(values, np.float64).T),
    extent=extent(grid),
    cmap=cmap,
    **options,
  )
  if walkable is not None:
    draw_walls(ax, walkable)
  if colorbar and ax.figure is not None:
    bar = ax.figure.colorbar(image, ax=ax, label=label, shrink=0.8)
    if bar.ax.get_yscale() == 'log':
      style.log_ticks(bar.ax.yaxis)
  return image


def draw_walls(ax: Axes, walkable: np.ndarray) -> None:
  """Outlines the walkable area, (W, H) bool, along tile edges."""
  inside = np.pad(walkable, 1)
  # An edge lies between a tile and its right, or lower, neighbour.
  xs, ys = np.nonzero(inside[:-1] != inside[1:])
  vertical = [
    ((x - 0.5, y - 1.5), (x - 0.5, y - 0.5)) for x, y in zip(xs, ys, strict=True)
  ]
  xs, ys = np.nonzero(inside[:, :-1] != inside[:, 1:])
  level = [
    ((x - 1.5, y - 0.5), (x - 0.5, y - 0.5)) for x, y in zip(xs, ys, strict=True)
  ]
  ax.add_collection(
    LineCollection(vertical + level, colors='#202020', linewidths=0.7, zorder=3)
  )


def extent(grid: Grid) -> tuple[float, float, float, float]:
  """The extent of a map for `imshow`, with row 0 on top."""
  return -0.5, grid.width - 0.5, grid.height - 0.5, -0.5


@functools.cache
def _assets() -> pathlib.Path:
  """Folder of the game's pictures; the game itself is not imported."""
  spec = importlib.util.find_spec('crafter')
  if spec is None or not spec.submodule_search_locations:
    return pathlib.Path('assets-not-installed')
  return pathlib.Path(spec.submodule_search_locations[0]) / 'assets'
