"""Tuning results in a few lines: shares of classes, and what to beware of.

print(shares_table(results))
for line in notes(results): print(line)
"""

import dataclasses
from typing import Any

import numpy as np

from dreamerv3.analysis import nulls
from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.results import Results

NAMED = 5  # units that a note lists


def shares_table(results: Results) -> str:
  """Share of units per class and layer, of the classes that occur."""
  shares = {}
  for name in results.tables:
    simple, tested = results.classes(name)
    shares[name] = cell_types.fractions(simple if tested is None else tested)
  there = np.flatnonzero(np.sum(list(shares.values()), 0))
  names = [cell_types.NAMES[k] for k in there]
  tested_too = any(x.n_nulls for x in results.tables.values())
  how = (
    'tested against chance; by thresholds: units.csv.'
    if tested_too
    else 'by thresholds alone.'
  )
  lines = [f'Share of units per class, {how}']
  lines.append(f'{"layer":20}{"units":>7}' + ''.join(f'  {x}' for x in names))
  for name, share in shares.items():
    cells = ''.join(
      f'{share[k]:{len(x) + 2}.1%}' for k, x in zip(there, names, strict=True)
    )
    lines.append(f'{name:20}{len(results.tables[name]):7}{cells}')
  return '\n'.join(lines)


def notes(results: Results) -> list[str]:
  """What a reader of these results has to know, one line each."""
  lines = []
  n = max(x.n_nulls for x in results.tables.values())
  if 0 < n < nulls.TAIL and 1 / (n + 1) > results.limits.alpha / 2:
    lines.append(
      f'{n} null pairings show no p below {1 / (n + 1):.2g}, so that no unit can '
      'be called tuned; raise --n_shuffles or record more episodes.'
    )
  if results.metadata.get('null') == 'shift' and n:
    lines.append(
      '--null shift calls up to all units of drifting noise tuned (Harris 2020, '
      'doi:10.1101/2020.11.29.402719); report --null session.'
    )
  for name, table in results.tables.items():
    wild = np.flatnonzero(table.metrics.get('outliers', np.zeros(0)) > 0)
    if len(wild):
      some = ', '.join(str(table.units[i]) for i in wild[:NAMED])
      more = f' and {len(wild) - NAMED} more' if len(wild) > NAMED else ''
      lines.append(
        f'{name}: samples far outside the range of units {some}{more} were moved '
        'to its edge before anything but the mean was measured; see `outliers` '
        'in units.csv.'
      )
  return lines


def summary(results: Results) -> dict[str, Any]:
  """Class fractions of each layer, thresholds, notes and timesteps, for run_info."""

  def shares(name: str, control: bool) -> dict[str, Any]:
    kinds = ('by_threshold', 'by_test')
    return {
      kind: dict(zip(cell_types.NAMES, cell_types.fractions(ids), strict=True))
      for kind, ids in zip(kinds, results.classes(name, control), strict=True)
      if ids is not None
    }

  return {
    'n_samples': int(next(iter(results.tables.values())).occupancy.sum()),
    'thresholds': dataclasses.asdict(results.limits),
    'lacks': results.metadata.get('lacks', []),
    'notes': notes(results),
    'fractions': {x: shares(x, False) for x in results.tables},
    'control_fractions': {x: shares(x, True) for x in results.control},
    'class_shares': list(results.metadata.get('class_shares', [])),
  }
