"""One split of a recording, with everything that its layers share.

  folds = make_folds(data.track(), data.grid, parts, seed=0)
  folds[0].best_constant.mean()   # error [tiles] of the best constant

For `layers`, which decodes many layers along the same folds.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dreamerv3.analysis.decoding import chance, splits
from dreamerv3.data.grid import Grid, manhattan
from dreamerv3.data.samples import Track

GROUPS = 3  # validation groups inside the training episodes
EXAMPLES = 12  # maps of probability per episode


@dataclasses.dataclass(frozen=True)
class Fold:
  """What all layers share in one split: positions, baselines, examples.

  Attributes:
    split: M rows to train on, T rows to test on.
    groups: (M,) validation group of each training row.
    pos: (M, 2) true tile of each training row.
    paired: (M, 2) tile on another episode's path; None with one episode.
    paired_groups: (M,) validation groups of the decoder of those.
    best_constant, prior, timed: (T,) errors [tiles] of the best constant, of the
      occupancy prior, and of the best guess by the time in the episode.
    visits: (W, H) training visits.
    examples: (K,) places in `split.test` whose maps are kept.
  """

  split: splits.Split
  groups: np.ndarray
  pos: np.ndarray
  paired: np.ndarray | None
  paired_groups: np.ndarray
  best_constant: np.ndarray
  prior: np.ndarray
  timed: np.ndarray
  visits: np.ndarray
  examples: np.ndarray


def make_folds(
  track: Track, grid: Grid, parts: Sequence[splits.Split], seed: int
) -> list[Fold]:
  """The part of the work that all layers share."""
  return [_fold(track, grid, x, seed, i) for i, x in enumerate(parts)]


def all_rows(folds: Sequence[Fold], most: int, seed: int) -> np.ndarray:
  """Rows that are trained on in some fold, at most `most`; 0 for all."""
  rows = np.unique(np.concatenate([x.split.train for x in folds]))
  kept: np.ndarray = rows[splits.draw(np.arange(len(rows)), most, seed)]
  return kept


def used_rows(folds: Sequence[Fold], again: np.ndarray | None) -> np.ndarray:
  """Rows that are trained on or tested in some fold, or in the fit to all."""
  parts = [x for f in folds for x in (f.split.train, f.split.test)]
  return np.unique(np.concatenate([*parts, *([] if again is None else [again])]))


def example_rows(episode: np.ndarray, t: np.ndarray) -> np.ndarray:
  """Evenly spaced rows of the first episode that has enough of them."""
  ids, counts = np.unique(episode, return_counts=True)
  long = ids[counts >= EXAMPLES]
  rows = np.flatnonzero(episode == (long[0] if len(long) else ids[0]))
  rows = rows[np.argsort(t[rows], kind='stable')]
  count = min(EXAMPLES, len(rows))
  shown: np.ndarray = rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]
  return shown


def _fold(
  track: Track, grid: Grid, split: splits.Split, seed: int, number: int
) -> Fold:
  train, test = track.rows(split.train), track.rows(split.test)
  rng = np.random.default_rng([seed, number])
  visits = grid.count(train.pos)
  return Fold(
    split=split,
    groups=splits.inner(train.episode, GROUPS, seed, split.leaks),
    pos=train.pos,
    paired=chance.other_path(train.pos, train.episode, train.t, rng),
    # Another path's frames are neighbours within the episode all the same.
    paired_groups=splits.inner(train.episode, GROUPS, seed),
    best_constant=manhattan(chance.best_constant(visits), test.pos).astype(np.float32),
    prior=chance.prior_error(visits, test.pos),
    timed=manhattan(chance.by_time(train.pos, train.t, test.t), test.pos),
    visits=visits.astype(np.int32),
    examples=example_rows(test.episode, test.t),
  )
