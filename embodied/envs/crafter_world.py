"""Where things are in a Crafter world, and what the things do.

For the game (crafter_game.py):

  world = World(layout); world.add(Cow(world, (3, 4))); world[3, 4]

The rules of the creatures and of the player are those of the crafter package:
its classes run here, unchanged. Ours is what they stand on:

- Order. Stock Crafter keeps the objects of a chunk in a set, so the order in
  which they are drawn for removal is that of their memory addresses, and no
  two runs agree. Here every collection keeps the order of insertion.
- Speed. Positions are pairs of plain integers, not arrays, and tiles are
  counted per chunk as they change, not at each look.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from crafter import objects as stock

from . import crafter_random, crafter_worldgen

CHUNK = crafter_worldgen.CHUNK
IDS = crafter_worldgen.IDS
MATERIALS = crafter_worldgen.MATERIALS
DIRECTIONS = ((-1, 0), (1, 0), (0, -1), (0, 1))


# (x, y) [tiles]
Tile = Sequence[int]


class Pos(tuple):
  """A pair of integers (x, y) [tiles] that adds like a vector."""

  __slots__ = ()

  def __add__(self, other: Tile) -> 'Pos':  # type: ignore[override]
    return Pos((self[0] + other[0], self[1] + other[1]))

  def __sub__(self, other: Tile) -> 'Pos':
    return Pos((self[0] - other[0], self[1] - other[1]))

  def __neg__(self) -> 'Pos':
    return Pos((-self[0], -self[1]))


class Body:
  """Crafter's moves and distances, on plain integers.

  A base in front of the stock class: it replaces how a question is computed,
  never its answer.
  """

  pos: Pos
  world: 'World'
  random: crafter_random.Random
  walkable: list[str]

  def distance(self, target: Any) -> int:
    """Steps to an object or position, as if nothing were in the way."""
    x, y = getattr(target, 'pos', target)
    return abs(x - self.pos[0]) + abs(y - self.pos[1])

  def toward(self, target: Any, long_axis: bool = True) -> Pos:
    """Unit step that shortens the longer (or the shorter) axis."""
    x, y = getattr(target, 'pos', target)
    x -= self.pos[0]
    y -= self.pos[1]
    along_x = abs(x) > abs(y) if long_axis else abs(x) <= abs(y)
    if along_x:
      return Pos(((x > 0) - (x < 0), 0))
    return Pos((0, (y > 0) - (y < 0)))

  def random_dir(self) -> tuple[int, int]:
    """One of the four directions, drawn."""
    return DIRECTIONS[self.random.randint(0, 4)]

  def is_free(
    self, target: Tile, materials: Collection[str | None] | None = None
  ) -> bool:
    """Whether nothing stands there, on a material that can be walked on."""
    material, obj = self.world[target]
    if obj is not None:
      return False
    return material in (self.walkable if materials is None else materials)

  def move(self, direction: Tile) -> bool:
    """Take a step, unless something is there; whether it was taken."""
    target = self.pos + direction
    if not self.is_free(target):
      return False
    self.world.move(self, target)
    return True


class Player(Body, stock.Player):
  """The stock player, standing on `Body`."""


class Cow(Body, stock.Cow):
  """The stock cow, standing on `Body`."""


class Zombie(Body, stock.Zombie):
  """The stock zombie, standing on `Body`."""


class Skeleton(Body, stock.Skeleton):
  """The stock skeleton, standing on `Body`."""


class World:
  """Materials and objects on a map, as Crafter's rules expect to find them.

  Attributes:
    terrain: u8 (W, H), material ids, current.
    random: the stream that the rules draw from.
    daylight: in [0, 1].
    chunks: (column, row) of a chunk -> its objects, both in the order in which
      they came. A chunk that never held an object is not listed, and Crafter
      balances only those listed.
  """

  def __init__(self, layout: crafter_worldgen.Layout):
    self.area = layout.area
    self.daylight = 0.0
    self.random = crafter_random.Random(layout.seed, layout.drawn)
    # One memory, two doors: bytes are quick to read one at a time from
    # Python, arrays all at once.
    self._tiles = bytearray(layout.terrain.tobytes())
    self.terrain = np.frombuffer(self._tiles, np.uint8).reshape(self.area)
    self.chunks: dict[tuple[int, int], dict[Any, None]] = {}
    self._counts = {k: v.copy() for k, v in layout.chunk_counts.items()}
    self._objects: dict[Any, None] = {}
    self._at: dict[tuple[int, int], Any] = {}

  @property
  def objects(self) -> list[Any]:
    """All objects in order of creation; a list that no change reaches."""
    return list(self._objects)

  def __getitem__(self, pos: Tile) -> tuple[str | None, Any]:
    """Material and object at a tile; (None, None) outside the map."""
    x, y = pos
    width, height = self.area
    if 0 <= x < width and 0 <= y < height:
      return MATERIALS[self._tiles[x * height + y]], self._at.get((x, y))
    return None, None

  def __setitem__(self, pos: Tile, material: str) -> None:
    x, y = pos
    index = x * self.area[1] + y
    counts = self._counts[x // CHUNK, y // CHUNK]
    counts[self._tiles[index]] -= 1
    counts[IDS[material]] += 1
    self._tiles[index] = IDS[material]

  def add(self, obj: Any) -> None:
    """Put an object on its tile, which must be empty."""
    x, y = obj.pos
    pos = obj.pos = Pos((int(x), int(y)))
    assert pos not in self._at, f'{pos} is taken by {self._at[pos]}'
    self._objects[obj] = None
    self._at[pos] = obj
    self.chunks.setdefault((pos[0] // CHUNK, pos[1] // CHUNK), {})[obj] = None

  def remove(self, obj: Any) -> None:
    """Take an object off the map; a second time changes nothing."""
    if obj.removed:
      return
    x, y = obj.pos
    del self._objects[obj]
    del self._at[obj.pos]
    del self.chunks[x // CHUNK, y // CHUNK][obj]
    obj.removed = True

  def move(self, obj: Any, pos: Tile) -> None:
    """Put an object on another tile, which must be empty."""
    if obj.removed:
      return
    x, y = obj.pos
    pos = Pos((int(pos[0]), int(pos[1])))
    assert pos not in self._at, f'{pos} is taken by {self._at[pos]}'
    del self._at[obj.pos]
    self._at[pos] = obj
    before = x // CHUNK, y // CHUNK
    after = pos[0] // CHUNK, pos[1] // CHUNK
    if before != after:
      del self.chunks[before][obj]
      self.chunks.setdefault(after, {})[obj] = None
    obj.pos = pos

  def nearby(self, pos: Tile, distance: int) -> tuple[set[str | None], list[Any]]:
    """Materials and objects in a square around a tile.

    As in stock Crafter the square must not stick out at the left or the top
    of the map: there nothing is found, and nothing can be crafted.
    """
    x, y = pos
    (left, right), (top, bottom) = (
      (x - distance, x + distance + 1),
      (y - distance, y + distance + 1),
    )
    ids = set(self.terrain[left:right, top:bottom].ravel().tolist())
    objects = (
      [o for o in self._objects if self._is_in(o.pos, left, right, top, bottom)]
      if ids
      else []
    )
    return {MATERIALS[i] for i in ids}, objects

  def count(self, chunk: tuple[int, int], material: str) -> int:
    """Number of tiles of a material in a chunk."""
    return self._counts[chunk][IDS[material]]

  def tiles(self, chunk: tuple[int, int], material: str) -> np.ndarray:
    """Positions of a material in a chunk, i64 (N, 2), x-major."""
    x, y = chunk[0] * CHUNK, chunk[1] * CHUNK
    region = self.terrain[x : x + CHUNK, y : y + CHUNK]
    return np.argwhere(region == IDS[material]) + np.array((x, y))

  def within(self, left: int, right: int, top: int, bottom: int) -> Iterator[Any]:
    """Objects with left <= x < right and top <= y < bottom."""
    for i in range(left // CHUNK, (right - 1) // CHUNK + 1):
      for j in range(top // CHUNK, (bottom - 1) // CHUNK + 1):
        for obj in self.chunks.get((i, j), ()):
          if self._is_in(obj.pos, left, right, top, bottom):
            yield obj

  @staticmethod
  def _is_in(pos: Tile, left: int, right: int, top: int, bottom: int) -> bool:
    return left <= pos[0] < right and top <= pos[1] < bottom
