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
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl

from dreamerv3.analysis import forecast
from dreamerv3.analysis.compatible import same_world
from dreamerv3.analysis.decoding import chance, splits
from dreamerv3.analysis.decoding.folds import (
  GROUPS,
  Fold,
  all_rows,
  example_rows,
  used_rows,
)
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder, Search
from dreamerv3.analysis.decoding.linear.discriminant import fit_bytes
from dreamerv3.analysis.decoding.linear.fit import FitOptions, PositionDecoder
from dreamerv3.analysis.decoding.perception import Source
from dreamerv3.analysis.decoding.result import DecodeResult
from dreamerv3.analysis.decoding.said import Decoder, Prediction, maps_of, said_by
from dreamerv3.analysis.devices import FitDevices, devices
from dreamerv3.analysis.parallel import in_threads, return_memory
from dreamerv3.base.errors import UserError
from dreamerv3.data import layers as names
from dreamerv3.data.activations import Held, Matrix
from dreamerv3.data.grid import Grid, manhattan
from dreamerv3.data.samples import Track
from dreamerv3.data.trajectories import Trajectories

EXAMPLE_FOLDS = 5
# With fewer training episodes, choosing on some of them is mostly luck.
ENOUGH_EPISODES = 5


def decode_layers(
  data: Trajectories,
  chosen: Sequence[str],
  folds: Sequence[Fold],
  options: FitOptions,
  n_jobs: int = 1,
  refit: bool = False,
  most: int = 0,
  read: Callable[[str], Source] | None = None,
) -> Generator[tuple[DecodeResult, Decoder]]:
  """Decodes one layer after another; yields each as it is done.

  Close the generator (`contextlib.closing`) to stop the fits under way.

  Args:
    data: recording; a layer is read when its turn comes, and stays on disk where
      it is larger than a share of the job's memory.
    chosen: layers, or 'deter', 'stoch', 'combined'.
    folds: see make_folds, made with `data.track()`.
    options: see FitOptions; its device is 'cpu' or 'cuda' (all GPUs in turn).
    n_jobs: fits at a time, -1 for one per core; fewer where memory is too little
      for as many. Numbers do not depend on it.
    refit: fit the decoder that is returned on the rows of all folds; else it
      is that of the first fold, with the error that it had there.
    most: rows of a refit; 0 for all.
    read: from a name of `chosen` to its source; the recording's layers without.
  """
  return_memory()
  track = data.track()
  rows = all_rows(folds, most, options.seed) if refit else folds[0].split.train
  again = rows if refit else None

  room = forecast.budget()

  def own(name: str) -> Source:
    layer = data.activations(name)
    X = layer.hold(used_rows(folds, again), min(forecast.AHEAD, room / 4))
    return lambda _: X

  tasks = _tasks(data, chosen, track, folds, options, again, read or own)
  about = {
    'how': 'cross-validation, then fitted to all' if refit else 'holdout',
    'visits': data.grid.count(track.pos[rows]),
    'world': data.metadata.world,
    'trained_on': data.source(np.unique(track.episode[rows])),
  }
  visits = np.stack([x.visits for x in folds])  # once, for all results
  run = functools.partial(_run, FitDevices(devices(options.device)))
  with (
    threadpoolctl.threadpool_limits(1),
    contextlib.closing(in_threads(run, tasks, n_jobs, _cost, room)) as done,
  ):
    for name in chosen:
      outs = [next(done) for _ in range(2 * len(folds) + refit)]
      fitted = [x for x in outs[::2] if x is not None]
      real, null = fitted[: len(folds)], outs[1 : 2 * len(folds) : 2]
      result = _assemble(name, track, data.grid, folds, visits, real, null)
      decoder = fitted[-1 if refit else 0].decoder
      assert decoder is not None
      yield result, _carried(result, decoder, about)


def evaluate(data: Trajectories, decoder: Decoder, name: str) -> DecodeResult:
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
  track, X = data.track(), data.activations(name)
  said = said_by(decoder, X, np.arange(len(track)))
  grid, pos = data.grid, track.pos
  visits, episode = decoder.visits, track.episode
  rows = example_rows(episode, track.t)
  rows = rows if isinstance(decoder, LinearDecoder) else rows[:0]
  return DecodeResult(
    layer=name,
    units=decoder.units,
    grid=grid,
    pos=pos,
    pred=said.pred,
    errors=manhattan(said.pred, pos).astype(np.float32),
    episode=episode,
    t=track.t,
    fold=np.zeros(len(pos), np.int64),
    visited=np.isin(grid.to_class(pos), decoder.classes),
    best_constant=manhattan(chance.best_constant(visits), pos),
    prior=chance.prior_error(visits, pos),
    shuffled=np.full(len(pos), np.nan),
    timed=np.full(len(pos), np.nan),
    fits=(),
    fold_visits=visits[None],
    example_rows=rows,
    proba=maps_of(decoder, X[rows]),
    argmax=manhattan(said.argmax, pos).astype(np.float32),
    estimate=said.estimate,
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

  layer: str
  X: Matrix  # (N, D)
  grid: Grid
  keep: bool  # the decoder itself, with its weights
  episodes: int  # that are trained on
  train: np.ndarray  # (M,)
  pos: np.ndarray  # (M, 2)
  groups: np.ndarray  # (M,)
  test: np.ndarray  # rows to predict
  shown: np.ndarray  # rows to keep maps of
  options: FitOptions


def _cost(task: _Task | None) -> float:
  """Bytes of a fit, with those of its layer where that is in memory."""
  if task is None:
    return 0.0
  tiles = len(np.unique(task.grid.to_class(task.pos)))
  held = task.X.X.nbytes if isinstance(task.X, Held) else 0
  return held + fit_bytes(len(task.train), task.X.shape[1], tiles)


class _Done(NamedTuple):
  """A fit: what its decoder says of the tested rows, maps (K, W, H), and of itself.

  The decoder's weights, as large as the layer is wide, stay where they are wanted.
  """

  said: Prediction
  proba: np.ndarray
  units: int
  classes: np.ndarray
  search: Search
  decoder: Decoder | None


def _tasks(
  data: Trajectories,
  chosen: Sequence[str],
  track: Track,
  folds: Sequence[Fold],
  options: FitOptions,
  again: np.ndarray | None,
  read: Callable[[str], Source],
) -> Iterator[_Task | None]:
  """Real and shuffled for each fold; layers are read when their turn comes."""
  # The decoder of chance chooses its own ridge; descending takes time only.
  brief = dataclasses.replace(options, n_iters=0)
  none = np.zeros(0, np.int64)
  for name in chosen:
    source = read(name)
    for i, fold in enumerate(folds):
      train, test = fold.split.train, fold.split.test
      episodes = len(np.unique(track.episode[train]))
      task = functools.partial(_Task, name, source(train), data.grid)
      shown = test[fold.examples] if i < EXAMPLE_FOLDS else none
      keep = again is None and i == 0
      yield task(keep, episodes, train, fold.pos, fold.groups, test, shown, options)
      other = fold.paired_groups
      yield (
        None
        if fold.paired is None
        else task(False, episodes, train, fold.paired, other, test, none, brief)
      )
    if again is not None:
      groups = splits.inner(track.episode[again], GROUPS, options.seed)
      episodes = len(np.unique(track.episode[again]))
      task = functools.partial(_Task, name, source(again), data.grid, True, episodes)
      yield task(again, track.pos[again], groups, none, none, options)
    del task, source  # and the layer with them, before the next one is read


def _run(pool: FitDevices, task: _Task | None, stop: threading.Event) -> _Done | None:
  if task is None:
    return None
  X = task.X
  with pool.take() as device:
    options = dataclasses.replace(
      task.options, device=device, choose=task.episodes >= ENOUGH_EPISODES
    )
    estimator = PositionDecoder(options, stop.is_set)
    decoder: Decoder = estimator.fit(X, task.pos, task.groups, task.grid, task.train)
  decoder = dataclasses.replace(decoder, layer=task.layer)
  assert decoder.search is not None
  return _Done(
    said_by(decoder, X, task.test),
    maps_of(decoder, X[task.shown]),
    decoder.units,
    decoder.classes,
    decoder.search,
    decoder if task.keep else None,
  )


def _assemble(
  name: str,
  track: Track,
  grid: Grid,
  folds: Sequence[Fold],
  visits: np.ndarray,
  real: Sequence[_Done],
  null: Sequence[_Done | None],
) -> DecodeResult:
  """Puts the folds of a layer into one table of tested timesteps."""
  sizes = [len(x.split.test) for x in folds]
  starts = np.cumsum([0, *sizes])
  rows = np.concatenate([x.split.test for x in folds])
  pos = track.pos[rows]
  said = Prediction(*map(np.concatenate, zip(*(x.said for x in real), strict=True)))
  shuffled = np.full(len(rows), np.nan, np.float32)
  visited = np.zeros(len(rows), bool)
  examples = []
  for i, fold in enumerate(folds):
    part = slice(starts[i], starts[i + 1])
    visited[part] = np.isin(grid.to_class(pos[part]), real[i].classes)
    other = null[i]
    if other is not None:
      shuffled[part] = manhattan(other.said.pred, pos[part])
    if len(real[i].proba):
      examples.append(starts[i] + fold.examples)
  return DecodeResult(
    layer=name,
    units=real[0].units,
    grid=grid,
    pos=pos,
    pred=said.pred,
    errors=manhattan(said.pred, pos).astype(np.float32),
    episode=track.episode[rows],
    t=track.t[rows],
    fold=np.repeat(np.arange(len(folds)), sizes),
    visited=visited,
    best_constant=np.concatenate([x.best_constant for x in folds]),
    prior=np.concatenate([x.prior for x in folds]),
    shuffled=shuffled,
    timed=np.concatenate([x.timed for x in folds]),
    fold_visits=visits,
    fits=tuple(_about(f, x) for f, x in zip(folds, real, strict=True)),
    example_rows=np.concatenate(examples) if examples else np.zeros(0, np.int64),
    proba=np.concatenate([x.proba for x in real]),
    argmax=manhattan(said.argmax, pos).astype(np.float32),
    estimate=said.estimate,
  )


def _carried(
  result: DecodeResult, decoder: Decoder, about: Mapping[str, Any]
) -> Decoder:
  """The decoder to save, with the held-out numbers that belong to it."""
  held_out = {
    'error': float(result.errors.mean()),
    'median': float(np.median(result.errors)),
    'constant': float(result.best_constant.mean()),
    'prior': float(result.prior.mean()),
    'shuffled': float(result.shuffled.mean()),
    'timesteps': len(result.errors),
    'measured': about['how'],
    'visits': about['visits'].astype(np.int32),
  }
  return dataclasses.replace(
    decoder, held_out=held_out, world=about['world'], trained_on=about['trained_on']
  )


def _about(fold: Fold, done: _Done) -> dict[str, Any]:
  return {
    **done.search._asdict(),
    'train_rows': len(fold.split.train),
    'test_rows': len(fold.split.test),
    'classes': len(done.classes),
  }
