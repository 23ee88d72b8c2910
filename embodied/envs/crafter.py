"""Crafter as an environment: what the agent sees and what the analysis needs.

For training, recording and figures:

  env = Crafter('reward', area=(32, 32), seed=7); obs = env.step(
    {'action': 0, 'reset': True})

docs/environment.md explains the flags, the keys and what is deterministic.
"""

from __future__ import annotations

import json
import operator
import pathlib
from typing import Any

import elements
import numpy as np

from embodied.core import base

from . import crafter_game, crafter_render, crafter_view, crafter_worldgen
from .crafter_light import needs_noise, night_noise

ACTIONS = crafter_game.ACTIONS
ACHIEVEMENTS = crafter_game.ACHIEVEMENTS
VITALS = ('health', 'food', 'drink', 'energy')
GOODS = tuple(item for item in crafter_game.ITEMS if item not in VITALS)
TASKS = ('reward', 'noreward')

# Made once, since each step has them all.
_VITALS = tuple((x, f'log/vital_{x}') for x in VITALS)
_ACHIEVEMENTS = tuple((x, f'log/achievement_{x}') for x in ACHIEVEMENTS)
_GOODS = tuple((x, f'log/inventory_{x}') for x in GOODS)

# Ids of objects in `semantic`, after those of the materials, as in Crafter.
OBJECTS = ('Player', 'Cow', 'Zombie', 'Skeleton', 'Arrow', 'Plant')


class Crafter(base.Env):
  """One Crafter world after another.

  Args:
    task: 'reward', or 'noreward' for a reward of zero at every step.
    size: (width, height) of the image [pixels].
    area: (W, H) of the world [tiles].
    logs: also give `log/inventory_<item>`.
    logdir: if set, a line per episode is appended to stats.jsonl there.
    seed: of this environment; worlds, spawns and nights follow from it. None
      draws one from the operating system (see `env_seed`).
    fixed_seed: the same world in every episode.
    random_spawn: start each episode on a random reachable tile.
    egocentric_view: N shows N tiles across, turned with the player, and makes
      the moves relative to the facing direction. Odd; 0 is Crafter's view.
    disable_mobs: no zombies, skeletons and arrows.

  Raises:
    ValueError: an argument is out of range, or logdir cannot be written.
  """

  def __init__(
    self,
    task: str = 'reward',
    size: tuple[int, int] = (64, 64),
    area: tuple[int, int] = (64, 64),
    logs: bool = False,
    logdir: str | pathlib.Path = '',
    seed: int | None = None,
    fixed_seed: bool = True,
    random_spawn: bool = False,
    egocentric_view: int = 0,
    disable_mobs: bool = False,
  ) -> None:
    if task not in TASKS:
      raise ValueError(f'crafter task must be one of {TASKS}, got {task!r}')
    self._rewarded = task == 'reward'
    self._logs = logs
    size = crafter_render.check_size(size)
    area = crafter_worldgen.check_area(area)
    self.game = crafter_game.Game(
      area, _seed(seed), fixed_seed, random_spawn, disable_mobs
    )
    self._renderers = {size: crafter_render.Renderer(size)}
    frame = self._renderers[size]
    self._draw: crafter_render.Renderer | crafter_view.EgoRenderer = frame
    self._relative = bool(egocentric_view)
    if egocentric_view:
      geometry = crafter_view.Geometry.of(egocentric_view, size, area)
      self._draw = crafter_view.EgoRenderer(geometry, frame)
    self._stats = _stats_file(logdir) if logdir else None
    self._size = size
    self._next = 1
    self._waiting = True  # nothing was played since `_next` was set
    self._over = True
    self._total = 0.0

  @property
  def obs_space(self) -> dict[str, elements.Space]:
    """Image, reward, ends, and logs of position, inventory and achievements."""
    number = elements.Space(np.int32)
    spaces = {
      'image': elements.Space(np.uint8, (*self._size[::-1], 3)),
      'reward': elements.Space(np.float32),
      'is_first': elements.Space(bool),
      'is_last': elements.Space(bool),
      'is_terminal': elements.Space(bool),
      'player_pos': elements.Space(np.float32, (2,)),
      'log/reward': elements.Space(np.float32),
      'log/daylight': elements.Space(np.float32),
    }
    names = ['episode', 'player_facing_x', 'player_facing_y', 'sleeping']
    keys = [f'log/{name}' for name in names]
    logged = _VITALS + _ACHIEVEMENTS + (_GOODS if self._logs else ())
    keys += [key for _, key in logged]
    return spaces | dict.fromkeys(keys, number)

  @property
  def act_space(self) -> dict[str, elements.Space]:
    """One of the game's 17 actions."""
    return {
      'action': elements.Space(np.int32, (), 0, len(ACTIONS)),
      'reset': elements.Space(bool),
    }

  def step(self, action: base.Step) -> base.Step:
    """Act, or begin the next episode after `reset` or an episode's end."""
    if action['reset'] or self._over:
      return self._reset()
    name = self._name(action['action'])
    reward, dead = self.game.step(name)
    self._total += reward
    self._over = dead or self.game.steps >= crafter_game.LENGTH
    if self._over and self._stats:
      self._write_stats(self._stats)
    return self._obs(reward, is_last=self._over, is_terminal=dead)

  def set_episode(self, episode: int) -> None:
    """The next reset plays this episode, the ones after it the following.

    Episode k is a function of (seed, k) and the actions alone, whatever was
    played before. Without this call the episodes are 1, 2, 3, ... The maps
    and seeds below are those of this episode from now on.
    """
    if episode < 1:
      raise ValueError(f'episodes count from 1, got {episode}')
    self._next = operator.index(episode)
    self._waiting = self._over = True

  def render(self, size: tuple[int, int] | None = None) -> np.ndarray:
    """Crafter's own view of the current state, u8 (height, width, 3).

    However often it is called, game and observations stay the same.
    """
    size = self._size if size is None else crafter_render.check_size(size)
    if size not in self._renderers:
      self._renderers[size] = crafter_render.Renderer(size)
    return self._image(self._renderers[size])

  @property
  def materials(self) -> tuple[str | None, ...]:
    """Name by id in `world_map`; id 0 does not occur."""
    return crafter_worldgen.MATERIALS

  @property
  def layout(self) -> crafter_worldgen.Layout:
    """The generated world of the episode that is played or was set."""
    if self._waiting:
      return self.game.layout_of(self._next)
    return self.game.layout

  @property
  def world_map(self) -> np.ndarray:
    """Material ids as generated, u8 (W, H), read-only."""
    return self.layout.terrain

  @property
  def walkable(self) -> np.ndarray:
    """Grass, path or sand as generated, bool (W, H), read-only."""
    return self.layout.walkable

  @property
  def reachable(self) -> np.ndarray:
    """Tiles connected to the start by walking, bool (W, H), read-only."""
    return self.layout.reachable

  @property
  def env_seed(self) -> int:
    """Seed of this environment."""
    return self.game.env_seed

  @property
  def world_hash(self) -> int:
    """hash((env_seed, episode counter)), not reduced; may be negative."""
    episode = self._next if self._waiting else self.game.episode
    return self.game.world_hash(episode)

  @property
  def world_seed(self) -> int:
    """Seed of the world's generator: world_hash % (2**31 - 1)."""
    return self.layout.seed

  def semantic(self) -> np.ndarray:
    """Current material ids, with object ids on top, u8 (W, H).

    Objects are numbered after the materials, in the order of OBJECTS, as in
    Crafter's `info['semantic']`. The player's place in it is player_pos.
    """
    canvas = self.game.world.terrain.copy()
    for obj in self.game.world.objects:
      index = OBJECTS.index(type(obj).__name__)
      canvas[obj.pos] = len(crafter_worldgen.MATERIALS) + index
    return canvas

  def _reset(self) -> base.Step:
    self.game.reset(self._next)
    self._next += 1
    self._waiting = self._over = False
    self._total = 0.0
    return self._obs(0.0, is_first=True)

  def _name(self, action: Any) -> str:
    index = operator.index(action)
    if not 0 <= index < len(ACTIONS):
      raise ValueError(f'action must be 0 to {len(ACTIONS) - 1}, got {index}')
    name = ACTIONS[index]
    if self._relative and name.startswith('move_'):
      return crafter_view.world_move(name, self.game.player.facing)
    return name

  def _image(
    self, draw: crafter_render.Renderer | crafter_view.EgoRenderer
  ) -> np.ndarray:
    game = self.game
    noise = None
    if needs_noise(game.world.daylight):
      noise = night_noise(game.layout.seed, game.steps, *draw.noise_shape)
    return draw(game.world, game.player, noise)

  def _obs(
    self,
    reward: float,
    is_first: bool = False,
    is_last: bool = False,
    is_terminal: bool = False,
  ) -> base.Step:
    player, integer = self.game.player, np.int32
    obs = {
      'image': self._image(self._draw),
      'reward': np.float32(reward if self._rewarded else 0.0),
      'is_first': np.bool_(is_first),
      'is_last': np.bool_(is_last),
      'is_terminal': np.bool_(is_terminal),
      'player_pos': np.array(player.pos, np.float32),
      'log/reward': np.float32(reward),
      'log/daylight': np.float32(self.game.world.daylight),
      'log/episode': integer(self.game.episode),
      'log/player_facing_x': integer(player.facing[0]),
      'log/player_facing_y': integer(player.facing[1]),
      'log/sleeping': integer(player.sleeping),
    }
    inventory, achievements = player.inventory, player.achievements
    obs |= {key: integer(inventory[name]) for name, key in _VITALS}
    obs |= {key: integer(achievements[name]) for name, key in _ACHIEVEMENTS}
    if self._logs:
      obs |= {key: integer(inventory[name]) for name, key in _GOODS}
    return obs

  def _write_stats(self, path: pathlib.Path) -> None:
    game = self.game
    line = {
      'episode': game.episode,
      'length': game.steps,
      'reward': round(self._total, 1),
    }
    for name in ACHIEVEMENTS:
      line[f'achievement_{name}'] = game.player.achievements[name]
    # One short write in append mode: environments may share the file.
    with path.open('a') as file:
      file.write(json.dumps(line) + '\n')


def _seed(seed: int | None) -> int:
  if seed is None:
    seed = int(np.random.SeedSequence().generate_state(1)[0])
  try:
    return operator.index(seed)
  except TypeError as error:
    raise ValueError(f'seed must be a whole number, got {seed!r}') from error


def _stats_file(logdir: str | pathlib.Path) -> pathlib.Path:
  """Path of stats.jsonl, checked to be writable before anything is played."""
  folder = pathlib.Path(logdir).expanduser()
  path = folder / 'stats.jsonl'
  try:
    folder.mkdir(parents=True, exist_ok=True)
    path.open('a').close()
  except OSError as error:
    raise ValueError(
      f'cannot write {path}: {error.strerror}; choose another logdir'
    ) from error
  return path
