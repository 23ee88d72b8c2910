"""Sweeps: conditions as points of two settings, or of three weights of a mixture.

numbers = add(numbers, runs, ('env.crafter.cow_spawn_prob', 'run.train_ratio'))
sweep = Sweep.of(numbers, ('env.crafter.cow_spawn_prob', 'run.train_ratio'))
sweep.points['more cows']   # (0.02, 512.0)
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dreamerv3.analysis.conditions.runs import Run
from dreamerv3.base.errors import UserError, short

WHOLES = (1.0, 100.0)  # what weights of a mixture sum to


@dataclasses.dataclass(frozen=True)
class Sweep:
  """Where each condition lies.

  Attributes:
    names: of the settings: two of a grid, three of a mixture.
    points: {condition: a number per setting}; weights of a mixture sum to 1.
  """

  names: tuple[str, ...]
  points: Mapping[str, tuple[float, ...]]

  @classmethod
  def of(cls, numbers: pd.DataFrame, keys: Sequence[str]) -> 'Sweep':
    """From a table that `add` has added the settings to.

    Raises:
      UserError: the settings are not there, make no grid and no mixture, or differ
        between the runs of a condition.
    """
    names = [y for x in keys for y in _columns(numbers, x)]
    if len(names) not in (2, 3):
      raise UserError(
        f'{" and ".join(keys)} are {len(names)} numbers per run; expected two '
        'settings, or three weights of a mixture.'
      )
    points: dict[str, tuple[float, ...]] = {}
    for condition, rows in numbers.groupby('condition', sort=False):
      found = {tuple(map(float, x)) for x in rows[names].drop_duplicates().to_numpy()}
      if len(found) > 1:
        raise UserError(
          f'Runs of {condition} have different {" or ".join(names)}; give each setting '
          'a label of its own.'
        )
      points[str(condition)] = found.pop()
    if len(names) == 3:
      points = {k: _mixture(k, v) for k, v in points.items()}
    return cls(tuple(names), points)


def add(
  numbers: pd.DataFrame, runs: Sequence[Run], keys: Sequence[str]
) -> pd.DataFrame:
  """The table with a column per setting; of a list a column per entry, `key[0]` ...

  Raises:
    UserError: a run does not have a setting, or it is no number.
  """
  table = numbers.copy()
  taken = [x for x in keys if x in numbers]
  if taken:
    raise UserError(f'{taken[0]} is no setting to sweep: it tells runs apart already.')
  for key in keys:
    found = {x.name: _numbers(x, key) for x in runs}
    sizes = {len(x) for x in found.values()}
    if len(sizes) > 1:
      raise UserError(f'{key} has {min(sizes)} to {max(sizes)} entries in these runs.')
    (size,) = sizes
    for i in range(size):
      name = key if size == 1 else f'{key}[{i}]'
      table[name] = [found[x][i] for x in table['run']]
  return table


def label(run: Run, keys: Sequence[str]) -> str:
  """The condition of a run by its settings alone, e.g. `64, 0.1`."""
  return ', '.join(f'{y:g}' for x in keys for y in _numbers(run, x))


def _columns(numbers: pd.DataFrame, key: str) -> list[str]:
  pattern = re.escape(key) + r'(\[\d+\])?'
  found = [str(x) for x in numbers if re.fullmatch(pattern, str(x))]
  if not found:
    raise UserError(
      f'The table has no setting {key}; compare the runs again with `conditions` and '
      '`sweep`.'
    )
  return found


def _numbers(run: Run, key: str) -> list[float]:
  """A setting's numbers; also those of a text such as '50, 30, 20'."""
  value: Any = run.setting(key)
  parts = value if isinstance(value, list) else [value]
  if isinstance(value, str):
    parts = [x for x in re.split(r'[,\s]+', value) if x]
  try:
    found = [float(x) for x in parts]
  except (TypeError, ValueError):
    found = []
  if not found or not np.isfinite(found).all():
    raise UserError(
      f'{key} of {run.name} is {short(value)}; expected a number, or three weights.'
    )
  return found


def _mixture(condition: str, weights: tuple[float, ...]) -> tuple[float, ...]:
  total = sum(weights)
  fits = [x for x in WHOLES if abs(total - x) <= 0.01 * x]
  if min(weights) < 0 or not fits:
    raise UserError(
      f'The weights of {condition} sum to {total:g}; expected three of a mixture, '
      'which sum to 1 or 100.'
    )
  return tuple(x / total for x in weights)
