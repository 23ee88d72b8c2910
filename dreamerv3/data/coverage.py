"""How well does a recording cover the world that it could have covered?

  found = coverage_of(data)
  if found is not None: print(found.line(), found.warnings())

Analyses of space say nothing about tiles that nobody visited, and little where a few
tiles hold most of the time.
"""

import dataclasses
from typing import Self

import numpy as np

from dreamerv3.data.trajectories import Trajectories

LEAST = 0.25  # of the reachable tiles; below it maps are mostly holes
STILL = 0.5  # evenness below which one tile holds half of the time
EVEN = 0.9  # evenness below which one tile holds a tenth of the time


@dataclasses.dataclass(frozen=True)
class Coverage:
  """Where the agent was, among the tiles that it could have reached.

  Attributes:
    reachable: tiles connected to a visited one over walkable ones; visited tiles count
      whatever the map says, since tunnels are dug.
    visited: tiles where it was.
    share: visited / reachable.
    evenness: 1 - max |p - u|, p the share of time in each reachable tile and u the same
      for all, 0 to 1.
    divergence: KL(p || u) [bits], 0 for even occupancy, log2(reachable) for one tile.
  """

  reachable: int
  visited: int
  share: float
  evenness: float
  divergence: float

  @classmethod
  def of(cls, pos: np.ndarray, walkable: np.ndarray) -> Self:
    """Measures positions (N, 2) in a world (W, H) of walkable tiles."""
    times = np.zeros(walkable.shape)
    np.add.at(times, tuple(pos.T), 1)
    within = _connected(times > 0, walkable)
    p = times[within] / times.sum()
    u = 1 / within.sum()
    known = p > 0
    divergence = float((p[known] * np.log2(p[known] / u)).sum())
    return cls(
      int(within.sum()),
      int(known.sum()),
      float(known.mean()),
      float(1 - np.abs(p - u).max()),
      max(divergence, 0.0),
    )

  def line(self) -> str:
    """For titles and tables."""
    return (
      f'{self.visited} of {self.reachable} reachable tiles ({self.share:.0%}), '
      f'evenness {self.evenness:.2f}, {self.divergence:.1f} bits from uniform'
    )

  def holes(self) -> list[str]:
    """Lines if so little was visited, or one tile so much, that maps lack much."""
    lines = []
    if self.share < LEAST:
      lines.append(
        f'Only {self.share:.0%} of the reachable tiles were visited: maps have holes, '
        'and positions there cannot be decoded. Record more, from random spawns.'
      )
    if self.evenness < STILL:
      lines.append(
        'One tile holds more than half of the time: what the agent does there alone '
        'looks like a place, and maps elsewhere are of few timesteps. Take a policy '
        'that wanders.'
      )
    return lines

  def warnings(self) -> list[str]:
    """Lines on what analyses of space will lack."""
    lines = self.holes()
    if STILL <= self.evenness < EVEN:
      lines.append(
        'One tile holds more than a tenth of the time: an agent that stands still '
        'says little about space. Take a policy that wanders.'
      )
    return lines


def coverage_of(data: Trajectories) -> Coverage | None:
  """Of a recording; None where its map is unknown, or its worlds change."""
  walkable = data.metadata.walkable()
  if walkable is None or not data.metadata.fixed_seed:
    return None
  return Coverage.of(np.concatenate([x.pos for x in data.episodes]), walkable)


def _connected(seeds: np.ndarray, walkable: np.ndarray) -> np.ndarray:
  """Tiles that can be reached from the seeds, these included."""
  free, found = walkable | seeds, seeds.copy()
  while True:
    near = found.copy()
    near[1:] |= found[:-1]
    near[:-1] |= found[1:]
    near[:, 1:] |= found[:, :-1]
    near[:, :-1] |= found[:, 1:]
    near &= free
    if (near == found).all():
      return found
    found = near
