"""Are units named rightly that nobody planted for this program? Three populations.

  python bench/classes_elsewhere.py                 # minutes on one core
  python bench/classes_elsewhere.py --part arena --seeds 1 --noise 0.2

arena: an animal with inertia in a continuous arena, whose cells follow the models that
other simulators use (place, head direction, boundary vector, egocentric boundary, grid,
speed, conjunctive), binned to tiles and four facings. onoff: fields that are on in a
random half of the episodes. few: 25 short walks from one corner, by the number of
episodes in which a unit was active.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from bench.classes import show
from dreamerv3.analysis.explain.covariates import Steps
from dreamerv3.analysis.tuning import cell_types, table
from dreamerv3.analysis.tuning.cell_types import NAMES, Thresholds
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.border import find_walls
from dreamerv3.analysis.tuning.setup import Setup
from dreamerv3.data.grid import Grid
from dreamerv3.data.samples import Samples, Track
from tests import synthetic
from tests.analysis import planted, planted_kinds

SIDE = 24  # [tiles] of the arena
RAYS = 72  # directions in which an animal sees walls
WALL = ((11, 0), (11, 1), (11, 2), (11, 3), (11, 4), (11, 5), (11, 6), (11, 7))


class Animal:
  """A path through the arena: where, whither, how fast, and how far walls are.

  Speed and turning are Ornstein-Uhlenbeck processes, and walls are turned away from, as
  in rodents' open fields.

  Args:
    tiles: (W, H) of the world. rng: of the path.
  """

  def __init__(
    self, tiles: np.ndarray, rng: np.random.Generator, episodes: int, length: int
  ):
    free = np.pad(planted.free(tiles), 1)
    places, angles, speeds = [], [], []
    for _ in range(episodes):
      at = rng.choice(np.argwhere(planted.free(tiles))) + rng.uniform(-0.4, 0.4, 2)
      angle, speed, turning = rng.uniform(0, 2 * np.pi), 0.7, 0.0
      for _ in range(length):
        turning = 0.8 * turning + 0.2 * rng.normal()
        speed = abs(0.7 + 0.9 * (speed - 0.7) + 0.2 * rng.normal())
        angle += turning
        step = at + speed * np.array((np.cos(angle), np.sin(angle)))
        if free[tuple(np.rint(step).astype(int).clip(-1, SIDE) + 1)]:
          at = step
        else:
          angle += rng.uniform(0.5, 1) * np.pi
          speed = 0.1
        places.append(at)
        angles.append(angle)
        speeds.append(speed)
    self.pos, self.angle, self.speed = map(np.array, (places, angles, speeds))
    self.episode = np.repeat(np.arange(episodes), length)
    self.t = np.tile(np.arange(1, length + 1), episodes)
    self.walls = self._walls(free)

  def _walls(self, free: np.ndarray) -> np.ndarray:
    """Distance [tiles] to the next wall in each of RAYS directions, (N, RAYS)."""
    found = np.full((len(self.pos), RAYS), np.inf)
    ways = np.arange(RAYS) * 2 * np.pi / RAYS
    for far in np.arange(0.25, SIDE * 1.5, 0.25):
      ends = self.pos[:, None] + far * np.stack((np.cos(ways), np.sin(ways)), 1)
      tile = np.rint(ends).astype(int).clip(-1, SIDE) + 1
      blocked = ~free[tile[..., 0], tile[..., 1]]
      found[blocked & np.isinf(found)] = far
    return found

  def track(self) -> Track:
    """The path on tiles."""
    return on_tiles(self.pos, self.angle, self.episode, self.t)

  def boundary(self, distance: float, toward: float, own: bool) -> np.ndarray:
    """Boundary vector cell (N,) (Hartley et al. 2000), egocentric if `own`.

    Args:
      distance: preferred [tiles]; toward: preferred way, of the world or the head.
    """
    ways = np.arange(RAYS) * 2 * np.pi / RAYS
    angle = ways - toward - (self.angle[:, None] if own else 0)
    near = np.exp(-((self.walls - distance) ** 2) / (2 * (distance / 8 + 0.8) ** 2))
    seen = near * np.exp((np.cos(angle) - 1) / 0.2**2)
    return seen.sum(1) / seen.sum(1).max()


def on_tiles(
  pos: np.ndarray, angle: np.ndarray, episode: np.ndarray, t: np.ndarray
) -> Track:
  """A continuous path on tiles; the facing is the nearest of four.

  Args:
    pos: (N, 2) [tiles], whole at the middle of a tile. angle: (N,) of the head [rad].
  """
  turned = np.rint(angle / (np.pi / 2)).astype(int) % 4
  ways = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
  return Track(np.rint(pos).astype(int), episode, t, ways[turned].astype(np.int8))


def allocentric(distance: float) -> int:
  """The class of a boundary vector that prefers this distance [tiles] from a wall.

  From the middle of a tile beside it a wall is half a tile away, and 1 step.
  """
  far = np.rint(distance + 0.5) >= cell_types.BAND
  return cell_types.BOUNDARY if far else cell_types.BORDER


def cells(animal: Animal, rng: np.random.Generator, each: int) -> tuple[list, list]:
  """Rates (N,) of every kind without noise, and their classes."""
  units: list[np.ndarray] = []
  truth: list[int] = []
  track = animal.track()
  for i in range(each):
    here, there = (animal.pos[rng.integers(len(animal.pos))] for _ in range(2))
    toward, distance = rng.uniform(0, 2 * np.pi), 1 + 7 * i / each
    field = np.exp(-((animal.pos - here) ** 2).sum(1) / (2 * rng.uniform(1.5, 3) ** 2))
    wide = np.exp(-((animal.pos - there) ** 2).sum(1) / (2 * rng.uniform(2.5, 4) ** 2))
    head = np.exp(3 * (np.cos(animal.angle - toward) - 1))
    side = rng.integers(4) * np.pi / 2
    for cls, values in (
      (cell_types.SINGLE, field),
      (cell_types.HD, head),
      (cell_types.BOTH, wide * head),
      (allocentric(distance), animal.boundary(distance, side, own=False)),
      (cell_types.EGO, animal.boundary(1 + i % 3, side, own=True)),
      (cell_types.GRID, planted_kinds.lattice(track, rng.uniform(8, 10), rng)),
      (cell_types.SPEED, animal.speed / animal.speed.max()),
    ):
      units.append(values)
      truth.append(cls)
  return units, truth


def named(
  X: np.ndarray, track: Track, tiles: np.ndarray, nulls: int, seed: int
) -> np.ndarray:
  """The tested class of each column of X (N, D)."""
  steps = Steps.of_track(track, tiles, planted_kinds.WALKABLE)
  design = Design.build(track, Grid(*tiles.shape))
  walls = find_walls(planted.free(tiles))
  setup = Setup.build(design, walls, steps, n_shuffles=nulls, seed=seed)
  found = table.measure(Samples('elsewhere', X.astype(np.float32), track), setup)
  return cell_types.by_test(found.metrics, found.q, Thresholds(), found.p)


def arena(args: argparse.Namespace) -> None:
  """The confusion table of the continuous arena, per noise level."""
  for noise in args.noise:
    truths, ids = [], []
    for seed in range(args.seeds):
      rng = np.random.default_rng(300 + seed)
      tiles = synthetic.world((SIDE, SIDE), WALL if seed % 2 else ())
      animal = Animal(tiles, rng, 40, 400)
      units, truth = cells(animal, rng, args.each)
      X = np.stack(units, 1)
      X += noise * X.std(0) * rng.normal(size=X.shape)
      slow = planted.slow_noise(animal.track(), 2 * args.each, 0.95, rng)
      truths.append(np.array(truth + [cell_types.UNTUNED] * slow.shape[1]))
      both = np.concatenate([X, slow], 1)
      ids.append(named(both, animal.track(), tiles, args.nulls, seed))
    print(f'\narena, noise {noise} of the standard deviation, {args.seeds} paths')
    show(np.concatenate(truths), np.concatenate(ids))


def onoff(args: argparse.Namespace) -> None:
  """What fields are called that are on in a random half of the episodes."""
  for noise in args.noise:
    ids = []
    for seed in range(args.seeds):
      rng = np.random.default_rng(400 + seed)
      tiles = planted.world(obstructed=False)
      track = planted.track(tiles, rng, 40)
      visited = planted_kinds.often(tiles, track)
      on = rng.random((4 * args.each, 40)) < 0.5
      X = np.stack(
        [planted.field(track, rng.choice(visited), 2.5) * x[track.episode] for x in on],
        1,
      )
      X += noise * rng.normal(size=X.shape)
      ids.append(named(X, track, tiles, args.nulls, seed))
    print(f'\nfields on in a random half of 40 episodes, noise {noise}: {_shares(ids)}')


def few(args: argparse.Namespace) -> None:
  """Shares of place cells found, by the episodes in which they were active."""
  for noise in args.noise:
    known: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for seed in range(args.seeds):
      rng = np.random.default_rng(500 + seed)
      tiles = planted.world((32, 32), obstructed=False)
      walks = [synthetic.walk(tiles, 320, rng, (3, 3)) for _ in range(25)]
      pos, facing, _ = (np.concatenate(x) for x in zip(*walks, strict=True))
      episode = np.repeat(np.arange(25), 320)
      time = np.tile(np.arange(1, 321), 25)
      track = Track(pos, episode, time, facing.astype(np.int8))
      seen = np.unique(pos, axis=0)
      clear = np.stack(
        [
          planted.field(track, rng.choice(seen), rng.uniform(1.5, 3))
          for _ in range(6 * args.each)
        ],
        1,
      )
      active = clear > 0.5 * clear.max(0)
      often = (
        np.stack([active[episode == e].sum(0) >= 2 for e in range(25)]).sum(0) >= 3
      )
      X = clear + noise * rng.normal(size=clear.shape)
      found = named(X, track, tiles, args.nulls, seed)
      for side in known:
        known[side].append(found[often == side])
    for side, label in ((True, '3 episodes or more'), (False, '1 or 2 episodes')):
      print(f'\nplace cells active in {label}, noise {noise}: {_shares(known[side])}')


def _shares(ids: list[np.ndarray]) -> str:
  counts = np.bincount(np.concatenate(ids), minlength=len(NAMES))
  parts = [
    f'{NAMES[k]} {counts[k] / counts.sum():.0%}'
    for k in np.argsort(-counts)
    if counts[k]
  ]
  return f'{counts.sum()} units, {", ".join(parts)}'


PARTS = {'arena': arena, 'onoff': onoff, 'few': few}


def main() -> None:
  """Prints the tables of one part, or of all."""
  parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
  parser.add_argument('--part', choices=(*PARTS, 'all'), default='all')
  parser.add_argument('--seeds', type=int, default=2)
  parser.add_argument('--each', type=int, default=10)
  parser.add_argument('--nulls', type=int, default=100)
  parser.add_argument('--noise', type=float, nargs='+', default=(0.1, 0.5))
  args = parser.parse_args()
  for name, part in PARTS.items():
    if args.part in (name, 'all'):
      part(args)


if __name__ == '__main__':
  main()
