"""The flags with which every program opens a recording, and the opening itself.

For the commands that read positions; their settings inherit from these.

  data = Placed(min_bbox=4.0).open('logdir/run/trajectories')
"""

import dataclasses
import os
import sys
from collections.abc import Callable, Iterable

from dreamerv3.analysis.compatible import placed
from dreamerv3.base.flags import flag
from dreamerv3.data.coverage import coverage_of
from dreamerv3.data.trajectories import Trajectories


def _lacks(data: Trajectories) -> Iterable[str]:
  return data.lacks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opening:
  """Which episodes of a recording are read."""

  max_episodes: int = flag(
    0, low=0, help='Read this many episodes, the first ones; 0 reads all.'
  )
  min_bbox: float = flag(
    0.0, low=0, help='Leave out episodes with a smaller bounding box [tiles^2].'
  )
  area: tuple[int, int] | None = flag(
    None, low=1, help='Size of the world, W H [tiles], for recordings without metadata.'
  )

  def open(
    self,
    path: str | os.PathLike[str],
    lacks: Callable[[Trajectories], Iterable[str]] = _lacks,
  ) -> Trajectories:
    """The chosen episodes of a recording; prints what it lacks.

    Args:
      path: folder of episodes, or one file of them.
      lacks: the lines to print, a reader's own; all that it knows by default.

    Raises:
      UserError: no recording, or none that these flags leave.
    """
    data = Trajectories.open(path, self.area, self.max_episodes)
    data = self.place(data.keep(self.min_bbox))
    covered = coverage_of(data)
    for line in (*lacks(data), *(covered.holes() if covered else ())):
      print(f'{path}: {line}', file=sys.stderr)
    return data

  def place(self, data: Trajectories) -> Trajectories:
    """Hook of settings that ask where positions are counted from."""
    return data


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placed(Opening):
  """Adds where positions are counted from, so that they mean one thing."""

  spawn_relative: bool = flag(
    False,
    help='Count positions from the start of each episode, for episodes of many worlds.',
  )

  def place(self, data: Trajectories) -> Trajectories:
    """Raises UserError where the episodes are in different worlds."""
    return placed(data, self.spawn_relative)
