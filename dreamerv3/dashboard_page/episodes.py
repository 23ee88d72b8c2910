"""What was recorded of a run, and what an episode of it shows step by step.

for kept in recordings(run, own): print(kept.label)
shown = ShownEpisode.of(data.episodes[0], data.metadata)
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dreamerv3.base import unpickle
from dreamerv3.base.errors import UserError
from dreamerv3.dashboard_page import worlds
from dreamerv3.dashboard_page.generation import CACHE
from dreamerv3.dashboard_page.runs import results_of
from dreamerv3.data.episode import Episode
from dreamerv3.data.metadata import Metadata
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.pages.player import VITALS, unlocked
from dreamerv3.plots.moving import animate
from dreamerv3.plots.moving.animate import Scene
from dreamerv3.plots.trajectories import total_reward
from dreamerv3.plots.view import recorded
from dreamerv3.plots.world import world_image

VALUE = 'val/value'
UNKNOWN = 'unknown'
SIDE = 640  # pixels of the map


class KeptRecording(NamedTuple):
  """A folder of episodes that can be opened.

  Attributes:
    path: of it; label: in what world they are, and how many.
  """

  path: pathlib.Path
  label: str


class EpisodeSummary(NamedTuple):
  """An episode in one row: timesteps, return, achievements, and why it ended."""

  episode: int
  length: int
  reward: float
  unlocked: int
  ending: str


def recordings(run: pathlib.Path, own: Mapping[str, Any]) -> list[KeptRecording]:
  """All recordings of a run: those made to order, newest first, then the others."""
  results = results_of(run)
  made = (x.parent for x in results.glob(f'{CACHE}/*/trajectories/metadata.pkl'))
  newest = sorted(made, key=lambda x: -x.stat().st_mtime)
  other = sorted({x.parent for x in results.glob('*/episode_*.pkl')})
  found = []
  for path in (*newest, *other):
    count = sum(1 for _ in path.glob('episode_*.pkl'))
    what = path.name
    if path in newest:
      what = _world(path, own)
    found.append(KeptRecording(path, f'{what}: {count} episodes'))
  return found


def _world(path: pathlib.Path, own: Mapping[str, Any]) -> str:
  """In what world a recording was made, beside that of its run."""
  try:
    about = Metadata.from_dict(unpickle.load(path / 'metadata.pkl'))
  except (UserError, AttributeError, TypeError):
    return f'{path.parent.name}, damaged'
  env = {f'{worlds.BLOCK}{k}': v for k, v in about.settings.get('env', {}).items()}
  played = {k: tuple(v) if isinstance(v, list) else v for k, v in env.items()}
  played['seed'] = about.seed
  known = {x.key: played[x.key] for x in worlds.controls(own) if x.key in played}
  step = about.extra.get('checkpoint_step')
  after = '' if step is None else f', agent at step {step:,}'
  return worlds.told(worlds.changes(known, own)) + after


def remarks(data: Trajectories) -> list[str]:
  """What a recording lacks, one line each; worlds that change have a map each."""
  each = all('world_map' in x.arrays for x in data.episodes)
  return [x for x in data.lacks if not (each and x == 'no world map')]


def summaries(data: Trajectories) -> list[EpisodeSummary]:
  """A row per episode."""
  return [
    EpisodeSummary(
      x.number,
      len(x),
      round(total_reward(x), 2),
      sum(v > 0 for v in x.values.get('final_achievements', {}).values()),
      ending(x, data.metadata),
    )
    for x in data.episodes
  ]


def ending(episode: Episode, metadata: Metadata) -> str:
  """What an episode died of, 'alive' or 'unknown'.

  Of causes that took health in the last step all are named.
  """
  if 'vital_health' not in episode.arrays:
    return UNKNOWN
  if episode.read('vital_health')[-1] > 0:
    return 'alive'
  bits = int(episode.read('injury')[-1]) if 'injury' in episode.arrays else 0
  causes = [x for i, x in enumerate(metadata.injuries) if bits >> i & 1]
  return ' and '.join(causes) or UNKNOWN


@dataclasses.dataclass(frozen=True)
class ShownEpisode:
  """All of an episode of T timesteps that the page shows; images stay on disk.

  Attributes:
    episode: it; scene: the world as a picture.
    actions: what is done on seeing each timestep; empty if not recorded.
    lines: {reward, value, health, ...: (T,)} of what was recorded.
    unlocked: {achievement: timestep of the first time}.
  """

  episode: Episode
  scene: Scene
  actions: list[str]
  lines: Mapping[str, np.ndarray]
  unlocked: Mapping[str, int]

  @classmethod
  def of(cls, episode: Episode, metadata: Metadata) -> 'ShownEpisode':
    """Reads what is small of an episode."""
    found = {'reward': 'reward', **{x: f'vital_{x}' for x in VITALS}}
    lines = {k: episode.read(v) for k, v in found.items() if v in episode.arrays}
    if episode.layers().get(VALUE) == 1:
      lines['value'] = episode.layer(VALUE)[:, 0].astype(np.float64)
    return cls(
      episode,
      _scene(episode, metadata),
      animate.actions_of(episode, bool(recorded(metadata.settings))),
      lines,
      unlocked(episode),
    )

  def view(self, t: int) -> np.ndarray | None:
    """What the agent saw, (h, w, 3) uint8; None if not recorded."""
    if 'image' not in self.episode.arrays:
      return None
    return np.array(self.episode.view('image')[t])

  def map(self, t: int) -> np.ndarray:
    """The world with the path so far, (H, W, 3) uint8."""
    return animate.so_far(self.episode, t, self.scene)

  def action(self, t: int) -> str:
    """What it does at a timestep, in words."""
    if t == len(self.episode) - 1:
      return 'end of the episode'
    return self.actions[t] if self.actions else UNKNOWN


def _scene(episode: Episode, metadata: Metadata) -> Scene:
  """The terrain as it began, or plain tiles where it is unknown."""
  unit = animate.tile_pixels(max(metadata.area), SIDE)
  if 'world_map' in episode.arrays:  # worlds change
    terrain = episode.read('world_map')
    return Scene(world_image(terrain, metadata.materials, unit), unit)
  if metadata.world_map is not None and metadata.fixed_seed:
    return Scene(world_image(metadata.world_map, metadata.materials, unit), unit)
  visited = metadata.grid.count(episode.pos) > 0
  plain = animate.floor_plan(visited, None)
  return Scene.scaled(plain, metadata.area[0], unit)
