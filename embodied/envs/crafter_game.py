"""One life in Crafter, without pixels: worlds, steps, rewards.

For the environment (crafter.py), and for anyone who needs the game alone:

  game = Game((64, 64), env_seed=7); game.reset(1); game.step('move_left')

Same seeds and same actions give the same game in any process, whoever looks
at it: the rules draw from the world's stream and nothing else does.
"""

from collections.abc import Sequence

import crafter
import numpy as np

from . import crafter_worldgen
from .crafter_world import CHUNK, Cow, Player, Skeleton, World, Zombie

ACTIONS = tuple(crafter.constants.actions)
ACHIEVEMENTS = tuple(crafter.constants.achievements)
ITEMS = tuple(crafter.constants.items)
LENGTH = 10000  # [steps] an episode ends here at the latest
DAY = 300  # [steps]
AWAKE = 18  # [tiles] creatures closer to the player than this are simulated
BALANCE = 10  # [steps] between two adjustments of the population

CREATURES = {'cow': Cow, 'zombie': Zombie, 'skeleton': Skeleton}
HOSTILE = ('zombie', 'skeleton')

# kind: material it appears on, distance from the player at which it may appear
# and disappear [tiles], probability of each
POPULATION = {
  'zombie': ('grass', 6, 0, 0.3, 0.4),
  'skeleton': ('path', 7, 7, 0.1, 0.1),
  'cow': ('grass', 5, 5, 0.01, 0.1),
}


class Game:
  """Crafter's rules on a deterministic world.

  Args:
    area: (W, H) [tiles].
    env_seed: seed of this environment; the worlds follow from it.
    fixed_seed: every episode plays in the world of episode 1.
    random_spawn: start on a random reachable tile, not in the middle.
    disable_mobs: no zombies, skeletons and arrows, from the first step on.

  Attributes, from the first reset on:
    episode: 1, 2, ...; decides the world and the spawn, with env_seed.
    steps: [steps] since the reset.
    layout: the generated world; world: its current state; player.
  """

  layout: crafter_worldgen.Layout
  world: World
  player: Player

  def __init__(
    self,
    area: tuple[int, int],
    env_seed: int,
    fixed_seed: bool = True,
    random_spawn: bool = False,
    disable_mobs: bool = False,
  ):
    self.area = crafter_worldgen.check_area(area)
    self.env_seed = env_seed
    self.fixed_seed = fixed_seed
    self.random_spawn = random_spawn
    self.kinds = tuple(
      kind for kind in POPULATION if not (disable_mobs and kind in HOSTILE)
    )
    self.episode = 0
    self.steps = 0
    self._layout: crafter_worldgen.Layout | None = None
    self._health = 0
    self._unlocked: set[str] = set()

  def world_hash(self, episode: int) -> int:
    """hash((env_seed, counter)): Crafter's counter, 1 if the seed is fixed."""
    return hash((self.env_seed, 1 if self.fixed_seed else episode))

  def layout_of(self, episode: int) -> crafter_worldgen.Layout:
    """The generated world of an episode; the last one asked for is kept."""
    seed = self.world_hash(episode) % (2**31 - 1)
    if self._layout is None or self._layout.seed != seed:
      self._layout = crafter_worldgen.generate(self.area, seed)
    return self._layout

  def reset(self, episode: int) -> None:
    """Begin an episode; what came before it has no influence."""
    self.episode = episode
    self.steps = 0
    self.layout = self.layout_of(episode)
    self.world = World(self.layout)
    self.world.daylight = daylight(0)
    self.player = Player(self.world, self.layout.start)
    self.world.add(self.player)
    for kind, x, y in self.layout.creatures:
      if kind in self.kinds:
        self._create(kind, (x, y))
    if self.random_spawn:
      self.world.move(self.player, self._spawn())
    self._health = self.player.health
    self._unlocked = set()

  def step(self, action: str) -> tuple[float, bool]:
    """Play one step.

    Args:
      action: a name from ACTIONS.

    Returns:
      reward: a tenth of the change in health, plus 1 if the step unlocked an
        achievement for the first time in the episode (1, however many).
      dead.
    """
    self.steps += 1
    self.world.daylight = daylight(self.steps)
    self._update(action)
    if self.steps % BALANCE == 0:
      for chunk in list(self.world.chunks):
        for kind in self.kinds:
          self._balance(chunk, kind)
    player = self.player
    reward = (player.health - self._health) / 10
    self._health = player.health
    unlocked = {k for k, count in player.achievements.items() if count}
    if len(unlocked) > len(self._unlocked):
      self._unlocked = unlocked
      reward += 1.0
    return reward, player.health <= 0

  def _update(self, action: str) -> None:
    """Move the player, then whatever is near, in order of creation."""
    player, *others = self.world.objects
    player.action = action
    player.update()
    # Nothing but the player's own update moves the player, and each creature
    # moves itself alone: so who is near can be decided in one pass.
    x, y = player.pos
    for obj in others:
      i, j = obj.pos
      if abs(i - x) + abs(j - y) < AWAKE:
        obj.update()

  def _create(self, kind: str, pos: Sequence[int]) -> None:
    extra = (self.player,) if kind in HOSTILE else ()
    self.world.add(CREATURES[kind](self.world, pos, *extra))

  def _spawn(self) -> tuple[int, int]:
    """A reachable tile without an object, drawn from (env_seed, episode)."""
    free = self.layout.reachable.copy()
    for obj in self.world.objects:
      free[obj.pos] = False
    tiles = np.argwhere(free)
    if not len(tiles):
      raise ValueError(
        f'random_spawn found no free tile in world {self.layout.seed} of area '
        f'{self.area}: choose a larger area or another seed'
      )
    dice = np.random.RandomState([self.env_seed % 2**32, self.episode])
    x, y = tiles[dice.randint(len(tiles))].tolist()
    return x, y

  def _balance(self, chunk: tuple[int, int], kind: str) -> None:
    """Let a creature appear in or vanish from a chunk, as Crafter does."""
    material, far, despawn_far, spawn, despawn = POPULATION[kind]
    world, dice, player = self.world, self.world.random, self.player
    cls = CREATURES[kind]
    present = [obj for obj in world.chunks[chunk] if isinstance(obj, cls)]
    space = world.count(chunk, material)
    least, most = _targets(kind, space, world.daylight)
    if len(present) < int(least) and dice.uniform() < spawn:
      tiles = world.tiles(chunk, material)
      x, y = tiles[dice.randint(0, len(tiles))].tolist()
      if world[x, y][1] is None and player.distance((x, y)) >= far:
        self._create(kind, (x, y))
    elif len(present) > int(most) and dice.uniform() < despawn:
      obj = present[dice.randint(0, len(present))]
      if player.distance(obj) >= despawn_far:
        world.remove(obj)


def daylight(steps: int) -> float:
  """1 is noon, 0 midnight, of a day of 300 steps that begins at 0.3."""
  progress = (steps / DAY) % 1 + 0.3
  return 1 - np.abs(np.cos(np.pi * progress)) ** 3


def _targets(kind: str, space: int, light: float) -> tuple[float, float]:
  """Least and most creatures of a kind for a chunk with so many tiles."""
  if kind == 'zombie':
    return (0 if space < 50 else 3.5 - 3 * light), 3.5 - 3 * light
  if kind == 'skeleton':
    return (0 if space < 6 else 1), 2
  return (0 if space < 30 else 1), 1.5 + light


assert CHUNK == 12, 'the targets above are per chunk of 12x12 tiles'
