"""Units whose tuning is known, on walks that cover a world unevenly."""

import numpy as np

from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.maps import border
from dreamerv3.analysis.tuning.maps.head_direction import to_bin
from dreamerv3.data.samples import Samples, Track
from tests import synthetic

OBSTACLES = (
  *((x, y) for x in range(6, 9) for y in range(6, 10)),
  *((15, y) for y in range(4, 13)),
  *((x, 17) for x in range(5, 12)),
  (3, 13),
  (12, 3),
  (19, 15),
  (18, 20),
  (2, 20),
)


def world(area=(24, 24), obstructed=True) -> np.ndarray:
  """Tiles (W, H) of a field, with rocks and walls if it is obstructed."""
  return synthetic.world(area, OBSTACLES if obstructed else ())


def free(tiles: np.ndarray) -> np.ndarray:
  return tiles == synthetic.MATERIALS.index('grass')


def track(tiles, rng, episodes=60, length=400) -> Track:
  """Walks of different lengths; every second one begins at the same tile."""
  pos, facing, number, t = [], [], [], []
  start = tuple(np.array(tiles.shape) // 2)
  for e in range(episodes):
    T = length - int(rng.integers(0, length // 3))
    p, f, _ = synthetic.walk(tiles, T, rng, start if e % 2 else None)
    pos.append(p)
    facing.append(f)
    number.append(np.full(T, e))
    t.append(np.arange(1, T + 1))
  return Track(
    np.concatenate(pos),
    np.concatenate(number),
    np.concatenate(t),
    np.concatenate(facing).astype(np.int8),
  )


def slow_noise(track: Track, units: int, rho, rng) -> np.ndarray:
  """Gaussian noise (N, units), autocorrelated within each episode."""
  x = rng.normal(size=(len(track), units))
  fresh = np.diff(track.episode, prepend=-1) != 0
  for i in np.flatnonzero(~fresh):
    x[i] = rho * x[i - 1] + np.sqrt(1 - rho**2) * x[i]
  return x


def field(track: Track, centre, width: float) -> np.ndarray:
  return np.exp(-((track.pos - centre) ** 2).sum(1) / (2 * width**2))


def population(
  tiles, track: Track, rng, each=12, noise=0.1, signed=False, weak=0
) -> tuple[Samples, np.ndarray]:
  """Samples of all kinds of units, and the class each belongs to.

  `each` units per kind, four times as many of noise, and `weak` ones of each
  of three shapes. Signed units are scaled and shifted, so that they are
  negative outside their fields.
  """
  units, truth = [], []

  def add(cls: int, values: np.ndarray) -> None:
    units.append(values)
    truth.append(cls)

  counts = np.zeros(tiles.shape)
  np.add.at(counts, tuple(track.pos.T), 1)
  visited = np.argwhere(counts >= np.quantile(counts[free(tiles)], 0.25))
  heading = to_bin(track.facing)
  for i in range(each):
    centre, width = rng.choice(visited), rng.uniform(1.5, 3)
    add(cell_types.SINGLE, field(track, centre, width))
    add(cell_types.HD, np.where(heading == i % 4, 1.0, 0.1))
    wide = field(track, rng.choice(visited), rng.uniform(2.5, 4))
    add(cell_types.BOTH, wide * (heading == i % 4))
    add(cell_types.COMPLEX, several(track, visited, 2 + i % 3, rng))
  for i, distance in enumerate(wall_distances(tiles, each)):
    d = distance[tuple(track.pos.T)]
    add(cell_types.BORDER, np.exp(-(d - 1) / 1.5) if i % 2 else (d <= 1) * 1.0)
  X = np.stack(units, 1)
  X += noise * rng.normal(size=X.shape)
  slow = [slow_noise(track, 2 * each, rho, rng) for rho in (0.9, 0.98)]
  X = np.concatenate([X, *slow], 1)
  faint = drowned(tiles, track, visited, weak, rng)
  X = np.concatenate([X, faint], 1)
  X = 1.5 * X - 0.5 if signed else np.maximum(X, 0)
  still = np.repeat([[0.0, 0.0, 0.7]], len(X), 0)
  X = np.concatenate([X, still], 1).astype(np.float32)
  truth += [cell_types.UNTUNED] * (4 * each)
  truth += [cell_types.WEAK] * faint.shape[1] + [cell_types.DEAD] * 3
  return Samples('planted', X, track), np.array(truth)


def drowned(tiles, track: Track, visited, count: int, rng) -> np.ndarray:
  """Fields, pairs of fields and borders (N, 3 count) of half the noise.

  Half of the noise is fresh in every step, half is slow.
  """
  walls = wall_distances(tiles, count)[:count]
  units = [np.exp(-(d[tuple(track.pos.T)] - 1) / 1.5) for d in walls]
  for _ in range(count):
    units.append(field(track, rng.choice(visited), rng.uniform(1.5, 3)))
    units.append(several(track, visited, 2, rng))
  X = np.reshape(units, (3 * count, len(track))).T
  slow = np.arange(3 * count) % 2 == 0
  noise = [slow_noise(track, 3 * count, rho, rng) for rho in (0, 0.95)]
  return X + 2 * np.where(slow, noise[1], noise[0])


def several(track: Track, visited, count: int, rng) -> np.ndarray:
  """Fields of similar size, at least 7 tiles apart."""
  centres = apart(visited, count, rng)
  return np.max([field(track, x, rng.uniform(1.5, 2.2)) for x in centres], 0)


def apart(visited, count: int, rng) -> list[np.ndarray]:
  """Places at least 7 tiles from each other."""
  centres = [rng.choice(visited)]
  while len(centres) < count:
    new = rng.choice(visited)
    if min(np.abs(new - x).max() for x in centres) >= 7:
      centres.append(new)
  return centres


def wall_distances(tiles, count: int) -> list[np.ndarray]:
  """The four sides of the edge in turn, then every obstacle in turn."""
  walls = border.find_walls(free(tiles))
  sides = [x.distance for x in walls if x.name.startswith('edge ')]
  rocks = [x.distance for x in walls if x.inner and x.name[-1].isdigit()]
  chosen = [sides[i % 4] for i in range(count)]
  return chosen + [rocks[i % len(rocks)] for i in range(count if rocks else 0)]
