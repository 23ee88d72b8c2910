"""What a unit may follow instead of place: the rivals of a spatial code.

  steps = Steps.gather(data)                  # actions, light, vitals, tiles
  for x in build(track, steps): ...     # a Covariate each

A covariate is a set of one-hot columns, so that all are fitted alike and for
all units at once (`models`). See docs/science.md for what each stands for.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from dreamerv3.analysis.explain import surroundings
from dreamerv3.analysis.tuning.maps import head_direction
from dreamerv3.data.episode import Episode
from dreamerv3.data.metadata import WALKABLE
from dreamerv3.data.samples import Track
from dreamerv3.data.surroundings import Surroundings
from dreamerv3.data.trajectories import Trajectories

BINS = 8  # of time and of daylight, equally often
VIEW = 2  # tiles of the view on each side
# Materials seen less often than this share of the tiles count as one.
RARE = 0.002
OBJECT = 128  # ids of creatures and things begin here
VITALS = ('vital_health', 'vital_food', 'vital_drink', 'vital_energy')


@dataclasses.dataclass(frozen=True)
class Covariate:
  """One-hot columns of N samples; several at once where k > 1.

  Attributes:
    name: of what it stands for.
    columns: (N, k) int column that is 1; -1 where unknown.
    size: number of columns.
  """

  name: str
  columns: np.ndarray
  size: int

  def rows(self, index: np.ndarray) -> 'Covariate':
    """The covariate at some samples: an index array or a mask."""
    return dataclasses.replace(self, columns=self.columns[index])


@dataclasses.dataclass(frozen=True)
class Steps:
  """What a recording holds of each analysed timestep besides the track.

  Attributes:
    moved: (N,) 1 if the last step changed the tile, 0 if not, -1 unknown.
    action: (N,) the last action; -1 unknown.
    before: (N, k) what was done earlier, each column an id or -1; None if unknown.
    daylight: (N,) 0 to 1; None unless recorded.
    vitals: (N, 4) health, food, drink, energy; None unless recorded.
    world_map: (W, H) material ids; None without one map for all episodes.
    seen: (N, 9, 9) materials around the player as they were, creatures and
      things from `OBJECT` on; None unless recorded, then the map stands for them.
    walkable: ids of materials that one can walk on.
  """

  moved: np.ndarray
  action: np.ndarray
  daylight: np.ndarray | None = None
  vitals: np.ndarray | None = None
  world_map: np.ndarray | None = None
  seen: np.ndarray | None = None
  walkable: tuple[int, ...] = ()
  before: np.ndarray | None = None

  @classmethod
  def gather(cls, data: Trajectories) -> 'Steps':
    """Reads what the recording has, in the order of `data.track()`."""
    first, about = int(data.drop_first), data.metadata
    one_world = about.fixed_seed and about.world_map is not None
    held = all('view_materials' in x.arrays for x in data.episodes)
    read = [x.several(('action', 'daylight', *VITALS)) for x in data.episodes]
    pairs = [*zip(data.episodes, read, strict=True)]
    last = [_last_action(x, found.get('action')) for x, found in pairs]
    before = [_before(x, y) for x, y in zip(data.episodes, last, strict=True)]

    def recorded(key: str) -> np.ndarray | None:
      if not all(key in x for x in read):
        return None
      return np.concatenate([x[key][first:] for x in read])

    return cls(
      moved=np.concatenate([_moved(x)[first:] for x in data.episodes]),
      action=np.concatenate([x[first:] for x in last]),
      daylight=recorded('daylight'),
      vitals=_stacked([recorded(x) for x in VITALS]),
      world_map=about.world_map if one_world else None,
      seen=_as_seen(data.surroundings()) if held else None,
      walkable=tuple(i for i, x in enumerate(about.materials) if x in WALKABLE),
      before=np.concatenate([x[first:] for x in before]),
    )

  @classmethod
  def of_track(
    cls,
    track: Track,
    world_map: np.ndarray | None = None,
    walkable: tuple[int, ...] = (),
  ) -> 'Steps':
    """What a track alone tells: whether the player moved."""
    known = (np.diff(track.episode, prepend=-1) == 0) & (
      np.diff(track.t, prepend=-1) == 1
    )
    moved = (np.diff(track.pos, axis=0, prepend=track.pos[:1]) != 0).any(1)
    return cls(
      moved=np.where(known, moved, -1),
      action=np.full(len(track), -1),
      world_map=world_map,
      walkable=walkable,
    )

  def around(self, track: Track) -> np.ndarray | None:
    """Materials around the player, (N, s, s), see `surroundings.window`."""
    if self.world_map is None:
      return self.seen
    return surroundings.window(track.pos, self.world_map, self.seen)

  def rows(self, index: np.ndarray) -> 'Steps':
    """The steps at some samples: an index array or a mask."""
    names = ('moved', 'action', 'daylight', 'vitals', 'seen', 'before')
    values = {x: getattr(self, x) for x in names}
    return dataclasses.replace(
      self, **{k: v[index] for k, v in values.items() if v is not None}
    )


def build(track: Track, steps: Steps) -> list[Covariate]:
  """Every covariate that the recording allows; those without choice left out.

  facing        4 directions
  speed         whether the last step changed the tile
  action        the last three actions and the last move
  view          material of each tile within 2 of the player, its own too, turned
  ego_boundary  steps to the next blocked tile ahead, right, behind, left
  boundary      the same to the north, east, south, west
  time          8 bins of the time in the episode
  daylight      8 bins
  vitals        health, food, drink and energy, each value
  """
  heading = head_direction.to_bin(track.facing).astype(np.int64)
  found = [
    _labels('facing', heading, head_direction.BINS),
    _labels('speed', steps.moved, 2),
    _done(steps),
    *_seen(track, steps, heading >= 0),
    _labels('time', *_binned(track.t)),
  ]
  if steps.daylight is not None:
    found.append(_labels('daylight', *_binned(steps.daylight)))
  if steps.vitals is not None:
    found.append(_several('vitals', steps.vitals))
  return [x for x in found if len(np.unique(x.columns[x.columns >= 0])) > 1]


def labels(track: Track, steps: Steps) -> dict[str, np.ndarray]:
  """One label per sample (N,) of each rival that is tested against chance.

  speed, action; front: material ahead and steps to the next blocked tile
  ahead; near: which of the eight tiles around the player are blocked, turned.
  -1 where unknown.
  """
  found = {'speed': steps.moved, 'action': steps.action}
  around = steps.around(track)
  if around is not None:
    around = surroundings.turned(around, track.facing)
    r = around.shape[1] // 2
    blocked = ~np.isin(around[:, r - 1 : r + 2, r - 1 : r + 2], steps.walkable)
    near = np.delete(blocked.reshape(len(track), 9), 4, 1) @ 2 ** np.arange(8)
    ahead = surroundings.rays(around, np.array(steps.walkable))[:, 0]
    front = around[:, r, r - 1].astype(np.int64) * (r + 2) + ahead
    known = track.facing.any(1)
    found |= {'front': np.where(known, front, -1), 'near': np.where(known, near, -1)}
  return {k: v for k, v in found.items() if len(np.unique(v[v >= 0])) > 1}


def _seen(track: Track, steps: Steps, known: np.ndarray) -> Iterator[Covariate]:
  around = steps.around(track)
  if around is None:
    return
  ids = np.array(steps.walkable)
  r = around.shape[1] // 2
  yield _several('boundary', surroundings.rays(around, ids))
  if not known.any():
    return
  around = surroundings.turned(around, track.facing)
  near = around[:, r - VIEW : r + VIEW + 1, r - VIEW : r + VIEW + 1]
  near = near.reshape(len(track), -1)
  for name, values in (
    ('view', _common(near)),
    ('ego_boundary', surroundings.rays(around, ids)),
  ):
    found = _several(name, values)
    columns = np.where(known[:, None], found.columns, -1)
    yield dataclasses.replace(found, columns=columns)


def _common(values: np.ndarray) -> np.ndarray:
  """Rare values put together, as 255."""
  ids, counts = np.unique(values, return_counts=True)
  rare = np.isin(values, ids[counts < RARE * values.size])
  return np.where(rare, 255, values)


def _as_seen(found: Surroundings) -> np.ndarray:
  """Materials, and what stands on them instead; the player's own tile as it is."""
  if found.objects is None:
    return found.materials
  things = found.objects.copy()
  middle = things.shape[1] // 2
  things[:, middle, middle] = 0
  return np.where(things > 0, OBJECT + things, found.materials).astype(np.uint8)


def _done(steps: Steps) -> Covariate:
  """The last action, and what was done before it where that is known."""
  if steps.before is None:
    return _labels('action', steps.action, int(steps.action.max(initial=0)) + 1)
  done = np.concatenate([steps.action[:, None], steps.before], 1)
  found = _several('action', done)
  return dataclasses.replace(found, columns=np.where(done < 0, -1, found.columns))


def _labels(name: str, label: np.ndarray, size: int) -> Covariate:
  return Covariate(name, label.astype(np.int64)[:, None], size)


def _several(name: str, values: np.ndarray) -> Covariate:
  """Columns of their own for each value of each of k variables (N, k)."""
  columns, size = [], 0
  for value in values.T:
    ids, column = np.unique(value, return_inverse=True)
    columns.append(column + size)
    size += len(ids)
  return Covariate(name, np.stack(columns, 1), size)


def _binned(values: np.ndarray) -> tuple[np.ndarray, int]:
  """Bins (N,) with about equally many samples each, and their number."""
  edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS))
  return np.searchsorted(edges, values, 'right'), len(edges) + 1


def _before(episode: Episode, last: np.ndarray) -> np.ndarray:
  """The two actions before the last, and where the last step led, (T, 3)."""
  known = np.full((len(episode), 3), -1)
  for k in (1, 2):
    known[k:, k - 1] = last[:-k]
  step = np.diff(episode.pos, axis=0).clip(-1, 1)
  known[1:, 2] = 3 * (step[:, 0] + 1) + step[:, 1] + 1
  return known


def _moved(episode: Episode) -> np.ndarray:
  moved = (np.diff(episode.pos, axis=0) != 0).any(1).astype(np.int64)
  return np.concatenate([[-1], moved])


def _last_action(episode: Episode, action: np.ndarray | None) -> np.ndarray:
  last = np.full(len(episode), -1)
  if action is not None and action.ndim == 1:
    last[1:] = action[:-1]
  return last


def _stacked(columns: list[np.ndarray | None]) -> np.ndarray | None:
  found = [x for x in columns if x is not None]
  return np.stack(found, 1) if len(found) == len(columns) else None
