"""Distances of timesteps, in blocks or pair by pair, and their ranks.

distances = distances_of(X, tile, table, t, views)
ranks = ranks_of(distances, episode, seed=0)
"""

import dataclasses
from collections.abc import Mapping
from typing import Protocol, Self

import numpy as np

from dreamerv3.base.errors import UserError

SAMPLED = 1 << 18  # pairs that ranks are taken from
PART = 1 << 10  # pairs whose activations are held at a time
LEVELS = 1 << 16  # of a value, whose ranks are looked up


@dataclasses.dataclass(frozen=True)
class Ranks:
  """Values to ranks in 0..1 among a sorted sample, ties in their middle.

  Of large samples the ranks of LEVELS steps of the value are looked up.
  """

  sample: np.ndarray
  table: np.ndarray | None

  @classmethod
  def of(cls, values: np.ndarray) -> Self:
    """The ranks among these values (N,)."""
    sample = np.sort(values)
    if len(sample) < LEVELS:
      return cls(sample, None)
    edges = np.linspace(sample[0], sample[-1], LEVELS + 1)
    edges[-1] = np.inf
    below = np.searchsorted(sample, edges, 'left')
    middle = (below[:-1] + below[1:]) / (2 * len(sample))
    return cls(sample, middle.astype(np.float32))

  @property
  def most(self) -> float:
    """The largest value."""
    return float(max(self.sample[-1], 1e-12))

  def __call__(self, values: np.ndarray) -> np.ndarray:
    """Share of the sample below each value, in 0..1; same shape."""
    flat = values.ravel()
    if self.table is None:
      low = np.searchsorted(self.sample, flat, 'left')
      high = np.searchsorted(self.sample, flat, 'right')
      found = (low + high) / (2 * len(self.sample))
    else:
      first, last = self.sample[[0, -1]]
      scale = LEVELS / max(last - first, 1e-12)
      level = np.nan_to_num((flat - first) * scale, posinf=0)
      found = self.table[level.clip(0, LEVELS - 1).astype(np.int32)]
    return found.reshape(values.shape).astype(np.float32)


class Distance(Protocol):
  """A distance of timesteps: of all pairs of two lists, or pair by pair."""

  def block(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """All of i with all of j, (I, J)."""

  def pairs(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Each of i with its j, (N,)."""


class Cosine:
  """1 - cosine of the activations; 1 to and from silence."""

  def __init__(self, X: np.ndarray):
    length = np.sqrt(np.einsum('nd,nd->n', X, X, dtype=np.float64))
    self.units = (X / np.where(length > 0, length, 1)[:, None]).astype(np.float32)

  def block(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """All of i with all of j, (I, J)."""
    apart: np.ndarray = 1 - self.units[i] @ self.units[j].T
    return apart.clip(0)

  def pairs(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Each of i with its j, (N,)."""
    apart: np.ndarray = 1 - np.einsum('nd,nd->n', self.units[i], self.units[j])
    return apart.clip(0)


class Euclidean:
  """Length of the difference of two views."""

  def __init__(self, X: np.ndarray):
    self.X, self.squares = X, np.einsum('nd,nd->n', X, X)

  def block(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """All of i with all of j, (I, J)."""
    inner = self.X[i] @ self.X[j].T
    squares: np.ndarray = self.squares[i, None] + self.squares[j] - 2 * inner
    return squares.clip(0) ** 0.5

  def pairs(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Each of i with its j, (N,)."""
    squares: np.ndarray = np.square(self.X[i] - self.X[j]).sum(1)
    return squares**0.5


class Between:
  """A table of distances, looked up by the class of each timestep."""

  def __init__(self, table: np.ndarray, label: np.ndarray):
    self.table, self.label = table, label

  def block(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """All of i with all of j, (I, J)."""
    found: np.ndarray = self.table[self.label[i]][:, self.label[j]]
    return found

  def pairs(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Each of i with its j, (N,)."""
    found: np.ndarray = self.table[self.label[i], self.label[j]]
    return found


class Apart:
  """Difference of the time since each episode began."""

  def __init__(self, t: np.ndarray):
    self.t = t.astype(np.float32)

  def block(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """All of i with all of j, (I, J)."""
    later: np.ndarray = self.t[i, None] - self.t[j]
    return abs(later)

  def pairs(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Each of i with its j, (N,)."""
    later: np.ndarray = self.t[i] - self.t[j]
    return abs(later)


def distances_of(
  X: np.ndarray,
  tile: np.ndarray,
  table: np.ndarray,
  t: np.ndarray,
  views: np.ndarray | None,
) -> dict[str, Distance]:
  """The distances that are compared, by name."""
  found: dict[str, Distance] = {'code': Cosine(X), 'space': Between(table, tile)}
  if views is not None:
    found['view'] = Euclidean(views)
  return {**found, 'time': Apart(t)}


def pair_by_pair(of: Distance, i: np.ndarray, j: np.ndarray) -> np.ndarray:
  """Distances (N,) of any number of pairs, whose activations are taken in parts."""
  parts = np.array_split(np.arange(len(i)), len(i) // PART + 1)
  return np.concatenate([of.pairs(i[x], j[x]) for x in parts])


def ranks_of(
  distances: Mapping[str, Distance], episode: np.ndarray, seed: int
) -> dict[str, Ranks]:
  """Ranks of each variable, from sampled pairs of different episodes."""
  n = len(episode)
  if n * (n - 1) // 2 <= SAMPLED:
    i, j = np.triu_indices(n, 1)
  else:
    i, j = np.random.default_rng([seed, 32]).integers(n, size=(2, SAMPLED))
  apart = episode[i] != episode[j]
  i, j = i[apart], j[apart]
  if not len(i):
    raise UserError(
      'All timesteps that are compared are of one episode; record more, or raise '
      '`max_wake_samples`.'
    )
  found = {name: pair_by_pair(of, i, j) for name, of in distances.items()}
  keep = np.isfinite(found['space'])
  return {k: Ranks.of(v[keep]) for k, v in found.items()}
