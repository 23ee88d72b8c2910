"""Which timesteps train and which test: whole episodes, never neighbours.

  for split in folds(samples.episode, 10, seed=0):
    X_train, X_test = samples.X[split.train], samples.X[split.test]

Frames of one episode resemble each other, so that a split of timesteps tests
memory for the frame before (docs/decoding.md shows it on pure noise).
"""

import dataclasses

import numpy as np

from dreamerv3.base.errors import UserError


@dataclasses.dataclass(frozen=True)
class Split:
  """Rows to train on and rows to test on.

  Attributes:
    train, test: row indices, sorted, without a row in common.
    episode: (N,) episode of every row, train and test or neither.
    leaks: allows an episode on both sides (the older protocol).
  """

  train: np.ndarray
  test: np.ndarray
  episode: np.ndarray
  leaks: bool = False

  def __post_init__(self) -> None:
    if not len(self.train) or not len(self.test):
      raise UserError(
        f'A split has {len(self.train)} rows to train on and '
        f'{len(self.test)} to test on; record more episodes.'
      )
    if np.intersect1d(self.train, self.test).size:
      raise ValueError('A split has the same row on both sides.')
    both = np.intersect1d(self.episode[self.train], self.episode[self.test])
    if both.size and not self.leaks:
      raise ValueError(f'Episodes {both.tolist()} are on both sides.')


def holdout(episode: np.ndarray, fraction: float, seed: int) -> list[Split]:
  """One split with round(fraction * episodes), at least 1, held out."""
  ids = _episodes(episode)
  count = min(max(1, round(fraction * len(ids))), len(ids) - 1)
  chosen = np.random.default_rng(seed).permutation(ids)[:count]
  test = np.isin(episode, chosen)
  return [Split(np.flatnonzero(~test), np.flatnonzero(test), episode)]


def folds(episode: np.ndarray, count: int, seed: int) -> list[Split]:
  """Every episode is tested once, in `count` groups of whole episodes.

  No more groups than episodes: then each is left out alone.
  """
  ids = _episodes(episode)
  groups = np.array_split(ids, len(ids))
  if count < len(ids):
    groups = np.array_split(_shuffled(ids, seed), count)
  tests = [np.isin(episode, x) for x in groups]
  return [given(~x, episode) for x in tests]


def leaking_folds(episode: np.ndarray, count: int, seed: int) -> list[Split]:
  """The older protocol: folds of shuffled timesteps. They leak."""
  n = len(episode)
  found = []
  for part in np.array_split(_shuffled(np.arange(n), seed), min(count, n)):
    test = np.isin(np.arange(n), part)
    found.append(
      Split(np.flatnonzero(~test), np.flatnonzero(test), episode, leaks=True)
    )
  return found


def leaking_holdout(episode: np.ndarray, fraction: float, seed: int) -> list[Split]:
  """The older protocol with a share of shuffled timesteps held out."""
  order = np.random.default_rng(seed).permutation(len(episode))
  count = min(max(1, round(fraction * len(order))), len(order) - 1)
  test, train = np.sort(order[:count]), np.sort(order[count:])
  return [Split(train, test, episode, leaks=True)]


def given(train: np.ndarray, episode: np.ndarray) -> Split:
  """A split along a mask (N,) of the rows to train on."""
  return Split(np.flatnonzero(train), np.flatnonzero(~train), episode)


def thin(split: Split, most: int, seed: int) -> Split:
  """At most `most` training rows, drawn evenly; the test stays whole."""
  rows = draw(split.train, most, seed)
  return split if rows is split.train else dataclasses.replace(split, train=rows)


def draw(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
  """At most `most` of some rows, drawn evenly, in their order; 0 for all."""
  if not most or len(rows) <= most:
    return rows
  rng = np.random.default_rng(seed)
  return np.sort(rng.choice(rows, most, replace=False))


def inner(
  episode: np.ndarray, count: int, seed: int, leaks: bool = False
) -> np.ndarray:
  """Validation group (N,) of each training row, whole episodes together.

  A single episode is cut into `count` stretches of time, which is the best
  one can do; all -1 when there are fewer rows than groups.
  """
  if len(episode) < count:
    return np.full(len(episode), -1)
  ids = np.unique(episode)
  rng = np.random.default_rng(seed)
  if leaks:
    return rng.permutation(len(episode)) % count
  if len(ids) == 1:
    return np.arange(len(episode)) * count // len(episode)
  group = np.empty(len(ids), np.int64)
  group[rng.permutation(len(ids))] = np.arange(len(ids)) % count
  return group[np.searchsorted(ids, episode)]


def _shuffled(values: np.ndarray, seed: int) -> np.ndarray:
  """In the order of scikit-learn's folds, without 100 MiB of imports."""
  return np.random.RandomState(seed).permutation(values)


def _episodes(episode: np.ndarray) -> np.ndarray:
  ids = np.unique(episode)
  if len(ids) < 2:
    raise UserError(
      'There is 1 episode; expected at least 2 to hold one out. Record more, '
      'or give `test_data`.'
    )
  return ids
