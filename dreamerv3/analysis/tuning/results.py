"""`tuning_results.pkl`: tuning tables with their classes, as plain arrays.

results = Results(metadata, tables, control, limits)
files.save_pickle(path, results.to_dict())
Results.open(path).classes('dyn/deter')     # (by threshold, by test)
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv3.analysis.explain import models
from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.cell_types import Thresholds
from dreamerv3.analysis.tuning.maps.tile_maps import TileMaps
from dreamerv3.analysis.tuning.table import TuningTable
from dreamerv3.base import unpickle
from dreamerv3.base.errors import reading
from dreamerv3.base.unpickle import LazyArray
from dreamerv3.data import convert, layers

FORMAT = 1
WHOLE = 256e6  # bytes of maps up to which a file holds unvisited tiles, too


@dataclasses.dataclass(frozen=True)
class Results:
  """A recording's tuning tables; classes are computed when asked for.

  Attributes:
    metadata: settings and facts of the recording, see docs/data_format.md.
    tables: {layer: table} in network order.
    control: the same of a control recording; empty without one.
    limits: thresholds of the classes.
  """

  metadata: Mapping[str, Any]
  tables: Mapping[str, TuningTable]
  control: Mapping[str, TuningTable]
  limits: Thresholds

  def __repr__(self) -> str:
    tuned = ', '.join(f'{k} {len(v)}' for k, v in self.tables.items())
    return f'Results(units of {tuned}; {len(self.control)} layers of a control)'

  @property
  def walkable(self) -> np.ndarray | None:
    """Tiles one can stand on, bool (W, H); None without a map."""
    return self.metadata.get('walkable')

  def classes(
    self, layer: str, control: bool = False
  ) -> tuple[np.ndarray, np.ndarray | None]:
    """Class ids (D,) by threshold, and by test where there were nulls."""
    return classes((self.control if control else self.tables)[layer], self.limits)

  def names(self, layer: str) -> np.ndarray:
    """Class names (D,): by test where there were nulls, else by threshold."""
    simple, tested = self.classes(layer)
    found: np.ndarray = np.array(cell_types.NAMES)[simple if tested is None else tested]
    return found

  def select(self, patterns: Sequence[str]) -> 'Results':
    """The layers whose names match; UserError if one pattern matches none."""
    names = layers.select(patterns, self.tables)
    return dataclasses.replace(
      self,
      tables={x: self.tables[x] for x in names},
      control={x: t for x, t in self.control.items() if x in names},
    )

  def rows(self, control: bool = False) -> Iterator[dict[str, Any]]:
    """One row per unit of all layers: metrics, p, q, classes."""
    tables = self.control if control else self.tables
    columns = columns_of(tables)
    for name, table in tables.items():
      simple, tested = self.classes(name, control)
      values = flat(table)
      for i, unit in enumerate(table.units):
        row = {'layer': name, 'unit': int(unit)}
        row['cell_type'] = cell_types.NAMES[simple[i]]
        row['cell_type_tested'] = '' if tested is None else cell_types.NAMES[tested[i]]
        for column in columns:
          row[column] = float(values[column][i]) if column in values else ''
        for key in {'border_wall', 'wall', 'band_wall'} & set(values):
          row[key] = wall_name(table, values[key][i])
        if 'best_model' in values:
          row['best_model'] = models.names_of(values['best_model'][i])
        yield row

  def to_pandas(self, control: bool = False) -> Any:
    """`DataFrame` with a row per unit of all layers: the columns of units.csv."""
    return convert.to_pandas(list(self.rows(control)))

  def to_xarray(self, layer: str, control: bool = False) -> Any:
    """`DataArray` (unit, x, y) of mean activation per tile; NaN where never visited.

    Coordinates: unit, x and y [tiles; x east, y south], and per unit its class, by
    test where there were nulls.
    """
    table = (self.control if control else self.tables)[layer]
    simple, tested = self.classes(layer, control)
    named = np.array(cell_types.NAMES)[simple if tested is None else tested]
    w, h = table.curves.shape[1:]
    coords = {'unit': table.units, 'x': np.arange(w), 'y': np.arange(h)}
    return convert.to_xarray(
      table.curves[:],
      ('unit', 'x', 'y'),
      {**coords, 'cell_type': ('unit', named)},
      layer,
      {
        'units': 'mean activation',
        'classes': 'by threshold' if tested is None else 'by test',
      },
    )

  def to_dict(self) -> dict[str, Any]:
    """Plain containers and arrays for the pickle, see docs/data_format.md."""
    every = [*self.tables.values(), *self.control.values()]
    whole = sum(x.curves.nbytes for x in every) <= WHOLE
    return {
      'format': FORMAT,
      'metadata': {
        **self.metadata,
        'group_names': list(cell_types.NAMES),
        'thresholds': dataclasses.asdict(self.limits),
      },
      'layers': {k: _pack(t, self.limits, whole) for k, t in self.tables.items()},
      'control': {k: _pack(t, self.limits, whole) for k, t in self.control.items()},
    }

  @classmethod
  def open(
    cls, path: str | os.PathLike[str], limits: Thresholds | None = None
  ) -> 'Results':
    """Reads results, also those of older programs with fewer keys.

    Maps, nearly all of a file, stay on disk until they are looked at.

    Args:
      limits: thresholds of the classes; the file's own by default.

    Raises:
      UserError: no such file, or no tuning results.
    """
    path = pathlib.Path(path).expanduser()
    content = unpickle.scan(path)
    with reading(path, 'tuning results; give a tuning_results.pkl'):
      return cls._read(content, limits)

  @classmethod
  def _read(cls, content: Mapping[str, Any], limits: Thresholds | None) -> 'Results':
    metadata = unpickle.at_hand(dict(content['metadata']))
    found = dict(content['layers'])
    known = {x.name for x in dataclasses.fields(Thresholds)}
    stored = metadata.get('thresholds', {})
    stored = {k: float(v) for k, v in stored.items() if k in known}
    control = content.get('control') or {}
    results = cls(
      metadata,
      {k: _unpack(k, found[k]) for k in layers.order(found)},
      {k: _unpack(k, control[k]) for k in layers.order(control)},
      limits or Thresholds(**stored),
    )
    for name in results.tables:
      results.classes(name)  # every metric that a class needs is there
    return results


def classes(
  table: TuningTable, limits: Thresholds
) -> tuple[np.ndarray, np.ndarray | None]:
  """Class ids (D,) by threshold, and by test where there were nulls."""
  tested = None
  if table.n_nulls:
    tested = cell_types.by_test(table.metrics, table.q, limits, table.p)
  return cell_types.by_threshold(table.metrics, limits), tested


def columns_of(tables: Mapping[str, TuningTable]) -> list[str]:
  """Names of all scores of the tables, in the order of the first."""
  return list(dict.fromkeys(k for t in tables.values() for k in flat(t)))


def flat(table: TuningTable) -> dict[str, np.ndarray]:
  """Metrics, p and q of a table under one name each: SI, p_SI, q_SI."""
  return {
    **table.metrics,
    **{f'p_{k}': v for k, v in table.p.items()},
    **{f'q_{k}': v for k, v in table.q.items()},
  }


def wall_name(table: TuningTable, index: float) -> str:
  """The wall that `border_wall` counts; '' for none."""
  known = np.isfinite(index) and 0 <= index < len(table.walls)
  return table.walls[int(index)] if known else ''


def _pack(table: TuningTable, limits: Thresholds, whole: bool) -> dict[str, Any]:
  simple, tested = classes(table, limits)
  maps = table.curves
  seen = {'visited_curves': maps.values, 'visited': maps.visited}
  packed = {
    **({'tuning_curves': maps[:]} if whole else seen),
    'hd_curves': table.hd_curves,
    'occupancy': table.occupancy,
    'units': table.units,
    'metrics': dict(table.metrics),
    'p': dict(table.p),
    'q': dict(table.q),
    'n_nulls': table.n_nulls,
    'walls': list(table.walls),
    'group_ids': simple,
    'cell_groups': _masks(simple, cell_types.PUBLISHED),
  }
  if tested is not None:
    groups = _masks(tested, cell_types.NAMES)
    packed |= {'tested_ids': tested, 'tested_groups': groups}
  return packed


def _masks(ids: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
  return {name: ids == i for i, name in enumerate(names)}


def _unpack(name: str, packed: Mapping[str, Any]) -> TuningTable:
  key = 'visited_curves' if 'visited_curves' in packed else 'tuning_curves'
  values = packed[key]
  values = values.mapped() if isinstance(values, LazyArray) else np.asarray(values)
  packed = unpickle.at_hand({k: v for k, v in packed.items() if k != key})
  visited = packed.get('visited')
  if visited is None:
    curves = TileMaps.of(values)
  else:
    curves = TileMaps(values, np.asarray(visited, bool))
  d = len(curves)
  return TuningTable(
    layer=name,
    units=np.asarray(packed.get('units', np.arange(d))),
    curves=curves,
    hd_curves=np.asarray(packed.get('hd_curves', np.full((d, 4), np.nan))),
    occupancy=np.asarray(packed.get('occupancy', np.ones(curves.shape[1:]))),
    metrics=packed['metrics'],
    p=packed.get('p', {}),
    q=packed.get('q', {}),
    n_nulls=packed.get('n_nulls', 0),
    walls=tuple(packed.get('walls', ())),
  )
