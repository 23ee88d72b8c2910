"""Are the cells of RatInABox named what they are? The confusion table.

  pip install ratinabox                             # an optional peer
  python bench/classes_ratinabox.py                 # minutes on one core
  python bench/classes_ratinabox.py --seeds 1 --noise 0.1

RatInABox (George et al. 2024, doi:10.7554/eLife.85274) is another simulator of rodents
and their cells. Its agent walks an arena of 2.4 m, open (even seeds) or with a wall
inside, in 30 episodes from random places; its own cells are binned to tiles of 0.1 m
and four facings. Their parameters are its defaults, but for the spacing of grids, 8 to
10 tiles, and for boundary vectors, which prefer 0 to 8 tiles instead of 0.5 to 3.
"""

import argparse
import collections
import importlib.metadata
import pathlib
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from bench.classes import show
from bench.classes_elsewhere import allocentric, named, on_tiles
from dreamerv3.analysis.tuning import cell_types
from tests import synthetic
from tests.analysis import planted

SIDE = 24  # tiles of the arena
TILE = 0.1  # [m]
WALL = tuple((11, y) for y in range(8, 16))  # tiles of the wall inside
UPDATE, EVERY = 0.1, 6  # [s] of the simulation; updates between samples
EPISODES, LENGTH = 30, 250
AT_ONCE = 500  # positions whose rates are computed together


class Rat:
  """A path of RatInABox's agent, with its cells.

  Attributes:
    tiles: (W, H) of the world. track: the path on tiles.
    rates: (N, D) without noise; truth: (D,) classes.
  """

  def __init__(self, inner: bool, each: int, seed: int):
    import ratinabox

    np.random.seed(seed)  # noqa: NPY002, it draws from the global generator
    self.tiles = synthetic.world((SIDE, SIDE), WALL if inner else ())
    arena = ratinabox.Environment({'scale': SIDE * TILE, 'holes': _hole(inner)})
    self._agent = ratinabox.Agent(arena, {'dt': UPDATE, 'save_history': False})
    self._cells = self._populations(each)
    seen: dict[str, list] = collections.defaultdict(list)
    for _ in range(EPISODES):
      self._agent.initialise_position_and_velocity()
      for _ in range(LENGTH):
        self._step(seen)
    path = {k: np.array(v) for k, v in seen.items()}
    angle = np.arctan2(path['head'][:, 1], path['head'][:, 0])
    episode, t = np.divmod(np.arange(len(angle)), LENGTH)
    self.track = on_tiles(path['pos'] / TILE - 0.5, angle, episode, t + 1)
    self.rates, self.truth = self._all_rates(path)

  def _populations(self, each: int) -> dict[int, Any]:
    """Its cells, by the class of each kind."""
    import ratinabox

    agent, some = self._agent, {'n': each}
    vectors = {'tuning_distance': (0.0, 8 * TILE)}
    grids = {'gridscale_distribution': 'uniform', 'gridscale': (8 * TILE, 10 * TILE)}
    own = {'reference_frame': 'egocentric'}
    hidden = {'wall_geometry': 'line_of_sight'}  # as it takes it where a wall is inside
    return {
      cell_types.SINGLE: ratinabox.PlaceCells(agent, {**some, **hidden}),
      cell_types.GRID: ratinabox.GridCells(agent, {**some, **grids}),
      cell_types.BOUNDARY: ratinabox.BoundaryVectorCells(agent, {**some, **vectors}),
      cell_types.EGO: ratinabox.BoundaryVectorCells(agent, {**some, **own}),
      cell_types.HD: ratinabox.HeadDirectionCells(agent, {**some}),
      cell_types.SPEED: ratinabox.SpeedCell(agent),
    }

  def _step(self, seen: dict[str, list]) -> None:
    """Moves the agent by a sample, and notes where it is and what turns with it."""
    speeds = []
    for _ in range(EVERY):
      self._agent.update()
      velocity = {'evaluate_at': None, 'vel': self._agent.measured_velocity}
      speeds.append(self._cells[cell_types.SPEED].get_state(**velocity))
    seen['pos'].append(self._agent.pos)
    seen['head'].append(self._agent.head_direction)
    seen['speed'].append(np.mean(speeds, 0))
    for name, cls in (('ego', cell_types.EGO), ('facing', cell_types.HD)):
      seen[name].append(self._cells[cls].get_state().ravel())

  def _all_rates(self, path: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rates (N, D) of all cells along the path, and their classes (D,)."""

    def along(cls: int) -> np.ndarray:
      parts = np.split(path['pos'], range(AT_ONCE, len(path['pos']), AT_ONCE))
      states = [self._cells[cls].get_state(evaluate_at=None, pos=x) for x in parts]
      return np.concatenate(states, 1).T

    place, facing = along(cell_types.SINGLE), path['facing']
    found = {
      cell_types.SINGLE: place,
      cell_types.GRID: along(cell_types.GRID),
      cell_types.EGO: path['ego'],
      cell_types.HD: facing,
      cell_types.BOTH: place * facing,
      cell_types.SPEED: path['speed'],
    }
    rates, truth = list(found.values()), []
    for cls, values in found.items():
      truth += [cls] * values.shape[1]
    far = self._cells[cell_types.BOUNDARY].tuning_distances / TILE
    rates.append(along(cell_types.BOUNDARY))
    truth += [allocentric(x) for x in far]
    return np.concatenate(rates, 1), np.array(truth)


def _hole(inner: bool) -> list[list[tuple[float, float]]]:
  """The tiles of the wall inside as an obstacle of RatInABox."""
  if not inner:
    return []
  (x0, y0), (x1, y1) = np.array(WALL[0]) * TILE, (np.array(WALL[-1]) + 1) * TILE
  return [[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]]


def classify(seed: int, args: argparse.Namespace) -> dict[float, tuple]:
  """Truth and found class of all units of a path, by the noise."""
  rat = Rat(bool(seed % 2), args.each, seed)
  rng = np.random.default_rng(700 + seed)
  slow = planted.slow_noise(rat.track, args.each, 0.95, rng)
  shuffled = rng.permuted(rat.rates[:, rat.truth == cell_types.SINGLE], axis=0)
  none = [cell_types.UNTUNED] * (2 * args.each)
  alive = rat.rates.std(0) > 1e-3 * rat.rates.std(0).max()
  found = {}
  for noise in args.noise:
    X = rat.rates + noise * rat.rates.std(0) * rng.normal(size=rat.rates.shape)
    X = np.concatenate([X[:, alive], slow, shuffled], 1)
    ids = named(X, rat.track, rat.tiles, args.nulls, seed)
    found[noise] = (np.array([*rat.truth[alive], *none]), ids)
  return found


def main() -> None:
  """Prints the confusion table of each noise level."""
  parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
  parser.add_argument('--seeds', type=int, default=2)
  parser.add_argument('--each', type=int, default=10)
  parser.add_argument('--nulls', type=int, default=100)
  parser.add_argument('--noise', type=float, nargs='+', default=(0.1, 0.5))
  args = parser.parse_args()
  try:
    version = importlib.metadata.version('ratinabox')
  except importlib.metadata.PackageNotFoundError:
    message = 'RatInABox is not installed; `pip install ratinabox` adds it.'
    print(message, file=sys.stderr)
    sys.exit(2)
  found = [classify(seed, args) for seed in range(args.seeds)]
  for noise in args.noise:
    print(f'\nRatInABox {version}, noise {noise} of the standard deviation')
    show(*(np.concatenate([x[noise][k] for x in found]) for k in (0, 1)))


if __name__ == '__main__':
  main()
