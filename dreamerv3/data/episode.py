"""One recorded episode: small values in memory, large arrays on disk.

episode = Episode.open('trajectories/episode_001.pkl')
episode.pos              # (T, 2) tiles
episode.read('image')    # (T, 64, 64, 3) uint8
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dreamerv3.base import unpickle
from dreamerv3.base.errors import UserError, reading
from dreamerv3.base.unpickle import LazyArray
from dreamerv3.data import layers

PREFIX = 'act/'

# Keys with one row per timestep, besides the layers.
PER_STEP = (
  'player_pos',
  'player_facing',
  'image',
  'action',
  'reward',
  'achievements',
  'daylight',
  'sleeping',
  'injury',
  'view_materials',
  'view_objects',
  'vital_health',
  'vital_food',
  'vital_drink',
  'vital_energy',
  'deter',
  'stoch',
)


@dataclasses.dataclass(frozen=True)
class StoredArray:
  """Where an array is: at hand, at a place on disk, or in a small file.

  Small arrays of an episode's own file are not kept (there are hundreds of
  files); those of a file with many episodes are, since reopening it is slow.
  """

  shape: tuple[int, ...]
  dtype: np.dtype
  source: np.ndarray | LazyArray | None


@dataclasses.dataclass(frozen=True)
class Episode:
  """A recorded episode of T timesteps, the reset observation included.

  Attributes:
    path: file it lies in.
    index: place inside that file's list of episodes; None if it is alone.
    number: 1-based number that the recorder gave it.
    pos: player position (T, 2) int64 [tiles; x east, y south].
    facing: (T, 2) int8 of (dx, dy); (0, 0) where it was not recorded.
    arrays: every array of the episode by its key.
    values: everything that is no array (lists, numbers, names).
  """

  path: pathlib.Path
  index: int | None
  number: int
  pos: np.ndarray
  facing: np.ndarray
  arrays: Mapping[str, StoredArray]
  values: Mapping[str, Any]

  def __len__(self) -> int:
    return len(self.pos)

  def __repr__(self) -> str:
    return (
      f'Episode({self.number} of {self.path}: {len(self)} timesteps, '
      f'{len(self.arrays)} arrays)'
    )

  @classmethod
  def open(cls, path: str | os.PathLike[str]) -> 'Episode':
    """Opens a file that holds one episode; UserError if it is another or damaged."""
    path = pathlib.Path(path)
    return cls.from_dict(unpickle.scan(path), path, None)

  @classmethod
  def from_dict(cls, content: Any, path: pathlib.Path, index: int | None) -> 'Episode':
    """Checks the content of one episode's dict, as `unpickle.scan` gives it.

    Raises:
      UserError: no dict, no positions, or keys of other lengths and forms.
    """
    if not isinstance(content, dict) or 'player_pos' not in content:
      raise UserError(f'{path} is no recorded episode: it has no player_pos.')
    with reading(path, 'recorded episode; record it again'):
      return cls._read(content, path, index)

  @classmethod
  def _read(
    cls, content: dict[str, Any], path: pathlib.Path, index: int | None
  ) -> 'Episode':

    def keep(value: Any) -> bool:
      return index is not None or isinstance(value, LazyArray)

    arrays = {
      k: StoredArray(tuple(v.shape), v.dtype, v if keep(v) else None)
      for k, v in content.items()
      if isinstance(v, np.ndarray | LazyArray)
    }
    length = len(_array(content['player_pos']))
    _check_lengths(path, length, arrays, content)
    _check_layers(path, arrays)
    facing = np.zeros((length, 2), np.int8)
    if 'player_facing' in content:
      facing = _directions(path, _array(content['player_facing']))
    return cls(
      path=path,
      index=index,
      number=int(content.get('episode', (index or 0) + 1)),
      pos=_tiles(path, _array(content['player_pos'])),
      facing=facing,
      arrays=arrays,
      values={k: v for k, v in content.items() if k not in arrays},
    )

  def layers(self) -> dict[str, int]:
    """{layer: number of units}, the older names deter and stoch included."""
    found = {
      k.removeprefix(PREFIX): _units(v)
      for k, v in self.arrays.items()
      if k.startswith(PREFIX)
    }
    for key, name in layers.LEGACY.items():
      if key in self.arrays:
        found.setdefault(name, _units(self.arrays[key]))
    return found

  def layer(self, name: str) -> np.ndarray:
    """Activations (T, units) in the dtype they were stored in."""
    value = self.read(self._key(name))
    return value.reshape(len(self), -1)

  def part(
    self, name: str, rows: np.ndarray, units: slice | np.ndarray = slice(None)
  ) -> np.ndarray:
    """Some rows and units (n, d) of a layer, in the dtype they were stored in.

    Args:
      rows: (n,) timesteps in ascending order.
      units: a slice, or (d,) in any order.
    """
    source = self._source(self._key(name))
    if isinstance(source, LazyArray):
      return source.part(rows, units)
    found: np.ndarray = np.asarray(source).reshape(len(self), -1)[rows][:, units]
    return found

  def read(self, key: str) -> np.ndarray:
    """An array of the episode, read from disk."""
    return _array(self._source(key))

  def several(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
    """Those of some arrays that the episode has, by one look into its file."""
    sources = {k: self.arrays[k].source for k in keys if k in self.arrays}
    if any(v is None for v in sources.values()):
      content = unpickle.scan(self.path)
      sources = {k: content[k] if v is None else v for k, v in sources.items()}
    return {k: _array(v) for k, v in sources.items()}

  def view(self, key: str) -> np.ndarray:
    """As `read`, but of a large array only the rows that are looked at."""
    source = self._source(key)
    return source.mapped() if isinstance(source, LazyArray) else _array(source)

  def _source(self, key: str) -> np.ndarray | LazyArray:
    """An array, or its place on disk."""
    try:
      entry = self.arrays[key]
    except KeyError:
      raise UserError(
        f'{self.path} has no {key}; it has: {", ".join(sorted(self.arrays))}.'
      ) from None
    if entry.source is not None:
      return entry.source
    found: np.ndarray | LazyArray = unpickle.scan(self.path)[key]
    return found

  def _key(self, name: str) -> str:
    if PREFIX + name in self.arrays:
      return PREFIX + name
    legacy = {v: k for k, v in layers.LEGACY.items()}
    if legacy.get(name) in self.arrays:
      return legacy[name]
    there = ', '.join(layers.order(self.layers()))
    raise UserError(f'{self.path} has no layer {name}; it has: {there}.')


def episode_list(content: Any) -> list[Any]:
  """The episodes of an all_episodes.pkl: a dict, or a bare list when old."""
  if isinstance(content, dict) and isinstance(content.get('episodes'), list):
    return list(content['episodes'])
  return content if isinstance(content, list) else [content]


def _array(value: Any) -> np.ndarray:
  return value.read() if isinstance(value, LazyArray) else np.asarray(value)


def _units(entry: StoredArray) -> int:
  return int(np.prod(entry.shape[1:], dtype=np.int64))


def _tiles(path: pathlib.Path, pos: np.ndarray) -> np.ndarray:
  if pos.ndim != 2 or pos.shape[1] != 2 or not len(pos):
    raise UserError(
      f'{path}: player_pos has shape {pos.shape}; expected (T, 2), T >= 1.'
    )
  if not np.isfinite(pos).all():
    raise UserError(f'{path}: player_pos holds NaN or infinity.')
  tiles = pos.astype(np.int64)
  if (tiles != pos).any():
    bad = pos[(tiles != pos).any(1)][0]
    raise UserError(f'{path}: player_pos has {bad.tolist()}; expected whole tiles.')
  return tiles


def _directions(path: pathlib.Path, facing: np.ndarray) -> np.ndarray:
  if facing.ndim != 2 or facing.shape[1] != 2:
    raise UserError(f'{path}: player_facing has shape {facing.shape}; expected (T, 2).')
  known = np.isin(facing, (-1, 0, 1))
  if not known.all():
    raise UserError(
      f'{path}: player_facing has {facing[~known][0]}; expected -1, 0 or 1.'
    )
  return facing.astype(np.int8)


def _check_layers(path: pathlib.Path, arrays: Mapping[str, StoredArray]) -> None:
  """Activations are real numbers: others would lose a part of theirs."""
  for key, entry in arrays.items():
    layer = key.startswith(PREFIX) or key in layers.LEGACY
    if layer and entry.dtype.kind not in 'fiub':
      raise UserError(f'{path}: {key} is of {entry.dtype}; expected real numbers.')


def _check_lengths(
  path: pathlib.Path,
  length: int,
  arrays: Mapping[str, StoredArray],
  content: Mapping[str, Any],
) -> None:
  lengths = {
    k: v.shape[0] if v.shape else 0
    for k, v in arrays.items()
    if k in PER_STEP or k.startswith(PREFIX)
  }
  if isinstance(content.get('achievements'), list):
    lengths['achievements'] = len(content['achievements'])
  for key, got in lengths.items():
    if got != length:
      raise UserError(
        f'{path}: {key} has {got} timesteps and player_pos {length}; the file '
        'is damaged or was not written in step: record it again.'
      )
