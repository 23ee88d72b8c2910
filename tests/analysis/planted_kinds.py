"""Units of every class that tuning names, clear and drowned, with their truth.

found = kinds(tiles, track, rng)            # samples, truth, steps
"""

from typing import NamedTuple

import numpy as np

from dreamerv3.analysis.explain import surroundings
from dreamerv3.analysis.explain.covariates import Steps
from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.maps import border
from dreamerv3.analysis.tuning.maps.head_direction import STEPS, to_bin
from dreamerv3.data.samples import Samples, Track
from dreamerv3.data.trajectories import Trajectories
from tests import synthetic
from tests.analysis import planted

WALKABLE = tuple(synthetic.MATERIALS.index(x) for x in ('grass', 'sand', 'path'))
NOOP = 4


class Kinds(NamedTuple):
  """Planted units, the class of each, and what else the recording holds."""

  samples: Samples
  truth: np.ndarray
  steps: Steps


def kinds(tiles, track: Track, rng, each=12, noise=0.1, drowned=2.0) -> Kinds:
  """`each` clear units of a class, one drowned for each, and noise.

  Those of `planted.population` and: boundary vectors at 1 to 9 steps from a
  side of the edge; distance to the next obstacle ahead, right, behind, left,
  and material in front; moving, standing; the last action; lattices; fields
  that move or vanish in the second half of the episodes.
  """
  plain, truth = planted.population(
    tiles, track, rng, each=each, noise=noise, weak=each
  )
  steps = last_actions(track, tiles, rng)
  clear, classes = codes(tiles, track, steps, rng, each)
  faint, _ = codes(tiles, track, steps, rng, each)
  heading = to_bin(track.facing)
  faint += [(heading == i % 4) * 1.0 for i in range(each)]
  A, B = np.stack(clear, 1), np.stack(faint, 1)
  A = A + noise * rng.normal(size=A.shape)
  B = B + drowned * rng.normal(size=B.shape)
  X = np.concatenate([plain.X, A, B], 1).astype(np.float32)
  weak = np.full(B.shape[1], cell_types.WEAK)
  every = np.concatenate([truth, classes, weak])
  return Kinds(Samples('planted', X, track), every, steps)


def codes(
  tiles, track: Track, steps: Steps, rng, each: int
) -> tuple[list[np.ndarray], list[int]]:
  """Activations without noise of the kinds named in `kinds`, and their classes."""
  units: list[np.ndarray] = []
  truth: list[int] = []

  def add(cls: int, values: np.ndarray) -> None:
    units.append(values * 1.0)
    truth.append(cls)

  around = surroundings.window(track.pos, tiles)
  around = surroundings.turned(around, track.facing)
  steps_to = surroundings.rays(around, np.array(WALKABLE))
  front = around[:, surroundings.REACH, surroundings.REACH - 1]
  common = [x for x in np.unique(front) if 0.02 < (front == x).mean() < 0.98]
  sides = [x for x in border.find_walls(planted.free(tiles)) if x.name[:5] == 'edge ']
  visited = often(tiles, track)
  late = track.episode > track.episode.max() / 2
  heading = to_bin(track.facing)
  for i in range(each):
    d0 = i % 9 + 1
    away = sides[i % len(sides)].distance[tuple(track.pos.T)]
    cls = cell_types.BOUNDARY if d0 >= cell_types.BAND else cell_types.BORDER
    add(cls, np.exp(-((away - d0) ** 2) / 2))
    add(cell_types.EGO, np.exp(-((steps_to[:, i % 4] - 1 - i % 3) ** 2) / 2))
    add(cell_types.EGO, front == common[i % len(common)])
    add(cell_types.SPEED, steps.moved == i % 2)
    add(cell_types.ACTION, steps.action == i % 5)
    add(cell_types.GRID, lattice(track, rng.uniform(8, 10), rng))
    here, there = planted.apart(visited, 2, rng)
    other = planted.field(track, there, 2.5) if i % 2 else 0
    add(cell_types.REMAPPING, np.where(late, other, planted.field(track, here, 2.5)))
    wide = planted.field(track, rng.choice(visited), rng.uniform(2.5, 4))
    add(cell_types.BOTH, wide * (heading == i % 4))
  return units, truth


def often(tiles, track: Track) -> np.ndarray:
  """Tiles (K, 2) that are not among the least visited quarter."""
  counts = np.zeros(tiles.shape)
  np.add.at(counts, tuple(track.pos.T), 1)
  return np.argwhere(counts >= max(np.quantile(counts[planted.free(tiles)], 0.25), 1))


def lattice(track: Track, spacing: float, rng) -> np.ndarray:
  """Rates (N,) of an ideal grid cell: three cosines 60 degrees apart."""
  turn, shift = rng.uniform(0, np.pi / 3), rng.uniform(0, spacing, 2)
  x, y = (track.pos - shift).T
  k = 4 * np.pi / (np.sqrt(3) * spacing)
  angles = turn + np.pi / 3 * np.arange(3)
  waves = [np.cos(k * (np.cos(a) * x + np.sin(a) * y)) for a in angles]
  return np.maximum(np.sum(waves, 0), 0) / 3


def last_actions(track: Track, tiles, rng) -> Steps:
  """Steps of a walk: the action before each, the facing or no operation."""
  steps = Steps.of_track(track, tiles, WALKABLE)
  heading = to_bin(track.facing).astype(int)
  idle = (steps.moved != 1) & (rng.random(len(track)) < 0.4)
  action = np.where(idle, NOOP, heading)
  action[steps.moved < 0] = -1
  return Steps(
    steps.moved,
    action,
    world_map=tiles,
    walkable=WALKABLE,
    before=done_before(track, action),
  )


def done_before(track: Track, action) -> np.ndarray:
  """(N, 3) the two actions before the last, and the last move; -1 unknown."""
  found = np.full((len(track), 3), -1)
  for k in (1, 2):
    same = track.episode[k:] == track.episode[:-k]
    found[k:, k - 1] = np.where(same, action[:-k], -1)
  x, y = np.diff(track.pos, axis=0).T
  same = track.episode[1:] == track.episode[:-1]
  found[1:, 2] = np.where(same, 3 * (x + 1) + y + 1, -1)
  return found


def replayed(tiles, rng, folder, episodes=50, length=400) -> Track:
  """Walks made of the moves of recorded episodes, from random places.

  Each episode strings pieces of 10 to 25 recorded moves together, each turned
  by a random multiple of 90 degrees; a move into an obstacle turns the player.
  """
  recorded = Trajectories.open(folder, (64, 64))
  moves = [np.diff(x.pos, axis=0) for x in recorded.episodes]
  free = planted.free(tiles)
  pos, facing, number, t = [], [], [], []
  for e in range(episodes):
    T = length - int(rng.integers(0, length // 3))
    at, face = rng.choice(np.argwhere(free)), STEPS[rng.integers(4)]
    piece = np.zeros((0, 2), int)
    for step in range(1, T + 1):
      if not len(piece):
        whole = moves[rng.integers(len(moves))]
        start = rng.integers(len(whole) - 20)
        piece = whole[start : start + rng.integers(10, 25)] @ _turn(rng.integers(4))
      move, piece = piece[0], piece[1:]
      if move.any():
        face = move
        if ((at + move >= 0) & (at + move < tiles.shape)).all() and free[
          tuple(at + move)
        ]:
          at = at + move
      pos.append(at)
      facing.append(face)
      number.append(e)
      t.append(step)
  return Track(
    np.array(pos), np.array(number), np.array(t), np.array(facing).astype(np.int8)
  )


def _turn(quarters: int) -> np.ndarray:
  return np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), int(quarters))
