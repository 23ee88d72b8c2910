"""The measures of maps by which units are laid out and drawn.

values = values_of(table)                 # {'SI': (D,), ...}
found = LaidOut.of(table, names, neighbors=15, normalize=True, most=2000, seed=0)
"""

import dataclasses
from typing import Any, Self

import numpy as np

from dreamerv3.analysis.tuning.kinds import pictures
from dreamerv3.analysis.tuning.maps import smoothness
from dreamerv3.analysis.tuning.table import TuningTable

# Name and label of each measure; those that a table lacks are made from its maps.
LABELS = {
  'SI': 'spatial information [bits]',
  'EVs': 'held-out explained variance',
  'morans_i': "Moran's I",
  'gearys_c': "Geary's C",
  'getis_ord': 'Getis-Ord G / its mean by chance',
  'fieldsize': 'field size [tiles]',
  'pf_peaks': 'peaks of the autocorrelogram',
}
_FROM_MAPS = {
  'morans_i': smoothness.moran,
  'gearys_c': smoothness.geary,
  'getis_ord': smoothness.getis_ord,
}


def values_of(table: TuningTable) -> dict[str, np.ndarray]:
  """Each measure of LABELS (D,), NaN where a unit has none."""
  found = {}
  for name in LABELS:
    if name in table.metrics:
      found[name] = np.asarray(table.metrics[name], np.float64)
    elif name in _FROM_MAPS:
      found[name] = _FROM_MAPS[name](table.curves[:])
  return found


@dataclasses.dataclass(frozen=True)
class LaidOut:
  """Units in two dimensions, by Isomap of their measures.

  Attributes:
    layer: name; units: (N,) rows of the table that have all measures.
    classes: (N,) their names; values: {measure: (N,)}; places: (N, 2).
  """

  layer: str
  units: np.ndarray
  classes: np.ndarray
  values: dict[str, np.ndarray]
  places: np.ndarray

  @classmethod
  def of(
    cls,
    table: TuningTable,
    classes: np.ndarray,
    neighbors: int,
    normalize: bool,
    most: int,
    seed: int,
  ) -> Self | str:
    """Lays units out; the reason, one line, where there are too few.

    Args:
      classes: (D,) name of each unit.
      neighbors: of Isomap; a quarter of the units at most.
      normalize: scale each measure to mean 0 and variance 1; values further than
        the outermost hundredth count as that, so that single units do not set the
        scale.
      most: units, a random sample of more; 0 for all.
    """
    values = values_of(table)
    X = np.stack(list(values.values()), 1)
    rows = np.flatnonzero(np.isfinite(X).all(1))
    if 0 < most < len(rows):
      rng = np.random.default_rng([seed, 50])
      rows = np.sort(rng.choice(rows, most, replace=False))
    X = X[rows]
    spread = X.std(0) if len(X) else np.zeros(X.shape[1])
    if len(np.unique(X, axis=0)) < 8 or not spread.any():
      return f'{table.layer}: {len(rows)} units have all measures; too few to lay out.'
    if normalize:
      low, high = np.percentile(X, (1, 99), axis=0)
      X = X.clip(low, high)
      spread = X.std(0)
      X = (X - X.mean(0)) / np.where(spread > 0, spread, 1)
    chosen = {k: v[rows] for k, v in values.items()}
    places = pictures.isomap(X, neighbors)
    return cls(table.layer, table.units[rows], classes[rows], chosen, places)

  def rows(self) -> list[dict[str, Any]]:
    """The table unit_metrics.csv: a row per unit."""
    return [
      {
        'layer': self.layer,
        'unit': int(self.units[i]),
        'cell_type': str(self.classes[i]),
        **{k: float(v[i]) for k, v in self.values.items()},
        'isomap1': float(self.places[i, 0]),
        'isomap2': float(self.places[i, 1]),
      }
      for i in range(len(self.units))
    ]
