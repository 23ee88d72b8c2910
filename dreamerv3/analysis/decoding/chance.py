"""Chance levels of position decoding: what is reached without activations.

  tile = best_constant(visits)
  error = prior_error(visits, pos[test])
  path = other_path(pos, episode, t, rng)
  guess = by_time(pos[train], t[train], t[test])

For judging a decoder: an agent that stays near its start is easy to "decode".
All are measured on training positions, over tiles the agent can be on.
"""

from typing import NamedTuple

import numpy as np

NEAR = 2  # timesteps on each side that a guess by the time goes by
FEWEST = 5  # positions that it takes


class Level(NamedTuple):
  """What a chance level is called: over a column, in a figure, in a sentence."""

  column: str
  label: str
  guess: str


LEVELS = {
  'best_constant': Level('constant', 'best constant', 'best constant guess'),
  'prior': Level('prior', 'occupancy prior', 'guess from the occupancy'),
  'shuffled': Level(
    'shuffled', "another episode's path", "decoder of another episode's path"
  ),
}


def best_constant(visits: np.ndarray) -> np.ndarray:
  """The visited tile nearest to all training positions, (2,).

  Minimises the mean of |dx| + |dy|; the first in class order when several do.

  Args:
    visits: (W, H) training timesteps on each tile.
  """
  tiles, weight = _occupancy(visits)
  best: np.ndarray = tiles[_mean_distance(tiles, tiles, weight).argmin()]
  return best


def prior_error(visits: np.ndarray, pos: np.ndarray) -> np.ndarray:
  """Expected error (N,) [tiles] at positions (N, 2) of a guess from the occupancy.

  sum_c p(c) |c - x|_1, with p(c) the share of training time on tile c.
  """
  return _mean_distance(pos, *_occupancy(visits))


def by_time(pos: np.ndarray, t: np.ndarray, at: np.ndarray) -> np.ndarray:
  """The best guess (M, 2) by the time in the episode alone.

  The median of x and of y over training positions within two timesteps, or as many
  more as it takes to have five of them. Where a script leads all episodes along one
  path this knows the place, and a clock decodes as a place does.

  Args:
    pos: (N, 2) training positions; t: (N,) their timesteps.
    at: (M,) timesteps to guess at.
  """
  order = np.argsort(t, kind='stable')
  pos, t = pos[order], t[order]
  found = np.empty((len(at), 2), np.float32)
  for now in np.unique(at):
    reach, first, last = NEAR, 0, 0
    while last - first < min(FEWEST, len(t)):
      first, last = np.searchsorted(t, (now - reach, now + reach + 1))
      reach *= 2
    found[at == now] = np.median(pos[first:last], 0)
  return found


def other_path(
  pos: np.ndarray, episode: np.ndarray, t: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
  """Positions (N, 2) of another episode at the same time; None if only one.

  Each episode gets the path of one other (a cyclic shift of a shuffled list),
  repeated when that one is shorter. The pairing keeps how paths and activations
  change over time and breaks their tie (pseudo-sessions: Harris 2020,
  doi:10.1101/2020.11.29.402719).
  """
  ids = np.unique(episode)
  if len(ids) < 2:
    return None
  order = rng.permutation(ids)
  paired = np.empty_like(pos)
  for here, there in zip(order, np.roll(order, 1), strict=True):
    mine = np.flatnonzero(episode == here)
    path = np.flatnonzero(episode == there)
    first, span = t[path].min(), np.ptp(t[path]) + 1
    time = first + (t[mine] - first) % span
    paired[mine] = pos[path[np.searchsorted(t[path], time)]]
  return paired


def _occupancy(visits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Visited tiles (C, 2) and the share of time on each (C,)."""
  return np.argwhere(visits), visits[visits > 0] / visits.sum()


def _mean_distance(
  points: np.ndarray, tiles: np.ndarray, weight: np.ndarray
) -> np.ndarray:
  """Weighted mean distance from each point to all tiles.

  The distance is a sum over axes, so that one table per axis suffices.
  """
  total = np.zeros(len(points))
  for axis in (0, 1):
    low = int(min(tiles[:, axis].min(), points[:, axis].min()))
    high = int(max(tiles[:, axis].max(), points[:, axis].max()))
    line = np.arange(low, high + 1)
    share = np.bincount(tiles[:, axis] - low, weights=weight, minlength=len(line))
    table = np.abs(line[:, None] - line) @ share
    total += table[points[:, axis] - low]
  return total
