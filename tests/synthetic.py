"""Synthetic recordings with a known truth, for tests and benchmarks."""

import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dreamerv3.base import files, unpickle
from dreamerv3.data.metadata import Metadata
from dreamerv3.data.surroundings import crop

MATERIALS = ('none', 'water', 'grass', 'stone', 'path', 'sand', 'tree')
ALONE = np.pad(np.ones((1, 1), np.uint8), 4)  # nobody but the player
MOVES = np.array([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)])

# (pos (T, 2), facing (T, 2), rng) -> activations (T, D)
Code = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def world(
  area: tuple[int, int] = (12, 10), walls: tuple[tuple[int, int], ...] = ()
) -> np.ndarray:
  """A field of grass with some tiles of stone, uint8 (W, H)."""
  tiles = np.full(area, MATERIALS.index('grass'), np.uint8)
  for x, y in walls:
    tiles[x, y] = MATERIALS.index('stone')
  return tiles


def walk(
  tiles: np.ndarray,
  length: int,
  rng: np.random.Generator,
  start: tuple[int, int] | None = None,
  turn: float = 0.3,
  rest: float = 0.1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """A random walk over grass: pos (T, 2), facing (T, 2), action (T,).

  As in the game, `action[t]` is chosen at t; moving into an obstacle turns the
  player without moving it.
  """
  free = tiles == MATERIALS.index('grass')
  pos = np.array(start if start is not None else rng.choice(np.argwhere(free)))
  facing, heading = np.array((0, 1)), 4
  places, facings, actions = [], [], []
  for _ in range(length):
    if rng.random() < turn:
      heading = int(rng.integers(1, 5))
    action = 0 if rng.random() < rest else heading
    places.append(pos)
    facings.append(facing)
    actions.append(action)
    if action:
      facing = MOVES[action]
      target = pos + facing
      inside = ((target >= 0) & (target < tiles.shape)).all()
      if inside and free[tuple(target)]:
        pos = target
  return np.array(places), np.array(facings), np.array(actions, np.int32)


def one_hot_places(pos, facing, rng, area=(12, 10)):
  """One unit per tile: the ideal place code."""
  del facing, rng
  eye = np.eye(area[0] * area[1], dtype=np.float32)
  return eye[pos[:, 0] * area[1] + pos[:, 1]]


def noise(pos, facing, rng, units=8, rho=0.0):
  """Gaussian noise, autocorrelated over time with coefficient rho."""
  del facing
  x = rng.normal(size=(len(pos), units))
  for t in range(1, len(pos)):
    x[t] = rho * x[t - 1] + np.sqrt(1 - rho**2) * x[t]
  return x.astype(np.float32)


def record(
  folder: pathlib.Path | str,
  codes: Mapping[str, Code],
  episodes: int = 6,
  length: int = 60,
  tiles: np.ndarray | None = None,
  seed: int = 0,
  image: int = 16,
  dtype: str = 'float16',
  walker: Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]] = walk,
  **walking: Any,
) -> pathlib.Path:
  """Writes a recording in the form of docs/data_format.md; returns folder.

  Lengths differ by up to a quarter, as real episodes do.
  """
  folder = files.make_folder(folder)
  tiles = world() if tiles is None else tiles
  shapes: dict[str, int] = {}
  for k in range(1, episodes + 1):
    rng = np.random.default_rng([seed, k])
    T = length - int(rng.integers(0, max(length // 4, 1)))
    pos, facing, action = walker(tiles, T, rng, **walking)
    acts = {x: np.asarray(f(pos, facing, rng)) for x, f in codes.items()}
    shapes = {x: v.shape[1] for x, v in acts.items()}
    reward = (rng.random(T) < 0.02).astype(np.float64)
    reward[0] = action[-1] = 0
    episode = {
      'player_pos': pos.astype(np.float32),
      'player_facing': facing.astype(np.int32),
      'image': rng.integers(0, 256, (T, image, image, 3)).astype(np.uint8),
      'action': action,
      'reward': reward,
      'daylight': np.ones(T, np.float32),
      'sleeping': np.zeros(T, bool),
      'injury': np.zeros(T, np.uint8),
      'view_materials': crop(tiles, pos),
      'view_objects': np.tile(ALONE, (T, 1, 1)),
      'achievements': [{'collect_wood': t // 20} for t in range(T)],
      'final_achievements': {'collect_wood': (T - 1) // 20},
      'layer_names': sorted(acts),
      'episode': k,
      'length': T,
      'total_reward': float(reward.sum()),
      **{f'act/{x}': v.astype(dtype) for x, v in acts.items()},
    }
    files.save_pickle(folder / f'episode_{k:03d}.pkl', episode)
  w, h = tiles.shape
  metadata = Metadata(
    area=(w, h),
    env_seed=1,
    world_seed=2,
    seed=seed,
    world_map=tiles,
    materials=MATERIALS,
    objects=('none', 'player'),
    layers=shapes,
  )
  files.save_pickle(folder / 'metadata.pkl', metadata.to_dict())
  return folder


def copy(recording: pathlib.Path, folder: pathlib.Path, **changes: Any) -> pathlib.Path:
  """A copy of a recording whose metadata say something else."""
  shutil.copytree(recording, folder)
  about = unpickle.load(folder / 'metadata.pkl')
  files.save_pickle(folder / 'metadata.pkl', {**about, **changes})
  return folder
