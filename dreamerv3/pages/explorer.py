"""The units of tuning results as a page shows them: scores, maps, curves, models.

  units = explorer(Results.open('tuning_results.pkl'))     # for packing.pack

Everything fits into a share of the page: of many units those with the largest held-out
variance keep their maps, and the page says which rule left the others out.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dreamerv3.analysis.explain import models
from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.results import Results, flat, wall_name
from dreamerv3.analysis.tuning.table import TuningTable
from dreamerv3.pages import scores
from dreamerv3.pages.packing import quantised, rounded
from dreamerv3.plots.units import tuning

# Bytes before packing; of a map, about as many are in the page.
MAP_BYTES = 2_500_000
SCORE_BYTES = 5_000_000
RANK = 'EVs'  # the score by which units keep their maps and traces


@dataclasses.dataclass(frozen=True)
class Sampled:
  """Units of several layers of which something is kept.

  Attributes:
    rows: (M,) places in the list of all units, rising.
    tables: {layer: (K,) rows of its table}, in the same order.
    units: {layer: (K,) units of the layer that these are}.
    note: the rule in a sentence; '' where all are kept.
  """

  rows: np.ndarray
  tables: Mapping[str, np.ndarray]
  units: Mapping[str, np.ndarray]
  note: str


class Part(NamedTuple):
  """The units of a layer in the list of all.

  Attributes:
    size: number of units.
    table: what was measured of them; None where it was not.
  """

  size: int
  table: TuningTable | None


def explorer(results: Results, map_bytes: int = MAP_BYTES) -> dict[str, Any]:
  """All units of results, for `packing.pack`.

  Args:
    map_bytes: for maps, those of the control included.
  """
  tables = list(results.tables.values())
  own = [Part(len(x), x) for x in tables]
  other = _partners(results)
  compared = any(x.table is not None for x in other)
  ids = [results.classes(x) for x in results.tables]
  tested = all(x is not None for _, x in ids)
  visited = np.any([x.occupancy > 0 for x in tables], 0)
  cost = int(visited.sum()) * (2 if compared else 1)
  kept = sample(results.tables, map_bytes // max(cost, 1), 'Maps')
  shown, left_out = _scores(own, other)
  return {
    'layers': [x.layer for x in tables],
    'layer': np.repeat(np.arange(len(own)), [x.size for x in own]).astype(np.uint16),
    'unit': np.concatenate([x.units for x in tables]).astype(np.int32),
    'classes': [
      {'name': tuning.LABELS[x], 'color': tuning.COLORS[x]} for x in cell_types.NAMES
    ],
    'tested': tested,
    'class': _ids([y if y is not None and tested else x for x, y in ids]),
    'simple': _ids([x for x, _ in ids]),
    'scores': shown,
    'model': _named(own, 'best_model', lambda _, x: models.names_of(x)),
    'wall': _named(own, 'border_wall', wall_name),
    'facing': _facing(own),
    'facing_control': _facing(other) if compared else None,
    'area': list(visited.shape),
    'tiles': np.flatnonzero(visited).astype(np.int32),
    'rows': kept.rows,
    'maps': _maps(kept, visited, own),
    'maps_control': _maps(kept, visited, other) if compared else None,
    'walkable': None if results.walkable is None else results.walkable.astype(np.uint8),
    'notes': [x for x in (kept.note, left_out) if x],
  }


def sample(tables: Mapping[str, TuningTable], most: int, what: str) -> Sampled:
  """At most `most` units, as many of each layer, of the largest held-out variance."""
  total = sum(len(x) for x in tables.values())
  each = total if total <= most else max(most // len(tables), 1)
  chosen, rows, start = {}, [], 0
  for name, table in tables.items():
    score = np.nan_to_num(table.metrics[RANK], nan=-np.inf)
    chosen[name] = np.sort(np.argsort(-score, kind='stable')[:each])
    rows.append(start + chosen[name])
    start += len(table)
  kept = np.concatenate(rows).astype(np.int32)
  note = ''
  if len(kept) < total:
    note = (
      f'{what} of {len(kept):,} of the {total:,} units are in this page: of each layer '
      f'the {each:,} with the largest held-out variance ({RANK}).'
    )
  units = {k: tables[k].units[x] for k, x in chosen.items()}
  return Sampled(kept, chosen, units, note)


def _partners(results: Results) -> list[Part]:
  """The same units of the control, layer by layer."""
  found = []
  for name, table in results.tables.items():
    other = results.control.get(name)
    same = other is not None and np.array_equal(other.units, table.units)
    found.append(Part(len(table), other if same else None))
  return found


def _scores(
  own: Sequence[Part], other: Sequence[Part]
) -> tuple[list[dict[str, Any]], str]:
  """Scores of all units, those of the control beside them, and what is left out."""
  names = scores.ordered({k for x in own if x.table for k in flat(x.table)})
  compared = any(x.table is not None for x in other)
  cost = 4 * sum(x.size for x in own) * (2 if compared else 1)
  most = max(SCORE_BYTES // max(cost, 1), 6)
  shown = []
  for name in names[:most]:
    values = {'values': rounded(_joined(own, name))}
    if compared:
      values['control'] = rounded(_joined(other, name))
    shown.append({'name': name, **scores.about(name)._asdict(), **values})
  if len(names) <= most:
    return shown, ''
  return shown, (
    f'The first {most} of {len(names)} scores are in this page; units.csv beside the '
    'results has all.'
  )


def _joined(parts: Sequence[Part], name: str) -> np.ndarray:
  """A score of all units (N,); NaN where a layer lacks it."""
  found = []
  for size, table in parts:
    values = None if table is None else flat(table).get(name)
    found.append(np.full(size, np.nan) if values is None else values)
  return np.concatenate(found).astype(np.float32)


def _ids(classes: Sequence[np.ndarray]) -> np.ndarray:
  return np.concatenate(classes).astype(np.uint8)


def _facing(parts: Sequence[Part]) -> np.ndarray:
  """Mean activation by facing (N, 4): right, left, up, down."""
  none = [np.full((n, 4), np.nan) if t is None else t.hd_curves for n, t in parts]
  return rounded(np.concatenate(none))


def _named(
  parts: Sequence[Part], name: str, word: Callable[[TuningTable, float], str]
) -> dict[str, Any]:
  """A score that stands for a word: the words, and which each unit (N,) has."""
  words: dict[str, int] = {'': 0}
  found = []
  for size, table in parts:
    if table is None or name not in table.metrics:
      found.append(np.zeros(size, np.uint16))
      continue
    own = [word(table, float(x)) for x in table.metrics[name]]
    found.append(np.array([words.setdefault(x, len(words)) for x in own], np.uint16))
  return {'names': list(words), 'index': np.concatenate(found)}


def _maps(
  kept: Sampled, visited: np.ndarray, parts: Sequence[Part]
) -> dict[str, np.ndarray]:
  """Maps (M, V) of the units that keep them, on the visited tiles alone."""
  found = []
  for rows, (_, table) in zip(kept.tables.values(), parts, strict=True):
    if table is None:
      found.append(np.full((len(rows), int(visited.sum())), np.nan, np.float32))
    else:
      found.append(table.curves[rows][:, visited])
  codes, low, high = quantised(np.concatenate(found))
  return {'codes': codes, 'low': low, 'high': high}
