"""The groups of units as tables, for the csv files.

files.save_csv('clusters.csv', groups(found))
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dreamerv3.analysis.tuning.kinds.study import LayerKinds

NAN = float('nan')


def groups(found: Sequence[LayerKinds]) -> list[dict[str, Any]]:
  """clusters.csv: a row per group, and one (-1) for the units of none."""
  return [_row(x, k) for x in found for k in (*range(len(x.again)), -1)]


def _row(x: LayerKinds, k: int) -> dict[str, Any]:
  of, known = x.labels == k, k >= 0
  names, counts = np.unique(x.classes[of], return_counts=True)
  return {
    'layer': x.layer,
    'cluster': k,
    'units': int(of.sum()),
    'share': float(of.mean()),
    'silhouette': float(x.silhouette[of].mean()) if known else NAN,
    'found_again_units': float(x.again[k]) if known else NAN,
    'found_again_episodes': float(x.episodes[k]) if known else NAN,
    'holds': bool(x.holds[k]) if known else False,
    'strength': x.strength,
    'p': x.p,
    'commonest_class': str(names[counts.argmax()]) if len(names) else '',
    'its_share': float(counts.max() / of.sum()) if len(names) else NAN,
  }


def units(found: Sequence[LayerKinds]) -> list[dict[str, Any]]:
  """unit_clusters.csv: a row per unit, with its places in the pictures."""
  return [
    {
      'layer': x.layer,
      'unit': int(x.units[i]),
      'cluster': int(x.labels[i]),
      'silhouette': float(x.silhouette[i]),
      'cell_type': str(x.classes[i]),
      **{f'{k}{j + 1}': float(v[i, j]) for k, v in x.places.items() for j in (0, 1)},
    }
    for x in found
    for i in range(len(x.units))
  ]
