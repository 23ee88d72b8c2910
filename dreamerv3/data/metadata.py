"""What is known of a whole recording: world, seeds, layers, versions.

On disk it is the plain dict `metadata.pkl`, see docs/data_format.md.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid

FORMAT = 1

# Materials that Crafter lets the player walk on.
WALKABLE = ('grass', 'sand', 'path')

_NAMES = ('materials', 'objects', 'injuries')  # lists on disk


@dataclasses.dataclass(frozen=True)
class Metadata:
  """Facts that all episodes of a recording share.

  Attributes:
    area: (W, H) of the world [tiles].
    env_seed: seed given to the environment.
    world_seed: `hash((env_seed, 1))`, not reduced, as older files have it.
    fixed_seed: whether all episodes are in one world.
    task: name of the environment.
    seed: the recording's own seed.
    world_map: uint8 (W, H), indexed [x, y]: index into `materials` of the
      terrain at the start of an episode; None where unknown.
    materials: names; index 0 is nothing.
    objects: names of what may stand on a tile, by id in `view_objects`; index 0
      is nothing. Empty where that was not recorded.
    injuries: names of causes by their bit in `injury`; empty where unknown.
    layers: {name: number of units} of every recorded layer.
    trained: False for the untrained control of the same network; None where
      unknown.
    settings: agent, env and recording settings that were in force.
    versions: of Python and the main packages.
    extra: everything else that the file holds, by its key.
  """

  area: tuple[int, int]
  env_seed: int | None = None
  world_seed: int | None = None
  fixed_seed: bool = True
  task: str = 'crafter'
  seed: int | None = None
  world_map: np.ndarray | None = dataclasses.field(default=None, repr=False)
  materials: tuple[str, ...] = ()
  objects: tuple[str, ...] = ()
  injuries: tuple[str, ...] = ()
  layers: Mapping[str, int] = dataclasses.field(default_factory=dict)
  trained: bool | None = None
  settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
  versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
  extra: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

  def __post_init__(self) -> None:
    area = tuple(int(x) for x in self.area)
    if len(area) != 2:
      raise UserError(f'area is {self.area}; expected (W, H) in tiles.')
    object.__setattr__(self, 'area', area)
    for key in _NAMES:
      object.__setattr__(self, key, tuple(getattr(self, key)))
    Grid(*area)
    if self.world_map is None:
      return
    if self.world_map.shape != area or self.world_map.dtype != np.uint8:
      raise UserError(
        f'world_map is {self.world_map.dtype} {self.world_map.shape}; '
        f'expected uint8 {area}, the area.'
      )
    if self.world_map.max() >= len(self.materials):
      raise UserError(
        f'world_map has material {self.world_map.max()}; only '
        f'{len(self.materials)} have a name.'
      )

  @property
  def grid(self) -> Grid:
    """Tiles of the world."""
    return Grid(*self.area)

  @property
  def world(self) -> dict[str, Any]:
    """What names the world: seeds, and whether all episodes are in it."""
    keys = ('task', 'seed', 'env_seed', 'world_seed', 'fixed_seed')
    known = {x: getattr(self, x) for x in keys}
    relative = bool(self.extra.get('spawn_relative', False))
    return {**known, 'spawn_relative': relative}

  @property
  def source(self) -> dict[str, Any]:
    """What decides an episode besides its number; None where unknown.

    The weights and the seed do; the checkpoint and its steps name the weights.
    In a replay the path is that of other weights.
    """
    known = self.extra.get('fingerprint', {})
    weights = known.get('weights')
    replayed = self.replayed
    return {
      'weights': weights,
      'path': weights if replayed is None else replayed.get('weights'),
      'seed': self.seed,
      'checkpoint': self.extra.get('checkpoint'),
      'step': self.extra.get('checkpoint_step'),
    }

  @property
  def replayed(self) -> Mapping[str, Any] | None:
    """What was replayed; None if the agent acted itself.

    Keys `path` of the recording, and `weights`, `checkpoint`, `checkpoint_step`
    and `trained` of the agent that acted in it.
    """
    return self.extra.get('replayed')

  @property
  def wanted(self) -> Sequence[int] | None:
    """Numbers of the episodes that were asked for; None where unknown."""
    if self.replayed is not None:
      return list(self.settings['replay_activations']['episodes'])
    asked = self.settings.get('eval_trajectory', {})
    if 'num_episodes' not in asked:
      return None
    first = asked.get('first_episode', 1)
    return range(first, first + asked['num_episodes'])

  def walkable(self) -> np.ndarray | None:
    """Tiles one can stand on, bool (W, H); None without a map."""
    if self.world_map is None:
      return None
    ids = [i for i, x in enumerate(self.materials) if x in WALKABLE]
    return np.isin(self.world_map, ids)

  def to_dict(self) -> dict[str, Any]:
    """As in metadata.pkl, see docs/data_format.md."""
    values = {
      x.name: getattr(self, x.name)
      for x in dataclasses.fields(self)
      if x.name != 'extra'
    }
    values |= {k: list(values[k]) for k in _NAMES}
    for key in ('layers', 'settings', 'versions'):
      values[key] = dict(values[key])
    return {'format': FORMAT, **values, **self.extra}

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> 'Metadata':
    """Reads our files and older ones, which have fewer keys."""
    if values.get('area') is None:
      raise UserError('The metadata has no area; give --area W H.')
    if values.get('format', FORMAT) > FORMAT:
      raise UserError(
        f'The recording has format {values["format"]}; this program reads up '
        f'to {FORMAT}: update it.'
      )
    names = {x.name for x in dataclasses.fields(cls)} - {'extra'}
    extra = {k: v for k, v in values.items() if k not in {*names, 'format'}}
    return cls(**{k: values[k] for k in names & set(values)}, extra=extra)
