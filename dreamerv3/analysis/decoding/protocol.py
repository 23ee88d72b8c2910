"""What a run of position decoding decodes, and how it is split.

  plan = make_plan(data, None, Protocol(mode='layers', holdout_frac=0.2))
  work = decode_layers(plan.data, plan.chosen, plan.folds, options)

For decode_position.py. Whole episodes are held out, unless the protocol asks
for the older, leaking one.
"""

import dataclasses
from typing import Any, Self

import numpy as np

from dreamerv3.analysis.compatible import other_episodes, same_world
from dreamerv3.analysis.decoding import layers as decode
from dreamerv3.analysis.decoding import splits
from dreamerv3.analysis.decoding.folds import Fold, make_folds
from dreamerv3.base.errors import UserError
from dreamerv3.data import layers
from dreamerv3.data.trajectories import Trajectories

FOLDS = {'standard': 10, 'layers': 5}
MOST = {'standard': 0, 'layers': 10000}  # training timesteps
REPRS = {'deter': 'dyn/deter', 'stoch': 'dyn/stoch'}


@dataclasses.dataclass(frozen=True)
class Protocol:
  """What to decode and hold out; the settings of decode_position.py say more.

  Attributes:
    mode: 'standard' (the representations of `repr`) or 'layers'.
    repr: 'deter', 'stoch', 'combined' or 'all'.
    layers: patterns of layer names; all without.
    cv: 'episodes', or 'timesteps', which leaks.
    holdout_frac: share of the episodes to test on; 0 for cross-validation.
    n_cv_folds: 0 for the usual number of the mode.
    max_samples: most training timesteps; 0 for all. None for the usual: 10000 in
      layers mode, all in standard mode.
    seed: of the split and the pairing of episodes.
  """

  mode: str = 'standard'
  repr: str = 'all'
  layers: tuple[str, ...] = ()
  cv: str = 'episodes'
  holdout_frac: float = 0.2
  n_cv_folds: int = 0
  max_samples: int | None = None
  seed: int = 0

  @classmethod
  def of(cls, settings: Any) -> Self:
    """That of settings with its names, such as those of the command."""
    return cls(**{x.name: getattr(settings, x.name) for x in dataclasses.fields(cls)})

  @property
  def most(self) -> int:
    """Most training timesteps; 0 for all."""
    return MOST[self.mode] if self.max_samples is None else self.max_samples


@dataclasses.dataclass(frozen=True)
class Plan:
  """What to decode, and how it is split.

  Attributes:
    data: the recording, with the test episodes last if there are others.
    chosen: layers or representations to fit.
    copies: {layer: another one that holds the same numbers}.
    folds: see `make_folds`.
    notes: what was left out, one sentence each.
  """

  data: Trajectories
  chosen: list[str]
  copies: dict[str, str]
  folds: list[Fold]
  notes: tuple[str, ...] = ()

  @property
  def names(self) -> list[str]:
    """All layers or representations that results are due for, in order."""
    return layers.order([*self.chosen, *self.copies])

  def trained(self) -> dict[str, int]:
    """Episodes and timesteps that are trained on; the fewest of the folds."""
    episode = self.data.track().episode
    rows = [x.split.train for x in self.folds]
    return {
      'train_episodes': min(len(np.unique(episode[x])) for x in rows),
      'train_timesteps': min(len(x) for x in rows),
    }


def _representation(name: str) -> str:
  """What `repr` means: one of REPRS under any of its names, 'combined' or 'all'.

  Raises:
    UserError: it means none of them.
  """
  found = layers.one(name, (*REPRS.values(), 'combined', 'all'))
  return {v: k for k, v in REPRS.items()}.get(found, found)


def make_plan(
  data: Trajectories, test: Trajectories | None, protocol: Protocol
) -> Plan:
  """The plan for a recording; with `test`, trains on all of `data`."""
  count = len(data)
  notes: list[str] = []
  if test is not None:
    data, notes = _join(data, test)
  chosen, copies = _choose(data, protocol)
  track = data.track()
  if test is not None:
    parts = [splits.given(track.episode < count, track.episode)]
  else:
    parts = _split(track.episode, protocol)
  parts = [splits.thin(x, protocol.most, protocol.seed) for x in parts]
  folds = make_folds(track, data.grid, parts, protocol.seed)
  return Plan(data, chosen, copies, folds, tuple(notes))


def _split(episode: np.ndarray, protocol: Protocol) -> list[splits.Split]:
  leaks, seed = protocol.cv == 'timesteps', protocol.seed
  if protocol.holdout_frac:
    make = splits.leaking_holdout if leaks else splits.holdout
    return make(episode, protocol.holdout_frac, seed)
  cut = splits.leaking_folds if leaks else splits.folds
  return cut(episode, protocol.n_cv_folds or FOLDS[protocol.mode], seed)


def _join(train: Trajectories, test: Trajectories) -> tuple[Trajectories, list[str]]:
  """Both recordings as one, the test episodes last, and notes."""
  if train.grid != test.grid:
    raise UserError(
      f'`test_data` was recorded in a world of {test.grid.shape} tiles and '
      f'`data` in {train.grid.shape}; a decoder knows one world.'
    )
  worlds = train.metadata.world, test.metadata.world
  same_world('`data`', worlds[0], '`test_data`', worlds[1])
  notes = other_episodes('`data`', train.source(), '`test_data`', test.source())
  episodes = train.episodes + test.episodes
  joined = dataclasses.replace(train, episodes=episodes)
  lost = sorted(train.layers().keys() - joined.layers().keys())
  if lost:
    notes.append(f'Not in `test_data`, left out: {", ".join(lost)}')
  return joined, notes


def _choose(data: Trajectories, protocol: Protocol) -> tuple[list[str], dict[str, str]]:
  sizes = data.layers()
  if protocol.mode == 'layers':
    if not sizes:
      raise UserError(f'{data.path} has no recorded layers.')
    picked = layers.select(protocol.layers, sizes)
    return decode.unique_layers(data, picked)
  wanted = _representation(protocol.repr)
  need = [wanted] if wanted in REPRS else list(REPRS)
  missing = [x for x in need if REPRS[x] not in sizes]
  if missing and (wanted != 'all' or len(missing) == 2):
    raise UserError(
      f'No layer {REPRS[missing[0]]}, which `repr` {wanted} reads; '
      f'there are: {", ".join(sizes)}.'
    )
  found = [x for x in need if x not in missing]
  if wanted == 'combined':
    return ['combined'], {}
  both = ['combined'] if len(found) == 2 else []
  return found + both, {}
