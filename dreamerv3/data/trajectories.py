"""Recorded trajectories as the analyses see them.

  data = Trajectories.open('logdir/run/trajectories').keep(min_bbox=20)
  samples = data.layer('dyn/deter')     # X (N, D), pos (N, 2), episode (N,)

Opening costs the positions alone: activations and images stay on disk until
asked for, and one layer is read without the others.

Longer than other files: how one recording is opened, kept and read is one class.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from dreamerv3.base import unpickle
from dreamerv3.base.errors import UserError, reading
from dreamerv3.data import layers
from dreamerv3.data.activations import Activations
from dreamerv3.data.episode import Episode, episode_list
from dreamerv3.data.grid import Grid
from dreamerv3.data.metadata import Metadata
from dreamerv3.data.samples import Samples, Track
from dreamerv3.data.surroundings import Surroundings, around


@dataclasses.dataclass(frozen=True)
class Trajectories:
  """A recording: metadata and episodes, the large arrays still on disk.

  Attributes:
    path: folder or file it was opened from.
    metadata: facts that all episodes share.
    episodes: in the order of their numbers.
    lacks: what an older recording does not hold, one line each.
    drop_first: leave timestep 0 out of tracks and samples; the recurrent state
      is a constant there and holds no position.
  """

  path: pathlib.Path
  metadata: Metadata
  episodes: tuple[Episode, ...]
  lacks: tuple[str, ...] = ()
  drop_first: bool = True

  def __repr__(self) -> str:
    steps = sum(len(x) for x in self.episodes)
    kept = '' if self.drop_first else ', with timestep 0'
    return (
      f'Trajectories({self.path}: {len(self.episodes)} episodes, {steps} timesteps, '
      f'{len(self.layers())} layers{kept})'
    )

  @classmethod
  def open(
    cls,
    path: str | os.PathLike[str],
    area: Sequence[int] | None = None,
    max_episodes: int = 0,
  ) -> 'Trajectories':
    """Opens a folder of recorded episodes, or one file of them.

    Episode files and the metadata sidecar come first; `all_episodes.pkl` is
    opened when it is all there is, or for its metadata.

    Args:
      path: folder, `all_episodes.pkl` or one `episode_NNN.pkl`.
      area: (W, H) [tiles], for recordings without metadata.
      max_episodes: keep only the first ones; 0 keeps all.

    Raises:
      UserError: nothing there, damaged or foreign files, unknown or wrong area.
    """
    path = pathlib.Path(path).expanduser()
    episodes = sorted(_open_episodes(path, max_episodes), key=_number)
    if max_episodes:
      episodes = episodes[:max_episodes]
    if not episodes:
      raise UserError(f'{path} has no episodes; {_elsewhere(path)}.')
    metadata, lacks = _open_metadata(path, area)
    _check_episodes(metadata, episodes)
    lacks += [*_unfinished(metadata, path), *_lacks(episodes)]
    return cls(path, metadata, tuple(episodes), tuple(lacks))

  def __len__(self) -> int:
    return len(self.episodes)

  @property
  def grid(self) -> Grid:
    """Tiles of the world."""
    return self.metadata.grid

  def source(self, places: Iterable[int] | None = None) -> dict[str, Any]:
    """`Metadata.source` and the numbers of some episodes, or of all."""
    chosen = range(len(self)) if places is None else places
    numbers = sorted({self.episodes[i].number for i in chosen})
    return {**self.metadata.source, 'episodes': numbers}

  def keep(self, min_bbox: float = 0) -> 'Trajectories':
    """Episodes whose bounding box (dx * dy) covers `min_bbox` [tiles^2]."""
    sizes = [np.ptp(x.pos, 0).prod() for x in self.episodes]
    kept = tuple(
      x for x, size in zip(self.episodes, sizes, strict=True) if size >= min_bbox
    )
    if not kept:
      raise UserError(
        f'--min_bbox {min_bbox} leaves none of {len(self)} episodes; the '
        f'largest covers {max(sizes)} tiles^2.'
      )
    return dataclasses.replace(self, episodes=kept)

  def relative_to_spawn(self) -> 'Trajectories':
    """Positions relative to each episode's first, for worlds that differ.

    The grid grows to (2W - 1, 2H - 1) with the spawn at its centre, (W - 1,
    H - 1). Map and seeds of the world are dropped: no single one holds.
    """
    w, h = self.metadata.area
    centre = np.array([w - 1, h - 1])
    episodes = tuple(
      dataclasses.replace(x, pos=x.pos - x.pos[0] + centre) for x in self.episodes
    )
    metadata = dataclasses.replace(
      self.metadata,
      area=(2 * w - 1, 2 * h - 1),
      world_map=None,
      world_seed=None,
      env_seed=None,
      extra={**self.metadata.extra, 'spawn_relative': True},
    )
    return dataclasses.replace(self, metadata=metadata, episodes=episodes)

  def layers(self) -> dict[str, int]:
    """{layer: units} of the layers that every episode has, in network order.

    A layer without units is left out.
    """
    shapes = [x.layers() for x in self.episodes]
    common = set.intersection(*(set(x) for x in shapes))
    for name in common:
      if len({x[name] for x in shapes}) > 1:
        bad = next(
          e
          for e, x in zip(self.episodes, shapes, strict=True)
          if x[name] != shapes[0][name]
        )
        raise UserError(
          f'{bad.path}: {name} has {bad.layers()[name]} units and '
          f'{shapes[0][name]} in {self.episodes[0].path}; '
          'these are recordings of different networks.'
        )
    return {x: shapes[0][x] for x in layers.order(common) if shapes[0][x]}

  def track(self) -> Track:
    """Positions, episode, time and facing of every analysed timestep."""
    first = int(self.drop_first)
    lengths = [len(x) - first for x in self.episodes]
    if not sum(lengths):
      raise UserError(f'{self.path}: every episode ends at its first timestep.')
    return Track(
      pos=np.concatenate([x.pos[first:] for x in self.episodes]),
      episode=np.repeat(np.arange(len(self)), lengths),
      t=np.concatenate([np.arange(first, len(x)) for x in self.episodes]),
      facing=np.concatenate([x.facing[first:] for x in self.episodes]),
    )

  def surroundings(self) -> Surroundings:
    """What is around the player, in step with the rows of `track()`.

    Raises:
      UserError: it was not recorded, and there is no map to take it from.
    """
    first = int(self.drop_first)
    return around(self.metadata, self.episodes, first, self.path)

  def named(self, name: str) -> str:
    """The name under which `layer` gives what `name` means, read by `layers.one`.

    Raises:
      UserError: it means no layer, or several.
    """
    return name if name in _ALIASES else layers.one(name, self.layers())

  def units(self, name: str) -> int:
    """Number of units of a layer, under any name that `layer` takes."""
    return sum(self._sizes(name).values())

  def _sizes(self, name: str) -> dict[str, int]:
    """{layer: units} of the layers behind a name."""
    sizes = self.layers()
    name = self.named(name)
    return {x: sizes[layers.one(x, sizes)] for x in _ALIASES.get(name, (name,))}

  def layer(
    self,
    name: str,
    track: Track | None = None,
    rows: np.ndarray | None = None,
    units: np.ndarray | None = None,
  ) -> Samples:
    """One layer of all episodes, or some of its rows and units, read from disk.

    Args:
      name: a layer as `layers.one` reads it, or 'combined' ([deter; stoch]).
      track: `self.track()`, to share one between layers.
      rows: (n,) of the track's rows, an index or a mask; units: (d,) of the layer's.

    Peak memory is that of the result and one episode of it.

    Raises:
      UserError: no such layer, or NaN and infinity in what was read.
    """
    name = self.named(name)
    track = self.track() if track is None else track
    X = self.activations(name).read(rows, units)
    return Samples(name, X, track if rows is None else track.rows(rows))

  def activations(self, name: str) -> Activations:
    """As `layer`, still on disk: rows and units are read when they are asked for."""
    parts = tuple(self._sizes(name).items())
    return Activations(self.episodes, parts, int(self.drop_first))

  def stream(self, names: Sequence[str]) -> Iterator[Samples]:
    """Layers one after another; only one is held in memory at a time."""
    track = self.track()
    for name in names:
      yield self.layer(name, track)


_ALIASES = {
  'deter': ('dyn/deter',),
  'stoch': ('dyn/stoch',),
  'combined': ('dyn/deter', 'dyn/stoch'),
}


def _elsewhere(path: pathlib.Path) -> str:
  """What to do about a folder without episodes, e.g. the one above them."""
  found = sorted(x.parent for x in path.glob('*/episode_*.pkl'))
  if not found:
    return 'record some first'
  likely = path / 'trajectories'
  return f'take {likely if likely in found else found[0]}'


def _number(episode: Episode) -> tuple[int, str]:
  return episode.number, str(episode.path)


def _open_episodes(path: pathlib.Path, limit: int) -> list[Episode]:
  if not os.path.lexists(path):
    raise UserError(f'{path} does not exist; expected a folder of episodes.')
  if not path.is_dir():  # a file, or what its reader refuses by name
    return _open_file(path)
  files = sorted(
    (x for x in path.glob('episode_*.pkl') if _file_number(x) is not None),
    key=lambda x: _file_number(x) or 0,
  )
  if files:
    return [Episode.open(x) for x in (files[:limit] if limit else files)]
  whole = path / 'all_episodes.pkl'
  return _open_file(whole) if whole.exists() else []


def _file_number(path: pathlib.Path) -> int | None:
  match = re.fullmatch(r'episode_(\d+)\.pkl', path.name)
  return int(match[1]) if match else None


def _open_file(path: pathlib.Path) -> list[Episode]:
  content = unpickle.scan(path)
  if isinstance(content, dict) and 'player_pos' in content:
    return [Episode.from_dict(content, path, None)]
  listed = episode_list(content)
  return [Episode.from_dict(x, path, i) for i, x in enumerate(listed)]


def _open_metadata(
  path: pathlib.Path, area: Sequence[int] | None
) -> tuple[Metadata, list[str]]:
  values = _find_metadata(path)
  if not isinstance(values, dict) or values.get('area') is None:
    if not area:
      raise UserError(
        f'{path} has no metadata, so the size of its world is unknown; give '
        '--area W H [tiles].'
      )
    return Metadata(area=(area[0], area[1])), [
      'no metadata: no world map, seeds or settings'
    ]
  with reading(path, 'recording with whole metadata; record it again'):
    metadata = Metadata.from_dict(values)
    # What is computed of it shows whether it holds what it should.
    metadata.source, metadata.wanted, metadata.walkable()
  if area and tuple(area) != metadata.area:
    raise UserError(
      f'--area is {tuple(area)}, but {path} was recorded in a world of '
      f'{metadata.area}; leave the flag out.'
    )
  lacks = [] if metadata.world_map is not None else ['no world map']
  return metadata, lacks


def _find_metadata(path: pathlib.Path) -> dict[str, Any] | None:
  folder = path.parent if path.is_file() else path
  sidecar = folder / 'metadata.pkl'
  if os.path.lexists(sidecar):
    found: dict[str, Any] | None = unpickle.load(sidecar)
    return found
  whole = path if path.is_file() else folder / 'all_episodes.pkl'
  if not whole.exists():
    return None
  content = unpickle.scan(whole)
  if not isinstance(content, dict) or 'episodes' not in content:
    return None
  return {k: unpickle.at_hand(v) for k, v in content.items() if k != 'episodes'}


def _check_episodes(metadata: Metadata, episodes: Sequence[Episode]) -> None:
  for episode in episodes:
    try:
      metadata.grid.check(episode.pos)
    except UserError as e:
      raise UserError(f'{episode.path}: {e}') from e


def _unfinished(metadata: Metadata, path: pathlib.Path) -> list[str]:
  """A line for a recording that was interrupted: what it has is no fair
  sample, as short episodes end first."""
  wanted = metadata.wanted
  if wanted is None or path.is_file():
    return []
  there = {_file_number(x) for x in path.glob('episode_*.pkl')}
  have = sum(x in wanted for x in there if x is not None)
  # A range from a damaged file may be longer than len can tell.
  want = wanted.stop - wanted.start if isinstance(wanted, range) else len(wanted)
  if not there or have == want:
    return []
  return [
    f'{have} of {want} episodes; the short ones come first, so what is found '
    'here is biased: repeat the recording'
  ]


def _lacks(episodes: Sequence[Episode]) -> list[str]:
  lines = []
  for key, what in _OPTIONAL.items():
    have = sum(key in x.arrays or key in x.values for x in episodes)
    if have < len(episodes):
      lines.append(f'{what} in {len(episodes) - have} of {len(episodes)} files')
  if not any(k.startswith('act/') for x in episodes for k in x.arrays):
    lines.append('only the layers deter and stoch')
  return lines


_OPTIONAL = {
  'player_facing': 'no facing',
  'achievements': 'no achievements',
  'image': 'no images',
  'view_materials': 'no surroundings (taken from the map as it began)',
}
