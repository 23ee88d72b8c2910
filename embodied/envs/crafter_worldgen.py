"""Which world does a seed give? The terrain and first objects of Crafter.

For the game (and for maps of worlds that nobody has played):

  layout = generate((64, 64), 180100604); layout.terrain[32, 32]

A world equals the one that stock Crafter 1.8.3 makes from the same seed, tile
for tile and object for object, and leaves its random stream at the same
place. The noise is the opensimplex library's; what is ours is to run it over
a whole map in compiled code. The rules (Hafner 2021, arXiv:2109.06780) are in
`_terrain` and `_spawn`.

Longer than other files: the generation of a world is one contract, tile for tile.
"""

import dataclasses
import functools
from collections.abc import Iterable

import crafter
import numba
import numpy as np
from opensimplex.constants import GRADIENTS3
from opensimplex.internals import _noise3 as noise3

from . import crafter_random

MATERIALS = (None, *crafter.constants.materials)
IDS = {name: index for index, name in enumerate(MATERIALS)}
WALKABLE = tuple(IDS[name] for name in crafter.constants.walkable)
KINDS = ('cow', 'zombie', 'skeleton')
CHUNK = 12  # [tiles] the world is balanced in squares of this side

# Fewer tiles than the clearing around the start leave nothing but meadow.
SMALLEST = 9

# As globals of compiled code these are constants.
WATER, GRASS, STONE, PATH, SAND, TREE, LAVA, COAL, IRON, DIAMOND = (
  IDS[name]
  for name in (
    *('water', 'grass', 'stone', 'path', 'sand'),
    *('tree', 'lava', 'coal', 'iron', 'diamond'),
  )
)
COW, ZOMBIE, SKELETON = range(3)
LCG_FACTOR, LCG_TERM = 6364136223846793005, 1442695040888963407

# At most three floats per tile for the terrain and three for the objects,
# two words each, and some for the seed of the noise.
WORDS_PER_TILE, WORDS_EXTRA = 12, 64


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
  """A generated world: everything that a reset needs.

  Fields:
    seed: seed of the world, 0 <= seed < 2**31 - 1.
    terrain: u8 (W, H), material ids, read-only.
    creatures: (kind, x, y) in order of creation; kind in KINDS.
    drawn: words of the random stream that generation has consumed.
  """

  seed: int
  terrain: np.ndarray
  creatures: tuple[tuple[str, int, int], ...]
  drawn: int

  @property
  def area(self) -> tuple[int, int]:
    """Width and height [tiles]."""
    width, height = self.terrain.shape
    return width, height

  @property
  def start(self) -> tuple[int, int]:
    """The tile in the middle, where the player begins."""
    return self.terrain.shape[0] // 2, self.terrain.shape[1] // 2

  @functools.cached_property
  def walkable(self) -> np.ndarray:
    """bool (W, H), read-only: grass, path or sand."""
    return _readonly(np.isin(self.terrain, WALKABLE))

  @functools.cached_property
  def reachable(self) -> np.ndarray:
    """bool (W, H), read-only: connected to the start by walking."""
    return _readonly(_flood(self.walkable, *self.start))

  @functools.cached_property
  def chunk_counts(self) -> dict[tuple[int, int], list[int]]:
    """How many tiles of each material each chunk has."""
    width, height = self.area
    return {
      (x // CHUNK, y // CHUNK): np.bincount(
        self.terrain[x : x + CHUNK, y : y + CHUNK].ravel(),
        minlength=len(MATERIALS),
      ).tolist()
      for x in range(0, width, CHUNK)
      for y in range(0, height, CHUNK)
    }


def check_area(area: Iterable[int]) -> tuple[int, int]:
  """The area as two ints, or a ValueError with the values."""
  try:
    width, height = (int(x) for x in area)
    whole = [width, height] == list(area)
  except (TypeError, ValueError):
    whole = False
  if not whole:
    raise ValueError(f'area must be two whole numbers of tiles, got {area!r}')
  if min(width, height) < SMALLEST:
    raise ValueError(
      f'area {width}x{height} is too small: the clearing around the start '
      f'takes {SMALLEST}x{SMALLEST} tiles, so each side must be at least '
      f'{SMALLEST} (ores begin to appear at about 16)'
    )
  return width, height


def generate(area: tuple[int, int], seed: int) -> Layout:
  """Make the world of a seed.

  Args:
    area: (W, H) [tiles].
    seed: seed of the world's random stream.
  """
  width, height = check_area(area)
  source = np.random.RandomState(seed)
  amount = WORDS_PER_TILE * width * height + WORDS_EXTRA
  words = crafter_random.raw_words(source, amount)
  noise_seed, used = _noise_seed(words)
  tables = _noise_tables(noise_seed)

  xs = np.arange(width)[:, None] - width // 2
  ys = np.arange(height)[None, :] - height // 2
  distance = np.sqrt(xs**2 + ys**2)
  # The exponential is numpy's here as in stock Crafter: another library's may
  # differ in the last bit.
  start = 4 - distance + 2 * _layer(width, height, 8.0, 3.0, *tables)
  start = 1 / (1 + np.exp(-start))

  terrain, tunnels, used = _terrain(start, words, used, *tables)
  found, used = _spawn(terrain, tunnels, distance, words, used)
  creatures = tuple((KINDS[k], x, y) for k, x, y in found.tolist())
  return Layout(seed, _readonly(terrain), creatures, used)


def _readonly(array: np.ndarray) -> np.ndarray:
  array.flags.writeable = False
  return array


def _noise_seed(words: np.ndarray) -> tuple[int, int]:
  """`randint(0, 2**31 - 1)` and the number of words it took."""
  largest = 2**31 - 2
  for used, word in enumerate(words.tolist(), 1):
    value = word & (2**31 - 1)
    if value <= largest:
      return value, used
  raise AssertionError('no word in range')


@numba.njit(cache=True)
def _noise_tables(seed: int) -> tuple[np.ndarray, np.ndarray]:
  """What OpenSimplex(seed) prepares: a shuffle of 0..255, its gradients.

  The library shuffles with a linear congruential generator on wrapping 64-bit
  integers in plain Python, which takes as long as a fifth of a world.

  Returns:
    perm, gradient index: i64 (256,).
  """
  perm = np.empty(256, np.int64)
  grad = np.empty(256, np.int64)
  source = np.arange(256)
  state = np.int64(seed)
  for _ in range(3):
    state = state * LCG_FACTOR + LCG_TERM
  for i in range(255, -1, -1):
    state = state * LCG_FACTOR + LCG_TERM
    pick = (state + 31) % (i + 1)
    perm[i] = source[pick]
    grad[i] = perm[i] % (len(GRADIENTS3) // 3) * 3
    source[pick] = source[i]
  return perm, grad


@numba.njit(cache=True)
def _layer(
  width: int, height: int, z: float, size: float, perm: np.ndarray, grad: np.ndarray
) -> np.ndarray:
  """One layer of noise over the map, f64 (W, H)."""
  out = np.empty((width, height))
  for x in range(width):
    for y in range(height):
      out[x, y] = noise3(x / size, y / size, z, perm, grad)
  return out


@numba.njit(cache=True)
def _uniform(words: np.ndarray, used: int) -> float:
  """Crafter's `uniform()` from two words of the stream."""
  high, low = words[used] >> 5, words[used + 1] >> 6
  return (high * 67108864.0 + low) / 9007199254740992.0


@numba.njit(cache=True)
def _terrain(
  start: np.ndarray, words: np.ndarray, used: int, perm: np.ndarray, grad: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
  """Materials tile by tile, in the order in which Crafter draws.

  Args:
    start: f64 (W, H), closeness to the start in (0, 1).
    words, used: the random stream and how much of it is gone.
    perm, grad: tables of the noise.

  Returns:
    materials u8 (W, H), tunnels bool (W, H), used.
  """
  width, height = start.shape
  terrain = np.zeros((width, height), np.uint8)
  tunnels = np.zeros((width, height), np.bool_)
  for x in range(width):
    for y in range(height):
      near = start[x, y]
      if near > 0.5:
        terrain[x, y] = GRASS
        continue
      water = noise3(x / 15, y / 15, 3.0, perm, grad)
      water += 0.15 * noise3(x / 5, y / 5, 3.0, perm, grad)
      water = water + 0.1 - 2 * near
      mountain = noise3(x / 15, y / 15, 0.0, perm, grad)
      mountain += 0.3 * noise3(x / 5, y / 5, 0.0, perm, grad)
      mountain = mountain / 1.3 - (4 * near + 0.3 * water)
      if mountain > 0.15:
        material, tunnel, used = _mountain(x, y, mountain, words, used, perm, grad)
        terrain[x, y] = material
        tunnels[x, y] = tunnel
      elif 0.25 < water <= 0.35 and noise3(x / 9, y / 9, 4.0, perm, grad) > -0.2:
        terrain[x, y] = SAND
      elif water > 0.3:
        terrain[x, y] = WATER
      else:
        terrain[x, y] = GRASS
        if noise3(x / 7, y / 7, 5.0, perm, grad) > 0:
          if _uniform(words, used) > 0.8:
            terrain[x, y] = TREE
          used += 2
  return terrain, tunnels, used


@numba.njit(cache=True)
def _mountain(
  x: int,
  y: int,
  mountain: float,
  words: np.ndarray,
  used: int,
  perm: np.ndarray,
  grad: np.ndarray,
) -> tuple[int, bool, int]:
  """Caves, tunnels, ores, lava or stone -> material, is it a tunnel, used."""
  if mountain > 0.3 and noise3(x / 7, y / 7, 6.0, perm, grad) > 0.15:
    return PATH, False, used
  if noise3(2 * x / 3, y / 5 / 3, 7.0, perm, grad) > 0.4:
    return PATH, True, used
  if noise3(x / 5 / 3, 2 * y / 3, 7.0, perm, grad) > 0.4:
    return PATH, True, used
  ore, used = _ore(x, y, mountain, words, used, perm, grad)
  if ore:
    return ore, False, used
  if mountain > 0.3 and noise3(x / 5, y / 5, 6.0, perm, grad) > 0.35:
    return LAVA, False, used
  return STONE, False, used


@numba.njit(cache=True)
def _ore(
  x: int,
  y: int,
  mountain: float,
  words: np.ndarray,
  used: int,
  perm: np.ndarray,
  grad: np.ndarray,
) -> tuple[int, int]:
  """Coal, iron or diamond, each with one draw where it may be; or 0."""
  if noise3(x / 8, y / 8, 1.0, perm, grad) > 0:
    used += 2
    if _uniform(words, used - 2) > 0.85:
      return COAL, used
  if noise3(x / 6, y / 6, 2.0, perm, grad) > 0.4:
    used += 2
    if _uniform(words, used - 2) > 0.75:
      return IRON, used
  if mountain > 0.18:
    used += 2
    if _uniform(words, used - 2) > 0.994:
      return DIAMOND, used
  return 0, used


@numba.njit(cache=True)
def _spawn(
  terrain: np.ndarray,
  tunnels: np.ndarray,
  distance: np.ndarray,
  words: np.ndarray,
  used: int,
) -> tuple[np.ndarray, int]:
  """First creatures, tile by tile -> i64 (N, 3) of kind, x, y; used."""
  width, height = terrain.shape
  found = np.empty((width * height, 3), np.int64)
  count = 0
  for x in range(width):
    for y in range(height):
      if terrain[x, y] not in WALKABLE:
        continue
      kind, used = _creature(terrain[x, y], tunnels[x, y], distance[x, y], words, used)
      if kind >= 0:
        # One by one: assigning a tuple takes seconds to compile.
        found[count, 0] = kind
        found[count, 1] = x
        found[count, 2] = y
        count += 1
  return found[:count], used


@numba.njit(cache=True)
def _creature(
  material: int, tunnel: bool, distance: float, words: np.ndarray, used: int
) -> tuple[int, int]:
  """Who lives on a tile, one draw for each that may -> kind or -1, used."""
  if distance > 3 and material == GRASS:
    used += 2
    if _uniform(words, used - 2) > 0.985:
      return COW, used
  if distance > 10:
    used += 2
    if _uniform(words, used - 2) > 0.993:
      return ZOMBIE, used
  if material == PATH and tunnel:
    used += 2
    if _uniform(words, used - 2) > 0.95:
      return SKELETON, used
  return -1, used


@numba.njit(cache=True)
def _flood(free: np.ndarray, x: int, y: int) -> np.ndarray:
  """The tiles connected to (x, y) by steps in the four directions."""
  width, height = free.shape
  seen = np.zeros((width, height), np.bool_)
  if not free[x, y]:
    return seen
  stack = [(x, y)]
  seen[x, y] = True
  while stack:
    x, y = stack.pop()
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
      i, j = x + dx, y + dy
      if 0 <= i < width and 0 <= j < height and free[i, j] and not seen[i, j]:
        seen[i, j] = True
        stack.append((i, j))
  return seen
