"""How fast and how flat in memory are animations? For whoever draws many.

  python bench/plots.py

Draws the worldview of a synthetic walk in a 64 x 64 world, and for comparison
the same panels by redrawing matplotlib axes, in the same run. Its observations
are noise, which no encoder can shrink: real ones take a third of the bytes.
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import argparse
import functools
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
from matplotlib.patches import Polygon

from dreamerv3.base.files import save_figure
from dreamerv3.data.episode import Episode
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.plots import style, world
from dreamerv3.plots.moving import animate, video
from dreamerv3.plots.view import View
from tests import synthetic

STEP_MS = 200


def main() -> None:
  """Times each kind of animation and prints a row for each."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--steps', type=int, default=300)
  parser.add_argument('--repeats', type=int, default=3)
  args = parser.parse_args()
  with tempfile.TemporaryDirectory() as temp:
    folder = pathlib.Path(temp)
    _memory(folder, args.steps)  # first: a peak never falls again
    # `record` makes episodes up to a quarter shorter than asked for.
    data = _record(folder / 'short', args.steps * 4 // 3 + 4)
    episode = data.episodes[0]
    for form in video.FORMS:
      path = folder / f'walk{form}'
      seconds = [
        _time(functools.partial(_ours, data, episode, args.steps, path))
        for _ in range(args.repeats)
      ]
      median = statistics.median(seconds)
      size = path.stat().st_size
      print(
        f'worldview{form}: {args.steps} steps in {median:.1f} s, '
        f'{args.steps / median:.0f} frames/s, {size / args.steps / 1e3:.1f} '
        f'kB/frame, {size / 1e6:.1f} MB'
      )
      few = min(args.steps, 15)
      peer = _time(functools.partial(_peer, data, episode, few, folder)) / few
      print(
        f'  redrawing matplotlib axes: {1 / peer:.1f} frames/s; '
        f'ratio {peer * args.steps / median:.1f}x'
      )


def _record(folder: pathlib.Path, length: int) -> Trajectories:
  rng = np.random.default_rng(0)
  walls = tuple((int(x), int(y)) for x, y in rng.integers(0, 64, (400, 2)))
  tiles = synthetic.world((64, 64), walls)
  start = np.argwhere(tiles == synthetic.MATERIALS.index('grass'))[1000]
  synthetic.record(
    folder, {}, episodes=1, length=length, tiles=tiles, image=64, start=start
  )
  return Trajectories.open(folder)


def _frames(
  data: Trajectories, episode: Episode, steps: int
) -> tuple[Iterator[np.ndarray], animate.FramePlan]:
  metadata = data.metadata
  assert metadata.world_map is not None
  image = world.world_image(metadata.world_map, metadata.materials, 16)
  scene = animate.Scene(image, 16)
  shown = animate.FramePlan(tuple((0, t) for t in range(steps)), 1)
  frames = animate.worldview([episode], shown, lambda _: scene, View.normal())
  return frames, shown


def _ours(data: Trajectories, episode: Episode, steps: int, path: pathlib.Path) -> None:
  frames, shown = _frames(data, episode, steps)
  sample = np.concatenate(list(_frames(data, episode, 8)[0]))
  video.write(path, frames, len(shown), STEP_MS, sample)


def _peer(
  data: Trajectories, episode: Episode, steps: int, folder: pathlib.Path
) -> None:
  """The same panels, each frame a new matplotlib drawing."""
  images = episode.read('image')
  for t in range(steps):
    figure, axes = style.new_figure(1, 2, 2.8, 2.8)
    left, right = axes[0]
    world.draw_world(left, data.metadata)
    x, y = episode.pos[t]
    left.plot(*episode.pos[max(t - animate.TRAIL, 0) : t + 1].T)
    corners = episode.pos[t] + View.normal().outline(episode.facing[t])
    left.add_patch(Polygon(corners, fill=False))
    left.set(xlim=(x - 8.5, x + 8.5), ylim=(y + 8.5, y - 8.5))
    right.imshow(images[t])
    figure.suptitle(f'step {t}')
    save_figure(folder / 'frame.png', figure, dpi=100)


def _memory(folder: pathlib.Path, steps: int) -> None:
  """Growth of the peak when four times as many frames are drawn."""
  long = _record(folder / 'long', 4 * steps * 4 // 3 + 4)
  path = folder / 'long.gif'
  long.episodes[0].read('image')  # its images are in memory once, as always
  peaks = []
  for count in (steps, 4 * steps):
    _ours(long, long.episodes[0], count, path)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
  print(
    f'peak memory: {peaks[0]:.0f} MB after {steps} frames, {peaks[1]:.0f} MB '
    f'after {4 * steps}: {peaks[1] - peaks[0]:+.1f} MB'
  )


def _time(work: Callable[[], object]) -> float:
  start = time.perf_counter()
  work()
  return time.perf_counter() - start


if __name__ == '__main__':
  main()
