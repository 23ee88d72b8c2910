"""How sure is the share of a class, and does it differ from a control's?

  rows = class_shares(data, Options(), ['dyn/deter'], Thresholds(), control)

A share depends on how much was recorded and where. So the recording is
resampled, not its units: groups of episodes are left out in turn and all units
classed again; and two recordings are compared on equally many samples of every
tile.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import scipy.special

from dreamerv3.analysis import forecast
from dreamerv3.analysis.explain.covariates import Steps
from dreamerv3.analysis.parallel import Workers
from dreamerv3.analysis.tuning import cell_types, table
from dreamerv3.analysis.tuning.cell_types import Thresholds
from dreamerv3.analysis.tuning.layers import (
  SETUP_TIME,
  Options,
  prepare,
  unit_seconds,
)
from dreamerv3.analysis.tuning.maps.binned_path import often_visited
from dreamerv3.analysis.tuning.table import TuningTable
from dreamerv3.data.grid import Grid
from dreamerv3.data.metadata import Metadata
from dreamerv3.data.samples import Samples, Track
from dreamerv3.data.trajectories import Trajectories

GROUPS = 10  # of episodes, left out in turn
FEWEST = 8  # episodes for an interval
UNITS = 96  # of a layer that are classed again
PAIRINGS = 40  # null pairings of each resampled recording


@dataclasses.dataclass(frozen=True)
class Share:
  """Share of units in each of C classes, with its standard error over episodes.

  Attributes:
    value: (C,) in the order of `cell_types.NAMES`.
    error: (C,) by the jackknife over groups of episodes.
  """

  value: np.ndarray
  error: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Side:
  """A recording that is resampled.

  Attributes:
    layers: {name: units that are classed}, side by side in `X`.
    X: (N, D) their activations at all timesteps, with track and steps.
  """

  metadata: Metadata
  track: Track
  steps: Steps
  layers: Mapping[str, int]
  X: np.ndarray
  options: Options
  limits: Thresholds


def class_shares(
  data: Trajectories,
  options: Options,
  names: Sequence[str],
  limits: Thresholds,
  control: Trajectories | None = None,
) -> list[dict[str, str | float]]:
  """One row per layer and class: shares with 95 % intervals over episodes.

  With a control both are measured at matched occupancy, and the difference of
  the shares has an interval of both sides. Up to 96 units of a layer are
  classed; the same ones on both sides. Empty below 8 episodes, and for recordings
  that have no tile in common.
  """
  sides = [data] if control is None else [data, control]
  if min(len(x) for x in sides) < FEWEST or not options.n_shuffles:
    return []
  tracks = [x.track() for x in sides]
  keep = [often_visited(x, data.grid, options.min_visits) for x in tracks]
  if control is not None:
    a, b = tracks
    keep = [*matched(a, b, data.grid, options.seed, options.min_visits)]
  if not all(x.any() for x in keep):
    return []
  sizes = [min(len(x) for x in sides), GROUPS]
  rows: list[dict[str, str | float]] = []
  for some in _parts(names, max(len(x) for x in tracks)):
    replicates = [
      _replicates(_side(x, some, options, limits), k, options.n_jobs)
      for x, k in zip(sides, keep, strict=True)
    ]
    for i, name in enumerate(some):
      found = [Share(x[0, i], jackknife(x[1:, i])) for x in replicates]
      rows += _rows(name, found, sizes)
  return rows


def seconds(
  data: Trajectories,
  options: Options,
  names: Sequence[str],
  control: Trajectories | None = None,
) -> float:
  """CPU seconds of `class_shares`, by the laws of `layers`."""
  if not options.n_shuffles:
    return 0.0
  track, sizes = data.track(), data.layers()
  rows, tiles = len(track), int((data.grid.count(track.pos) > 0).sum())
  units = sum(min(UNITS, sizes[x]) for x in names or sizes)
  once = SETUP_TIME * tiles + units * unit_seconds(rows, tiles, PAIRINGS)
  return (1 if control is None else 2) * (GROUPS + 1) * once


def matched(
  a: Track, b: Track, grid: Grid, seed: int = 0, min_visits: int = 1
) -> tuple[np.ndarray, np.ndarray]:
  """Rows of two tracks with equally many samples on every tile, as masks.

  The samples that stay on a tile are drawn at random; of equal tracks all stay. None
  do where they are fewer than `min_visits`.
  """
  counts = [grid.count(x.pos) for x in (a, b)]
  least = np.minimum(*counts).ravel()
  least = np.where(least < min_visits, 0, least)
  masks = []
  for track in (a, b):
    rng = np.random.default_rng([seed, 50])
    tile = grid.to_class(track.pos)
    order = np.lexsort((rng.random(len(tile)), tile))
    first = np.searchsorted(tile[order], tile[order])
    mask = np.zeros(len(tile), bool)
    mask[order] = np.arange(len(tile)) - first < least[tile[order]]
    masks.append(mask)
  return masks[0], masks[1]


def cohens_h(a: float, b: float) -> float:
  """Effect size of a difference of shares, 2 asin sqrt(a) - 2 asin sqrt(b).

  0.2 is small, 0.8 large (Cohen 1988, ISBN 978-0-8058-0283-2); -pi to pi.
  """
  return float(2 * np.arcsin(np.sqrt(a)) - 2 * np.arcsin(np.sqrt(b)))


def with_effects(
  rows: Sequence[Mapping[str, str | float]],
  tables: Mapping[str, TuningTable],
  control: Mapping[str, TuningTable],
  limits: Thresholds,
) -> list[dict[str, str | float]]:
  """The rows, and how strong the code of each class is: `effect`, `control_effect`.

  The median over its units of the variance that their best model explains on held-out
  episodes (`EV_best`, else `EVs`): unlike the share it does not grow with the amount of
  data. NaN where a class has no unit.
  """
  sides = {'effect': tables, 'control_effect': control}
  made = []
  for row in rows:
    found = dict(row)
    for column, of in sides.items():
      if of:
        found[column] = effect(of[str(row['layer'])], str(row['class']), limits)
    made.append(found)
  return made


def effect(of: TuningTable, label: str, limits: Thresholds) -> float:
  """How strong the code of a class is: the median that `with_effects` tells of."""
  ids = cell_types.by_test(of.metrics, of.q, limits, of.p)
  score = of.metrics.get('EV_best', of.metrics['EVs'])
  known = score[(ids == cell_types.NAMES.index(label)) & np.isfinite(score)]
  return float(np.median(known)) if len(known) else float('nan')


def jackknife(replicates: np.ndarray) -> np.ndarray:
  """Standard error of a statistic from its values without each group (G, C).

    sqrt((G - 1) / G sum (x_g - mean)^2)

  Efron & Stein 1981, doi:10.1214/aos/1176345462.
  """
  groups = len(replicates)
  error: np.ndarray = np.sqrt(replicates.var(0) * (groups - 1))
  return error


def _parts(names: Sequence[str], rows: int) -> Iterator[Sequence[str]]:
  """As many layers at a time as may be read ahead."""
  most = min(forecast.AHEAD, forecast.budget() / 4)
  count = max(1, int(most // (4 * rows * UNITS)))
  for i in range(0, len(names), count):
    yield names[i : i + count]


def _side(
  data: Trajectories, names: Sequence[str], options: Options, limits: Thresholds
) -> _Side:
  """Reads up to `UNITS` units of each layer."""
  track, sizes = data.track(), data.layers()
  layers = {x: min(UNITS, sizes[x]) for x in names}
  X, end = np.empty((len(track), sum(layers.values())), np.float32), 0
  for name, count in layers.items():
    rng = np.random.default_rng([options.seed, 60])
    units = np.sort(rng.choice(sizes[name], count, replace=False))
    X[:, end : end + count] = data.activations(name).read(units=units)
    end += count
  return _Side(
    data.metadata,
    track,
    Steps.gather(data),
    layers,
    X,
    dataclasses.replace(options, n_shuffles=min(options.n_shuffles, PAIRINGS)),
    limits,
  )


def _replicates(side: _Side, keep: np.ndarray, n_jobs: int) -> np.ndarray:
  """Shares (1 + G, L, C) of some rows (N,) bool, and without each group of episodes."""
  group = np.unique(side.track.episode, return_inverse=True)[1] % GROUPS
  chosen = [keep, *(keep & (group != g) for g in np.unique(group))]
  with Workers(_shares, side, n_jobs, ('X',)) as workers:
    return np.array([*workers.map(chosen)])


def _shares(side: _Side, rows: np.ndarray) -> np.ndarray:
  """Share of units in each class, of each layer in some rows (N,) bool, (L, C)."""
  track = side.track.rows(rows)
  setup = prepare(side.metadata, track, side.steps.rows(rows), side.options, brief=True)
  found, end = [], 0
  for name, count in side.layers.items():
    X = side.X[rows, end : end + count]
    end += count
    measured = table.measure(Samples(name, X, track), setup)
    ids = cell_types.by_test(measured.metrics, measured.q, side.limits, measured.p)
    found.append(cell_types.fractions(ids))
  return np.array(found)


def _rows(
  name: str, found: Sequence[Share], sizes: Sequence[int]
) -> list[dict[str, str | float]]:
  """Rows of one layer; classes that occur on neither side are left out."""
  reach = float(scipy.special.stdtrit(min(sizes) - 1, 0.975))
  rows: list[dict[str, str | float]] = []
  for k, label in enumerate(cell_types.NAMES):
    if not any(x.value[k] or x.error[k] for x in found):
      continue
    row: dict[str, str | float] = {'layer': name, 'class': label}
    for prefix, x in zip(('', 'control_'), found, strict=False):
      share, half = float(x.value[k]), reach * float(x.error[k])
      row[f'{prefix}share'] = share
      row[f'{prefix}low'] = max(share - half, 0.0)
      row[f'{prefix}high'] = min(share + half, 1.0)
    if len(found) == 2:
      a, b = found
      gap = float(a.value[k] - b.value[k])
      half = reach * float(np.hypot(a.error[k], b.error[k]))
      row |= {'difference': gap, 'difference_low': max(gap - half, -1.0)}
      row['difference_high'] = min(gap + half, 1.0)
      row['cohens_h'] = cohens_h(float(a.value[k]), float(b.value[k]))
    rows.append(row)
  return rows
