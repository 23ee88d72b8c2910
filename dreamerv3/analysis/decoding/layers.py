"""How well can the position be read from each layer's activations?

  folds = make_folds(data.track(), data.grid, splits, seed=0)
  for result, decoder in decode_layers(data, ['dyn/deter'], folds, options):
    print(result.layer, result.errors.mean())

For whoever compares layers, agents, or an agent with its untrained control.
Every result carries its chance levels.
"""

import contextlib
import dataclasses
import functools
import itertools
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import threadpoolctl

from dreamerv3.analysis.compatible import same_world
from dreamerv3.analysis.decoding import chance, splits
from dreamerv3.analysis.decoding.decoder import LinearDecoder
from dreamerv3.analysis.decoding.fit import (
  GROUPS,
  Fit,
  FitOptions,
  devices,
  fit_decoder,
)
from dreamerv3.analysis.decoding.result import DecodeResult
from dreamerv3.analysis.parallel import in_threads, return_memory
from dreamerv3.base.errors import UserError
from dreamerv3.data import layers as names
from dreamerv3.data.grid import Grid, manhattan
from dreamerv3.data.samples import Samples, Track
from dreamerv3.data.trajectories import Trajectories

EXAMPLES = 12  # maps of probability per episode
EXAMPLE_FOLDS = 5
# With fewer training episodes, choosing on some of them is mostly luck.
ENOUGH_EPISODES = 5


@dataclasses.dataclass(frozen=True)
class Fold:
  """What all layers share in one split: tiles, baselines, examples."""

  split: splits.Split
  groups: np.ndarray  # (M,) validation group of each training row
  tiles: np.ndarray  # (M,) class of each training row
  paired: np.ndarray | None  # (M,) class on another episode's path
  paired_groups: np.ndarray
  constant: np.ndarray  # (T,) error of the best constant
  prior: np.ndarray  # (T,) error of the occupancy prior
  visits: np.ndarray  # (W, H) training visits
  examples: np.ndarray  # (K,) places in `split.test`


def make_folds(
  track: Track, grid: Grid, parts: Sequence[splits.Split], seed: int
) -> list[Fold]:
  """The part of the work that all layers share."""
  return [_fold(track, grid, x, seed, i) for i, x in enumerate(parts)]


def decode_layers(
  data: Trajectories,
  chosen: Sequence[str],
  folds: Sequence[Fold],
  options: FitOptions,
  n_jobs: int = 1,
  refit: bool = False,
  most: int = 0,
) -> Generator[tuple[DecodeResult, LinearDecoder]]:
  """Decodes one layer after another; yields each as it is done.

  Close the generator (`contextlib.closing`) to stop the fits under way.

  Args:
    data: recording; a layer is read when its turn comes.
    chosen: layers, or 'deter', 'stoch', 'combined'.
    folds: see make_folds, made with `data.track()`.
    options: see FitOptions; its device is 'cpu' or 'cuda' (all GPUs in turn).
    n_jobs: fits at a time, -1 for one per core. Numbers do not depend on it.
    refit: fit the decoder that is returned on the rows of all folds; else it
      is that of the first fold, with the error that it had there.
    most: rows of a refit; 0 for all.
  """
  return_memory()
  track = data.track()
  rows, tiles = folds[0].split.train, folds[0].tiles
  if refit:
    rows, tiles = _all_rows(folds, most, options.seed)
  again = (rows, tiles) if refit else None
  tasks = _tasks(data, chosen, track, folds, options, again)
  about = {
    'how': 'cross-validation, then fitted to all' if refit else 'holdout',
    'visits': data.grid.count(track.pos[rows]),
    'world': data.metadata.world,
    'trained_on': data.source(np.unique(track.episode[rows])),
  }
  visits = np.stack([x.visits for x in folds])  # once, for all results
  with (
    threadpoolctl.threadpool_limits(1),
    contextlib.closing(in_threads(_run, tasks, n_jobs)) as done,
  ):
    for name in chosen:
      outs = [next(done) for _ in range(2 * len(folds) + refit)]
      fitted = [x for x in outs[::2] if x is not None]
      real, null = fitted[: len(folds)], outs[1 : 2 * len(folds) : 2]
      result = _assemble(name, track, data.grid, folds, visits, real, null)
      yield result, _carried(result, fitted[-1 if refit else 0][0], about)


def evaluate(data: Trajectories, decoder: LinearDecoder, name: str) -> DecodeResult:
  """Applies a saved decoder to a recording that it has not seen.

  Chance levels are those of the decoder's own training occupancy.

  Raises:
    UserError: the layer has another size, or the world is another one.
  """
  if decoder.grid != data.grid:
    raise UserError(
      f'The decoder of {decoder.layer} is for a world of '
      f'{decoder.grid.shape} tiles, and {data.path} was recorded in '
      f'{data.grid.shape}; decode recordings of the same world.'
    )
  mine = f'The decoder of {decoder.layer}'
  same_world(mine, decoder.world, str(data.path), data.metadata.world)
  samples = data.layer(name)
  pred = decoder.predict(samples.X)
  grid, pos = data.grid, samples.pos
  past = decoder.training_path()
  episode = samples.episode
  rows = _example_rows(episode, samples.track.t)
  return DecodeResult(
    layer=name,
    units=decoder.units,
    grid=grid,
    pos=pos,
    pred=pred,
    errors=manhattan(pred, pos).astype(np.float32),
    episode=episode,
    t=samples.track.t,
    fold=np.zeros(len(pos), np.int64),
    visited=np.isin(grid.to_class(pos), decoder.classes),
    constant=manhattan(chance.best_constant(past, grid), pos),
    prior=chance.prior_error(past, pos, grid),
    shuffled=np.full(len(pos), np.nan),
    fits=(),
    fold_visits=grid.count(past)[None],
    example_rows=rows,
    proba=decoder.predict_proba(samples.X[rows]),
  )


def unique_layers(
  data: Trajectories, chosen: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
  """Layers to decode, and {copy: original} of those that need no work."""
  sizes = {k: v for k, v in data.layers().items() if k in chosen}
  copies = {
    a: b
    for a, b in names.same_bytes(sizes)
    if a in sizes and all(np.array_equal(x.layer(a), x.layer(b)) for x in data.episodes)
  }
  return [x for x in sizes if x not in copies], copies


@dataclasses.dataclass(frozen=True)
class _Task:
  """One fit, and the rows to apply it to."""

  samples: Samples
  grid: Grid
  train: np.ndarray  # (M,)
  tiles: np.ndarray  # (M,)
  groups: np.ndarray  # (M,)
  test: np.ndarray  # rows to predict
  shown: np.ndarray  # rows to keep maps of
  options: FitOptions


def _tasks(
  data: Trajectories,
  chosen: Sequence[str],
  track: Track,
  folds: Sequence[Fold],
  options: FitOptions,
  again: tuple[np.ndarray, np.ndarray] | None,
) -> Iterator[_Task | None]:
  """Real and shuffled for each fold; layers are read when their turn comes."""
  where = itertools.cycle(devices(options.device))
  # The decoder of chance chooses its own ridge; descending takes time only.
  brief = dataclasses.replace(options, n_iters=0)
  none = np.zeros(0, np.int64)
  for name in chosen:
    samples = data.layer(name, track)
    for i, fold in enumerate(folds):
      split = fold.split
      shown = split.test[fold.examples] if i < EXAMPLE_FOLDS else none
      here = dataclasses.replace(options, device=next(where))
      yield _Task(
        samples,
        data.grid,
        split.train,
        fold.tiles,
        fold.groups,
        split.test,
        shown,
        here,
      )
      here = dataclasses.replace(brief, device=next(where))
      yield (
        None
        if fold.paired is None
        else _Task(
          samples,
          data.grid,
          split.train,
          fold.paired,
          fold.paired_groups,
          split.test,
          none,
          here,
        )
      )
    if again is not None:
      rows, tiles = again
      groups = splits.inner(track.episode[rows], GROUPS, options.seed)
      here = dataclasses.replace(options, device=next(where))
      yield _Task(samples, data.grid, rows, tiles, groups, none, none, here)
    del samples  # before the next layer is read


def _run(
  task: _Task | None, stop: threading.Event
) -> tuple[Fit, np.ndarray, np.ndarray] | None:
  """The fit, predictions for the tested rows, and maps of the shown ones."""
  if task is None:
    return None
  X, grid = task.samples.X, task.grid
  far = functools.partial(_distance, grid)
  count = len(np.unique(task.samples.episode[task.train]))
  options = dataclasses.replace(task.options, choose=count >= ENOUGH_EPISODES)
  fit = fit_decoder(X, task.train, task.tiles, task.groups, far, options, stop.is_set)
  best = chance.best_constant(grid.to_pos(task.tiles), grid)
  fit = fit.preferring(int(grid.to_class(best)))
  layer = task.samples.layer
  decoder = LinearDecoder(fit.weights, fit.classes, grid, layer)
  proba = decoder.predict_proba(X[task.shown])
  return fit, decoder.predict(X, task.test), proba


def _distance(grid: Grid, a: np.ndarray, b: np.ndarray) -> np.ndarray:
  return manhattan(grid.to_pos(a), grid.to_pos(b))


def _fold(
  track: Track, grid: Grid, split: splits.Split, seed: int, number: int
) -> Fold:
  train, test = track.rows(split.train), track.rows(split.test)
  rng = np.random.default_rng([seed, number])
  path = chance.other_path(train.pos, train.episode, train.t, rng)
  groups = splits.inner(train.episode, GROUPS, seed, split.leaks)
  tile = chance.best_constant(train.pos, grid)
  return Fold(
    split=split,
    groups=groups,
    tiles=grid.to_class(train.pos),
    paired=None if path is None else grid.to_class(path),
    # Another path's frames are neighbours within the episode all the same.
    paired_groups=splits.inner(train.episode, GROUPS, seed),
    constant=manhattan(tile, test.pos).astype(np.float32),
    prior=chance.prior_error(train.pos, test.pos, grid),
    visits=grid.count(train.pos).astype(np.int32),
    examples=_example_rows(test.episode, test.t),
  )


def _example_rows(episode: np.ndarray, t: np.ndarray) -> np.ndarray:
  """Evenly spaced rows of the first episode that has enough of them."""
  ids, counts = np.unique(episode, return_counts=True)
  long = ids[counts >= EXAMPLES]
  rows = np.flatnonzero(episode == (long[0] if len(long) else ids[0]))
  rows = rows[np.argsort(t[rows], kind='stable')]
  count = min(EXAMPLES, len(rows))
  return rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]


def _all_rows(
  folds: Sequence[Fold], most: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  """Rows that are trained on in some fold, at most `most`, and their tiles."""
  rows = np.concatenate([x.split.train for x in folds])
  tiles = np.concatenate([x.tiles for x in folds])
  rows, first = np.unique(rows, return_index=True)
  keep = splits.draw(np.arange(len(rows)), most, seed)
  return rows[keep], tiles[first][keep]


def _assemble(
  name: str,
  track: Track,
  grid: Grid,
  folds: Sequence[Fold],
  visits: np.ndarray,
  real: Sequence[tuple[Fit, np.ndarray, np.ndarray]],
  null: Sequence[tuple[Fit, np.ndarray, np.ndarray] | None],
) -> DecodeResult:
  """Puts the folds of a layer into one table of tested timesteps."""
  sizes = [len(x.split.test) for x in folds]
  starts = np.cumsum([0, *sizes])
  rows = np.concatenate([x.split.test for x in folds])
  pos = track.pos[rows]
  pred = np.concatenate([x[1] for x in real])
  shuffled = np.full(len(rows), np.nan, np.float32)
  visited = np.zeros(len(rows), bool)
  examples = []
  for i, fold in enumerate(folds):
    part = slice(starts[i], starts[i + 1])
    visited[part] = np.isin(grid.to_class(pos[part]), fold.tiles)
    other = null[i]
    if other is not None:
      shuffled[part] = manhattan(other[1], pos[part])
    if len(real[i][2]):
      examples.append(starts[i] + fold.examples)
  return DecodeResult(
    layer=name,
    units=real[0][0].weights.shape[0],
    grid=grid,
    pos=pos,
    pred=pred,
    errors=manhattan(pred, pos).astype(np.float32),
    episode=track.episode[rows],
    t=track.t[rows],
    fold=np.repeat(np.arange(len(folds)), sizes),
    visited=visited,
    constant=np.concatenate([x.constant for x in folds]),
    prior=np.concatenate([x.prior for x in folds]),
    shuffled=shuffled,
    fold_visits=visits,
    fits=tuple(_about(f, x[0]) for f, x in zip(folds, real, strict=True)),
    example_rows=np.concatenate(examples),
    proba=np.concatenate([x[2] for x in real]),
  )


def _carried(result: DecodeResult, fit: Fit, about: Mapping[str, Any]) -> LinearDecoder:
  """The decoder to save, with the held-out numbers that belong to it."""
  held_out = {
    'error': float(result.errors.mean()),
    'median': float(np.median(result.errors)),
    'constant': float(result.constant.mean()),
    'prior': float(result.prior.mean()),
    'shuffled': float(result.shuffled.mean()),
    'timesteps': len(result.errors),
    'measured': about['how'],
    'visits': about['visits'].astype(np.int32),
  }
  return LinearDecoder(
    fit.weights,
    fit.classes,
    result.grid,
    result.layer,
    held_out,
    about['world'],
    about['trained_on'],
  )


def _about(fold: Fold, fit: Fit) -> dict[str, Any]:
  return {
    'penalty': fit.penalty,
    'temperature': fit.temperature,
    'iterations': fit.iterations,
    'curve': fit.curve,
    'train_rows': len(fold.split.train),
    'test_rows': len(fold.split.test),
    'classes': len(fit.classes),
  }
