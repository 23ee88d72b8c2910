"""The geometry of layers as a table, for the csv and the terminal.

files.save_csv('manifold_summary.csv', rows(found))
"""

from collections.abc import Sequence
from typing import Any

from dreamerv3.analysis.geometry.study import (
  COMPARED,
  NAN,
  Estimate,
  GeometryComparison,
  LayerGeometry,
)

ENDS = ('', '_low', '_high')


def rows(found: Sequence[GeometryComparison]) -> list[dict[str, Any]]:
  """The table manifold_summary.csv: a row per layer."""
  return [{**_row(x.geometry), **_beside(x), 'paired': x.paired} for x in found]


def _beside(x: GeometryComparison) -> dict[str, Any]:
  """The control's numbers, and what is gained over it; NaN without one."""
  other = {} if x.control is None else _row(x.control)
  row = {
    f'control_{k}{end}': other.get(f'{k}{end}', NAN) for k in COMPARED for end in ENDS
  }
  for name in COMPARED:
    of = getattr(x, name)
    row |= {
      f'{name}_gain': of.value,
      f'{name}_gain_low': of.low,
      f'{name}_gain_high': of.high,
      f'{name}_gain_p': of.p,
    }
  return row


def _row(x: LayerGeometry) -> dict[str, Any]:
  row: dict[str, Any] = {
    'layer': x.layer,
    'units': x.units,
    'samples': x.rows,
    'episodes': x.episodes,
  }
  for name in ('srsa', 'partial', 'walking'):
    of = getattr(x, name)
    row |= {name: of.value, f'{name}_low': of.low, f'{name}_high': of.high}
    if name != 'walking':
      row[f'{name}_p'] = of.p
  for name in ('ratio', 'intrinsic'):
    of = getattr(x, name)
    row |= {name: of.value, f'{name}_low': of.low, f'{name}_high': of.high}
  hill = x.hill
  row |= {
    'hill_half': NAN if hill is None else hill.x_half,
    'hill_r2': NAN if hill is None else hill.r2,
    'sw_distance': NAN if x.sleep is None else x.sleep.distance,
    'sw_baseline': NAN if x.sleep is None else x.sleep.baseline,
  }
  return row


def lines(found: Sequence[GeometryComparison]) -> list[str]:
  """The printed table."""
  head = f'{"layer":<16}{"sRSA":>22}{"p":>7}{"given view, time":>24}{"p":>7}'
  head += f'{"control":>11}{"p of diff.":>12}{"PR":>7}{"TwoNN":>7}'
  out = [head]
  for x in found:
    g = x.geometry
    row = f'{g.layer:<16}{_spread(g.srsa):>22}{_p(g.srsa.p):>7}'
    row += f'{_spread(g.partial):>24}{_p(g.partial.p):>7}'
    other = '-' if x.control is None else f'{x.control.srsa.value:.2f}'
    row += f'{other:>11}{_p(x.srsa.p):>12}'
    row += f'{g.ratio.value:>7.1f}{g.intrinsic.value:>7.1f}'
    out.append(row)
  return out


def verdict(x: GeometryComparison) -> str:
  """What may be said of a layer's code of space."""
  g = x.geometry
  if g.srsa.p != g.srsa.p:
    text = 'not tested whether states near in space are near in the code'
  elif not _shown(g.srsa):
    text = 'nothing shows that states near in space are near in the code'
  elif not _shown(g.partial):
    text = 'states near in space are near in the code, no more than their images are'
  else:
    text = 'states near in space are near in the code, more than their images are'
  if x.control is not None:
    text += f'; {_beside_control(x)}'
  numbers = f'sRSA {_spread(g.srsa)}, given view and time {_spread(g.partial)}'
  if x.control is not None:
    numbers += (
      f'; control {x.control.srsa.value:.2f}, p of the difference {_p(x.srsa.p)}'
    )
  return f'{g.layer}: {text} ({numbers}).'


def _shown(x: Estimate) -> bool:
  """Whether a similarity is there: more than chance leaves, and above 0.

  Where chance lies below 0 (a code of few units), less than nothing can exceed it.
  """
  return bool(x.p <= 0.05 and x.value > 0)


def _beside_control(x: GeometryComparison) -> str:
  more, given = bool(x.srsa.low > 0), bool(x.partial.low > 0)
  if not _shown(x.geometry.srsa):
    return f'sRSA is {"" if more else "not shown to be "}above that of the control'
  if more and given:
    return 'more so than in the control'
  if more:
    return 'more so than in the control, but not given the view'
  if given:
    return 'given view and time alone more so than in the control'
  return 'not shown to exceed the control'


def _spread(x: Estimate) -> str:
  if x.low != x.low:
    return f'{x.value:.2f}'
  return f'{x.value:.2f} [{x.low:.2f}, {x.high:.2f}]'


def _p(p: float) -> str:
  return '-' if p != p else f'{p:.3f}'
