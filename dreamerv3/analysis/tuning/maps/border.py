"""Border cells: activity along the walls of the real terrain.

  walls = find_walls(metadata.walkable())
  near_far = Contrast.build(distance)         # distance (G, V) of the walls
  best = score(rates, near_far)               # -1..1 and the wall it is at

What a wall is comes from the world map: the rim of the world (the map's edge,
and blocked terrain that closes at least three of its sides) and the obstacles
inside it are told apart, and so are the sides of each.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.ndimage
import scipy.sparse

from dreamerv3.analysis.arrays import Array, Arrays

# Walls with fewer adjacent tiles than this are no wall of their own.
MIN_TILES = 5
# As far along a path as activity can be from a wall and count as near it.
NEAR, FAR = 1, 3  # [steps]; what lies between belongs to neither
ROUNDING = 1e-6  # of sums of float32, as a share
# (dx, dy) from a tile to the blocked one beside it.
SIDES = {'north': (0, -1), 'south': (0, 1), 'west': (-1, 0), 'east': (1, 0)}


@dataclasses.dataclass(frozen=True)
class Wall:
  """One wall and how far every tile is from it.

  Attributes:
    name: 'edge', 'edge north' .. or 'obstacles', 'obstacle 2 east' ..
    inner: whether it is an obstacle inside the world.
    distance: (W, H) steps within the walkable area; 1 beside the wall, inf
      where the wall cannot be reached from and on blocked tiles.
  """

  name: str
  inner: bool
  distance: np.ndarray


@dataclasses.dataclass(frozen=True)
class Best:
  """The best wall of each unit, (D,): its score and index, -1 for none."""

  score: np.ndarray
  wall: np.ndarray


def find_walls(walkable: np.ndarray) -> list[Wall]:
  """All walls of a world (W, H) bool with at least five tiles beside them.

  The rim and its four sides; all obstacles together; each obstacle (connected
  blocked tiles, corners included) and its four sides.
  """
  rim, obstacles = _regions(walkable)
  together = np.any([*obstacles, np.zeros_like(rim)], axis=0)
  found = list(_faces('edge', False, rim, walkable))
  if len(obstacles) != 1:
    found += list(_faces('obstacles', True, together, walkable))[:1]
  for i, blocked in enumerate(obstacles, 1):
    found += list(_faces(f'obstacle {i}', True, blocked, walkable))
  return found


def geodesic(sources: np.ndarray, walkable: np.ndarray) -> np.ndarray:
  """Steps from the sources, which count 1, along walkable tiles, (W, H).

  A step goes to one of four neighbours, as the player's do; inf where no path
  leads.
  """
  distance = np.full(walkable.shape, np.inf)
  reached = sources & walkable
  steps = 1
  new = reached
  while new.any():
    distance[new] = steps
    new = scipy.ndimage.binary_dilation(reached) & walkable & ~reached
    reached = reached | new
    steps += 1
  return distance


@dataclasses.dataclass(frozen=True)
class Contrast:
  """Means over the tiles near and far of each usable wall, without the tiles between.

  Nearly all tiles are far from a wall, so that far sums are taken from those of all
  tiles that the wall can be reached from, less the few that are not far. Tiles are
  alike in that if the same walls can be reached from them: A kinds of tiles.

  Attributes:
    few: (2 G' + A, V) float32; G' rows of near tiles, which sum to 1, G' of what far
      tiles differ by, A of the kinds of tiles.
    reach: (G', A) float32 shares that the kinds of tiles have in what is far.
    wall: (G',) index of the wall among all.
  """

  few: scipy.sparse.csr_array
  reach: Array
  wall: np.ndarray

  def on(self, arrays: Arrays) -> 'Contrast':
    """The same where other arrays compute."""
    return Contrast(arrays.sparse(self.few), arrays.put(self.reach), self.wall)

  @classmethod
  def build(cls, distance: np.ndarray) -> 'Contrast':
    """Args: distance: (G, V) of each wall's distances at the visited tiles."""
    known = np.isfinite(distance)
    near, far = distance <= NEAR, (distance >= FAR) & known
    (wall,) = np.nonzero((near.sum(1) >= MIN_TILES) & (far.sum(1) >= MIN_TILES))
    near, far, known = near[wall], far[wall], known[wall]
    reach, kinds = _kinds(known)
    n_near, n_far = near.sum(1)[:, None], far.sum(1)[:, None]
    # A difference of two sums loses digits where what is left of it is little.
    most = 2 * n_far > known.sum(1)[:, None]
    rest = np.where(most, -(known & ~far).astype(int), far) / n_far
    parts = [scipy.sparse.csr_array(x) for x in (near / n_near, rest)]
    few = scipy.sparse.vstack([*parts, kinds], 'csr').astype(np.float32)
    return cls(few, ((reach & most) / n_far).astype(np.float32), wall)


# Scores of all walls, of the edge's and of the obstacles'.
SCORES = ('border_score', 'border_edge', 'border_inner')


def contrasts(walls: Sequence[Wall], distance: np.ndarray) -> dict[str, Contrast]:
  """Near and far of the walls of each of `SCORES` that has some; distance (G, V)."""
  inner = np.array([x.inner for x in walls], bool)
  chosen = zip(SCORES, (np.ones(len(walls), bool), ~inner, inner), strict=True)
  return {name: Contrast.build(distance[x]) for name, x in chosen if x.any()}


def _kinds(known: np.ndarray) -> tuple[np.ndarray, scipy.sparse.csr_array]:
  """Distinct columns (G, A) of (G, V) bool, and which columns are each, (A, V)."""
  tiles = known.shape[1]
  if not len(known):
    return known[:, :0], scipy.sparse.csr_array((0, tiles))
  packed = np.ascontiguousarray(np.packbits(known, axis=0).T)
  columns = packed.view(f'S{packed.shape[1]}').ravel()  # sorted faster than rows are
  _, first, kind = np.unique(columns, return_index=True, return_inverse=True)
  each = np.ones(tiles), (kind, np.arange(tiles))
  return known[:, first], scipy.sparse.csr_array(each, shape=(len(first), tiles))


def contrast(rates: Array, walls: Contrast) -> Array:
  """(near - far) / (near + far) of all usable walls, (G', D); see `score`."""
  sums, g = walls.few @ rates, len(walls.wall)
  near, reached = sums[:g], walls.reach @ sums[2 * g :]
  far = sums[g : 2 * g] + reached
  far *= far > ROUNDING * reached  # else it is what rounding leaves of nothing
  total = near + far
  total += total <= 0
  compared: Array = (near - far) / total
  return compared


def score(rates: np.ndarray, walls: Contrast) -> Best:
  """Border score, the largest contrast of near and far over the walls.

    b = (near - far) / (near + far)

  near is the mean rate of the tiles beside the wall (d = 1), far that of tiles
  at least 3 steps away; d is geodesic. An ideal border cell, active beside the
  wall alone, has b = 1; an even map 0; a cell that is silent near the wall -1.

  Solstad et al. 2008 (doi:10.1126/science.1166466) compare the share of a wall
  that one field covers with the field's distance, in square boxes. Contrast of
  near and far is what pRNN's analysis uses; it needs no field and no box, so
  it holds for coasts and rocks. Geodesic, since a wall behind a wall is far.

  Args:
    rates: (V, D) >= 0.
  """
  units = np.arange(rates.shape[1])
  if not len(walls.wall):
    return Best(np.full(len(units), np.nan), np.full(len(units), -1))
  found = contrast(rates.astype(np.float32, copy=False), walls)
  top = found.argmax(0)
  return Best(found[top, units], walls.wall[top])


def _regions(walkable: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
  """Blocked tiles (W + 2, H + 2): the rim, and each obstacle."""
  blocked, n = scipy.ndimage.label(~walkable, np.ones((3, 3)))
  rim = np.pad(np.zeros(walkable.shape, bool), 1, constant_values=True)
  obstacles = []
  for i in range(1, n + 1):
    region = blocked == i
    touches = [region[0], region[-1], region[:, 0], region[:, -1]]
    if sum(x.any() for x in touches) >= 3:
      rim[1:-1, 1:-1] |= region
    else:
      obstacles.append(np.pad(region, 1))
  return rim, obstacles


def _faces(
  name: str, inner: bool, blocked: np.ndarray, walkable: np.ndarray
) -> Iterator[Wall]:
  """The whole of a blocked region as a wall, then each of its sides.

  A side is named after where the tile is that it is felt from: the wall to
  the north of the player is the edge's north.
  """
  w, h = walkable.shape
  beside = {}
  for side, (dx, dy) in SIDES.items():
    neighbour = blocked[1 + dx : 1 + dx + w, 1 + dy : 1 + dy + h]
    beside[side] = neighbour & walkable
  whole = np.any(list(beside.values()), axis=0)
  if whole.sum() >= MIN_TILES:
    yield Wall(name, inner, geodesic(whole, walkable))
  for side, tiles in beside.items():
    if tiles.sum() >= MIN_TILES:
      yield Wall(f'{name} {side}', inner, geodesic(tiles, walkable))
