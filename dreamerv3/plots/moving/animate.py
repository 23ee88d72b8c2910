"""The agent in motion: frames for animations, drawn without matplotlib.

  shown = plan(data.episodes, limit=500)
  for frame in worldview(data.episodes, shown, scene, View.normal()):
    ...  # uint8 (H, W, 3)

Frames are made one at a time, in the order of the plan. A plan may leave steps
out, but never mixes episodes: trails and marks belong to one episode alone.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from dreamerv3.data.episode import Episode
from dreamerv3.plots import style
from dreamerv3.plots.view import View

TRAIL = 40  # timesteps of the path behind the player
BAR = 20  # height of a line of text [pixels]
GAP = 8  # between panels [pixels]
INK, PAPER = '#ffffff', '#202020'
PLAYER, FIELD = style.ORANGE, style.YELLOW

# What an action number means, in Crafter.
ACTIONS = (
  'noop',
  'move left',
  'move right',
  'move up',
  'move down',
  'do',
  'sleep',
  'place stone',
  'place table',
  'place furnace',
  'place plant',
  'make wood pickaxe',
  'make stone pickaxe',
  'make iron pickaxe',
  'make wood sword',
  'make stone sword',
  'make iron sword',
)
# Moves are relative to the player in the egocentric view.
EGO_ACTIONS = {1: 'go left', 2: 'go right', 3: 'go forward', 4: 'go backward'}


def actions_of(episode: Episode, egocentric: bool) -> list[str]:
  """What is done on seeing each timestep, (T,) words; empty if not recorded."""
  if 'action' not in episode.arrays:
    return []
  names = dict(enumerate(ACTIONS)) | (EGO_ACTIONS if egocentric else {})
  return [names.get(x, str(x)) for x in episode.read('action').tolist()]


@dataclasses.dataclass(frozen=True)
class FramePlan:
  """Which timesteps become frames.

  Attributes:
    steps: (episode, t) of each frame; episodes in order, t rising in each.
    every: only each `every`-th timestep is shown, and the last of an episode.
  """

  steps: tuple[tuple[int, int], ...]
  every: int

  def __len__(self) -> int:
    return len(self.steps)

  def thinner(self, count: int) -> 'FramePlan':
    """About `count` frames of the plan, spread over all of it."""
    index = np.linspace(0, len(self) - 1, min(count, len(self))).astype(int)
    return FramePlan(tuple(self.steps[i] for i in index), self.every)


def plan(lengths: Sequence[int], limit: int) -> FramePlan:
  """Frames for episodes of these lengths, at most `limit` where possible.

  The first and last timestep of each episode are always shown, so that two
  frames per episode are the least there can be.
  """
  every = 1
  while True:
    steps = tuple(
      (k, t)
      for k, length in enumerate(lengths)
      for t in sorted({*range(0, length, every), length - 1})
    )
    if len(steps) <= limit or every >= max(lengths):
      return FramePlan(steps, every)
    # At least one more, and in big steps where there is far to go.
    every = max(every + 1, every * len(steps) // (2 * limit))


@dataclasses.dataclass(frozen=True)
class Scene:
  """A picture of the world to draw on, north up.

  Attributes:
    image: uint8 (H * unit, W * unit, 3).
    unit: pixels of a tile.
    origin: (x, y) of the tile in its upper left corner.
  """

  image: np.ndarray
  unit: int
  origin: tuple[int, int] = (0, 0)

  @classmethod
  def scaled(cls, image: np.ndarray, tiles: int, unit: int) -> 'Scene':
    """A picture that is `tiles` tiles wide, with `unit` pixels a tile."""
    height = len(image) * tiles * unit // image.shape[1]
    size = (tiles * unit, height)
    resized = Image.fromarray(image).resize(size, Image.Resampling.NEAREST)
    return cls(np.asarray(resized), unit)

  def cut(self, x: int, y: int, width: int, height: int) -> 'Scene':
    """The part of so many tiles whose upper left one is (x, y)."""
    left, top = (np.subtract((x, y), self.origin) * self.unit).tolist()
    rows = slice(top, top + height * self.unit)
    columns = slice(left, left + width * self.unit)
    return Scene(self.image[rows, columns], self.unit, (x, y))

  @property
  def tiles(self) -> tuple[int, int]:
    """(W, H) that it shows."""
    return self.image.shape[1] // self.unit, self.image.shape[0] // self.unit

  def point(self, pos: np.ndarray) -> np.ndarray:
    """Pixels of the middle of tiles, (..., 2) -> (..., 2) of (x, y)."""
    return (np.asarray(pos, np.float64) - self.origin + 0.5) * self.unit


def tile_pixels(tiles: int, longest: int = 512) -> int:
  """Pixels of a tile, so that so many of them fit on a screen."""
  return int(np.clip(longest // tiles, 2, 32))


def floor_plan(visited: np.ndarray, walkable: np.ndarray | None) -> np.ndarray:
  """A plain map (H, W, 3): obstacles dark, visited tiles light.

  Args:
    visited: bool (W, H).
    walkable: bool (W, H), where it is known.
  """
  grey = np.full(visited.shape, 200, np.uint8)
  if walkable is not None:
    grey[~walkable] = 90
  grey[visited] = 245
  return np.repeat(grey.T[..., None], 3, 2)


def journeys(
  episodes: Sequence[Episode],
  shown: FramePlan,
  scene: Scene,
  colors: Sequence[str],
) -> Iterator[np.ndarray]:
  """One episode after another walks through the world.

  Paths of episodes that have ended stay, faintly.

  Args:
    colors: of the episodes, as '#rrggbb'.
  """
  behind = Image.fromarray(scene.image)
  size = behind.width, behind.height + BAR
  before = None
  for k, t in shown.steps:
    if before is not None and k != before:
      for done in range(before, k):
        _path(behind, scene, episodes[done].pos, colors[done])
    before = k
    world = behind.copy()
    pos = episodes[k].pos
    _trail(world, scene, pos[max(t - TRAIL, 0) : t + 1], colors[k])
    _player(world, scene.point(pos[t]), episodes[k].facing[t], scene.unit)
    frame = Image.new('RGB', size, PAPER)
    frame.paste(world, (0, BAR))
    _write(frame, _whereabouts(episodes, k, t), (4, 0))
    yield np.asarray(frame)


def so_far(episode: Episode, t: int, scene: Scene) -> np.ndarray:
  """The world with the path up to a timestep, its last steps bright: (H, W, 3)."""
  image = Image.fromarray(scene.image)
  if t:
    _path(image, scene, episode.pos[: t + 1], INK)
  _trail(image, scene, episode.pos[max(t - TRAIL, 0) : t + 1], PLAYER)
  _player(image, scene.point(episode.pos[t]), episode.facing[t], scene.unit)
  return np.asarray(image)


def worldview(
  episodes: Sequence[Episode],
  shown: FramePlan,
  scene: Callable[[int], Scene],
  view: View,
  window: int = 17,
) -> Iterator[np.ndarray]:
  """The player in its surroundings, beside what it sees.

  Left: a window of the world with the field of view (yellow), the last steps
  and the player, pointing where it faces. Right: its observation. Below: the
  action that it chooses on seeing it, and the reward it just received.

  Args:
    scene: the world of episode k.
    window: side of the window [tiles].
  """
  before = None
  for k, t in shown.steps:
    if k != before:
      before, episode, place = k, episodes[k], scene(k)
      images = episode.read('image')
      notes = _notes(episode, view)
    left = _surroundings(episode, t, place, view, window)
    right = _enlarged(images[t], left.height)
    width = left.width + GAP + right.width
    frame = Image.new('RGB', (width, left.height + 2 * BAR), PAPER)
    frame.paste(left, (0, BAR))
    frame.paste(right, (left.width + GAP, BAR))
    _write(frame, _whereabouts(episodes, k, t), (4, 0))
    _write(frame, notes[t], (4, left.height + BAR))
    yield np.asarray(frame)


def hex_colors(colors: Sequence) -> list[str]:
  """Colours of matplotlib, names or (r, g, b, a) in 0..1, as '#rrggbb'."""
  found = []
  for color in colors:
    if not isinstance(color, str):
      color = '#' + ''.join(f'{round(255 * x):02x}' for x in color[:3])
    found.append(color)
  return found


def _surroundings(
  episode: Episode, t: int, scene: Scene, view: View, window: int
) -> Image.Image:
  """The world around the player, never beyond its edges where it is larger."""
  pos, facing = episode.pos, episode.facing[t]
  w, h = (min(window, x) for x in scene.tiles)
  x, y = np.clip(
    pos[t] - (w // 2, h // 2), 0, np.subtract(scene.tiles, (w, h))
  ).tolist()
  here = scene.cut(x, y, w, h)
  image = Image.fromarray(here.image)
  _trail(image, here, pos[max(t - TRAIL, 0) : t + 1], PLAYER)
  if facing.any() or not view.egocentric:
    corners = here.point(pos[t] + view.outline(facing))
    draw = ImageDraw.Draw(image)
    draw.polygon([tuple(c) for c in corners], outline=FIELD, width=2)
  _player(image, here.point(pos[t]), facing, scene.unit)
  return image


def _trail(image: Image.Image, scene: Scene, pos: np.ndarray, color: str) -> None:
  """The last steps, fading with their age."""
  draw = ImageDraw.Draw(image, 'RGBA')
  points = scene.point(pos)
  width = max(scene.unit // 5, 2)
  for age, (a, b) in enumerate(zip(points[:0:-1], points[-2::-1], strict=True)):
    alpha = 255 - 200 * age // TRAIL
    fill = (*ImageColor.getrgb(color)[:3], alpha)
    draw.line([*a, *b], fill, width)


def _path(image: Image.Image, scene: Scene, pos: np.ndarray, color: str) -> None:
  """A whole path, faintly."""
  draw = ImageDraw.Draw(image, 'RGBA')
  points = [tuple(x) for x in scene.point(pos)]
  width = max(scene.unit // 8, 1)
  draw.line(points, (*ImageColor.getrgb(color)[:3], 110), width)


def _player(image: Image.Image, at: np.ndarray, facing: np.ndarray, unit: int) -> None:
  """An arrow where the player faces, or a disc where that is unknown."""
  draw = ImageDraw.Draw(image)
  radius = max(0.45 * unit, 4.0)
  if not facing.any():
    box = (*(at - radius * 0.8), *(at + radius * 0.8))
    draw.ellipse(box, fill=PLAYER, outline='black')
    return
  ahead = np.asarray(facing, np.float64)
  aside = np.array([-ahead[1], ahead[0]])
  shape = (ahead, -0.8 * ahead + 0.8 * aside, -0.8 * ahead - 0.8 * aside)
  corners = [tuple(at + radius * x) for x in shape]
  draw.polygon(corners, fill=PLAYER, outline='black')


def _enlarged(image: np.ndarray, side: int) -> Image.Image:
  """An observation, magnified by a whole number as far as it fits."""
  times = max(side // max(image.shape[:2]), 1)
  size = image.shape[1] * times, image.shape[0] * times
  return Image.fromarray(image).resize(size, Image.Resampling.NEAREST)


def _notes(episode: Episode, view: View) -> list[str]:
  """The line below each frame: action and reward, as far as recorded."""
  lines = [''] * len(episode)
  if actions := actions_of(episode, view.egocentric):
    lines = [f'action: {x}' for x in actions]
    # The recorder sets the last action, which is never taken.
    lines[-1] = 'end of the episode'
  if 'reward' in episode.arrays:
    rewards = episode.read('reward').tolist()
    lines = [
      f'{line}   reward: {r:+.1f}' if r else line
      for line, r in zip(lines, rewards, strict=True)
    ]
  return lines


def _whereabouts(episodes: Sequence[Episode], k: int, t: int) -> str:
  episode = episodes[k]
  last = len(episode) - 1
  return f'episode {episode.number} ({k + 1}/{len(episodes)})   step {t}/{last}'


def _write(image: Image.Image, text: str, at: tuple[int, int]) -> None:
  ImageDraw.Draw(image).text((at[0], at[1] + 3), text, INK, _font())


@functools.cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
  return ImageFont.load_default(12)
