"""Held-out predictions of a position decoder, and what they amount to.

row = summary(result, n_boot=1000, seed=0)
print(row['mean'], row['low'], row['high'], row['best_constant'])
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from dreamerv3.analysis import bootstrap
from dreamerv3.analysis.decoding.chance import LEVELS
from dreamerv3.analysis.decoding.occupancy import balanced_error
from dreamerv3.data import convert
from dreamerv3.data.grid import Grid


@dataclasses.dataclass(frozen=True)
class DecodeResult:
  """Held-out predictions of one layer, in rows of tested timesteps.

  Attributes:
    layer, units: name and width.
    grid: the world.
    pos, pred: (N, 2) true and decoded position [tiles].
    errors: (N,) |dx| + |dy| between them [tiles].
    episode, t, fold: (N,) where each row comes from.
    visited: (N,) whether training visited the true tile.
    best_constant, prior, shuffled, timed: (N,) errors at chance: best constant,
      training occupancy, decoder fitted to another episode's path (NaN without one),
      guess by the time in the episode (NaN of saved decoders and of older results).
    fold_visits: (F, W, H) training visits of each fold.
    fits: one dict per fold: penalty, temperature, iterations, curve, rows.
    example_rows: (K,) rows that `proba` (K, W, H) holds.
    argmax: (N,) error of the most probable tile, which results of before have
      as their `errors`; NaN of ridge regression.
    estimate: (N, 2) real-valued position of ridge regression [tiles]; else NaN.
  """

  layer: str
  units: int
  grid: Grid
  pos: np.ndarray
  pred: np.ndarray
  errors: np.ndarray
  episode: np.ndarray
  t: np.ndarray
  fold: np.ndarray
  visited: np.ndarray
  best_constant: np.ndarray
  prior: np.ndarray
  shuffled: np.ndarray
  timed: np.ndarray
  fold_visits: np.ndarray
  fits: tuple[Mapping[str, Any], ...]
  example_rows: np.ndarray
  proba: np.ndarray
  argmax: np.ndarray
  estimate: np.ndarray

  def __post_init__(self) -> None:
    """Refuses what a damaged file may hold: each array has its shape and bounds."""
    n, size = len(self.pos), self.grid.shape
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_PER_ROW, (n,))
    shapes |= dict.fromkeys(_PAIRS, (n, 2))
    shapes['fold_visits'] = (max(1, len(self.fold_visits)), *size)
    shapes['proba'] = (len(self.example_rows), *size)
    for name, shape in shapes.items():
      found = getattr(self, name)
      if not isinstance(found, np.ndarray) or found.dtype.kind not in 'biuf':
        raise ValueError(f'{name} holds no numbers.')
      if found.shape != shape:
        raise ValueError(f'{name} is {found.shape}; expected {shape}.')
    self._within('pos', size)
    self._within('pred', size)
    self._within('fold', len(self.fold_visits))
    self._within('example_rows', n)

  def _within(self, name: str, high: int | tuple[int, int]) -> None:
    found = np.asarray(getattr(self, name))
    if found.size and (found.dtype.kind not in 'iu' or (found < 0).any()):
      raise ValueError(f'{name} holds no places.')
    if found.size and (found >= high).any():
      raise ValueError(f'{name} reaches {found.max()}; expected less than {high}.')

  def __repr__(self) -> str:
    return (
      f'DecodeResult({self.layer}, {self.units} units: {len(self.pos)} timesteps, '
      f'{self.errors.mean():.2f} tiles)'
    )

  @property
  def visits(self) -> np.ndarray:
    """(W, H) training visits, the mean over folds."""
    mean: np.ndarray = self.fold_visits.mean(0)
    return mean

  @property
  def own_visits(self) -> np.ndarray:
    """(N,) training visits to the true tile of each row, in its own fold.

    A tile that one episode alone visited was never trained on when it was
    tested, though it was in all other folds.
    """
    own: np.ndarray = self.fold_visits[self.fold, self.pos[:, 0], self.pos[:, 1]]
    return own

  def r2(self) -> float:
    """Held-out share of the variance of (x, y) that `estimate` explains.

    1 - sum |pos - estimate|^2 / sum |pos - mean of the fold's training|^2
    """
    weight = self.fold_visits.reshape(len(self.fold_visits), -1)
    tiles = self.grid.to_pos(np.arange(self.grid.size))
    means = weight @ tiles / weight.sum(1, keepdims=True)
    rest = np.square(self.pos - self.estimate).sum()
    whole = np.square(self.pos - means[self.fold]).sum()
    return float(1 - rest / whole) if whole else float('nan')

  def to_pandas(self) -> Any:
    """`DataFrame` with a row per tested timestep, found by (episode, t)."""
    columns = {'x': self.pos[:, 0], 'y': self.pos[:, 1]}
    columns |= {'decoded_x': self.pred[:, 0], 'decoded_y': self.pred[:, 1]}
    columns |= {'error': self.errors, 'fold': self.fold}
    columns |= {k: getattr(self, k) for k in ('best_constant', 'prior', 'shuffled')}
    return convert.to_pandas(columns, {'episode': self.episode, 't': self.t})

  def to_xarray(self) -> Any:
    """`DataArray` (row, x, y) of the probability of each tile in the examples."""
    w, h = self.grid.shape
    rows = self.example_rows
    at = {'episode': self.episode[rows], 't': self.t[rows]}
    return convert.to_xarray(
      self.proba,
      ('row', 'x', 'y'),
      {
        'row': rows,
        'x': np.arange(w),
        'y': np.arange(h),
        **{k: ('row', v) for k, v in at.items()},
      },
      self.layer,
      {'units': 'probability'},
    )

  def to_dict(self) -> dict[str, Any]:
    """Plain arrays and containers, as they are saved."""
    values = {x.name: getattr(self, x.name) for x in dataclasses.fields(self)}
    # On disk the level keeps the name that files of before have.
    values['constant'] = values.pop('best_constant')
    return values | {'grid': self.grid.shape, 'fits': list(self.fits)}

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> Self:
    """Reads `to_dict`."""
    changed = {'grid': Grid(*values['grid']), 'fits': tuple(values['fits'])}
    # Results of before named the most probable tile.
    nan = np.full((len(values['pos']), 2), np.nan, np.float32)
    older = {'argmax': values['errors'], 'estimate': nan, 'timed': nan[:, 0]}
    named = {k: v for k, v in values.items() if k != 'constant'}
    changed['best_constant'] = values['constant']
    return cls(**{**older, **named, **changed})


_PAIRS = ('pos', 'pred', 'estimate')
_PER_ROW = (
  'errors',
  'episode',
  't',
  'fold',
  'visited',
  'best_constant',
  'prior',
  'shuffled',
  'timed',
  'argmax',
)


def summary(result: DecodeResult, n_boot: int = 1000, seed: int = 0) -> dict[str, Any]:
  """One row of the table: errors [tiles], accuracy, interval, chance levels.

  The 95 % interval of the mean is a bootstrap over episodes, NaN for few.
  """
  errors = result.errors
  low, high = bootstrap.interval(errors, result.episode, n_boot, seed)
  return {
    'layer': result.layer,
    'units': result.units,
    'mean': float(errors.mean()),
    'low': low,
    'high': high,
    'argmax': float(result.argmax.mean()),
    'r2': result.r2(),
    'median': float(np.median(errors)),
    'accuracy': float((errors == 0).mean()),
    'balanced': balanced_error(result.pos, errors, result.grid),
    'best_constant': float(result.best_constant.mean()),
    'prior': float(result.prior.mean()),
    'shuffled': float(result.shuffled.mean()),
    'timed': float(result.timed.mean()),
    'unvisited': float(1 - result.visited.mean()),
    'timesteps': len(errors),
    'episodes': len(np.unique(result.episode)),
  }


def counts(row: Mapping[str, Any]) -> str:
  """How much a row of the table was trained and tested on, as a sentence."""
  tested = f'tested on {_amount(row, "")}.'
  if not float(row.get('train_episodes', np.nan)) > 0:
    return tested.capitalize()
  return f'Trained on {_amount(row, "train_")}; {tested}'


def _amount(row: Mapping[str, Any], prefix: str) -> str:
  episodes, steps = (int(float(row[prefix + k])) for k in ('episodes', 'timesteps'))
  return f'{episodes} {"episode" if episodes == 1 else "episodes"}, {steps} timesteps'


COLUMNS = {
  'mean': 'mean',
  'low': 'low',
  'high': 'high',
  'argmax': 'arg max',
  'r2': 'R2',
  'median': 'median',
  'balanced': 'by tile',
  'accuracy': 'exact',
  **{k: x.column for k, x in LEVELS.items()},
  'control': 'untrained',
  'control_constant': 'its const.',
}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
  """Summaries as text; columns that are unknown for all rows are left out."""
  wide = max(len('layer'), *(len(x['layer']) for x in rows))
  shown = [k for k in COLUMNS if any(x.get(k, np.nan) == x.get(k) for x in rows)]
  what = '95 % interval over episodes' if 'low' in shown else bootstrap.NONE
  lines = [
    f'Held-out error |dx| + |dy| [tiles], {what}; chance: constant, prior, shuffled.',
    counts(rows[0]),
    f'{"layer":<{wide}}{"units":>7}' + ''.join(f'{COLUMNS[k]:>11}' for k in shown),
  ]
  for row in rows:
    cells = ''.join(
      f'{row[k]:>11.2f}' if row[k] == row[k] else f'{"-":>11}' for k in shown
    )
    lines.append(f'{row["layer"]:<{wide}}{row["units"]:>7}{cells}')
  return '\n'.join(lines)
