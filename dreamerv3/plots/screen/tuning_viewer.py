"""The viewer of tuning results: click a unit, see its map and its numbers.

  viewer = Viewer(Results.open('tuning_results.pkl'))
  windows.show([viewer.figure])

Left, every unit of a layer by information and held-out variance; right, the
chosen unit. The arrow keys, or n and p, go through the units and the layers.
"""

from typing import Any

import numpy as np

from dreamerv3.analysis.explain import models
from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.results import Results, wall_name
from dreamerv3.plots import style, world
from dreamerv3.plots.units import tuning

# Scores that are shown: name, label, unit.
SHOWN = (
  ('EVs', 'held-out variance', ''),
  ('SI', 'spatial information', 'bits'),
  ('MI', 'mutual information, corrected', 'bits'),
  ('stability', 'split-half stability', ''),
  ('HD_info', 'facing information', 'bits'),
  ('HD_length', 'facing vector length', ''),
  ('HD_info_given_place', 'facing given place', 'bits'),
  ('SI_given_HD', 'place given facing', 'bits'),
  ('border_score', 'border score', ''),
  ('pf_peaks', 'fields', ''),
  ('fieldsize', 'field size', 'tiles'),
  ('fieldasymmetry', 'field asymmetry', ''),
  ('morans_i', "Moran's I", ''),
)
TESTED = {
  'HD_info_given_place': 'HD_given_place',
  'SI_given_HD': 'place_given_HD',
}


class Viewer:
  """A figure that answers to clicks and keys.

  Attributes:
    figure: to be shown, or saved.
    layer, unit: what is shown now; the unit is None before the first click.
  """

  def __init__(self, results: Results):
    self.results = results
    self.layer = next(iter(results.tables))
    self.unit: int | None = None
    self.figure, axes = style.new_figure(1, 3, width=4.3, height=4.4, screen=True)
    self._scatter, self._map, self._text = axes[0]
    self._bar: Any = None
    self._ring: Any = None
    canvas = self.figure.canvas
    canvas.mpl_connect('pick_event', self._on_pick)
    canvas.mpl_connect('key_press_event', self._on_key)
    self.show_layer(self.layer)

  def show_layer(self, layer: str) -> None:
    """Shows a layer, and its unit with the most held-out variance."""
    self.layer = layer
    self._scatter.clear()
    self._ring = None
    tuning.scatter(self._scatter, self.results, layer)
    number = list(self.results.tables).index(layer) + 1
    self.figure.suptitle(
      f'layer {number} of {len(self.results.tables)}: {layer}     click a unit;'
      ' left/right: units, n/p: layers'
    )
    score = np.nan_to_num(self.results.tables[layer].metrics['EVs'], nan=-9)
    self.show_unit(int(score.argmax()))

  def show_unit(self, unit: int) -> None:
    """Shows the unit with this index in the table."""
    self.unit = unit
    table = self.results.tables[self.layer]
    m = table.metrics
    if self._ring is not None:
      self._ring.remove()
    self._ring = self._scatter.plot(
      m['SI'][unit],
      m['EVs'][unit],
      'o',
      ms=11,
      mfc='none',
      mec=style.RED,
      mew=2,
    )[0]
    if self._bar is not None:
      self._bar.remove()
    self._map.clear()
    image = world.draw_map(
      self._map,
      table.curves[unit],
      walkable=self.results.walkable,
      colorbar=False,
    )
    self._bar = self.figure.colorbar(
      image, ax=self._map, label='mean activation', shrink=0.7
    )
    self._map.set_title(f'{self.layer}, unit {table.units[unit]}')
    self._describe(unit)
    self.figure.canvas.draw_idle()

  def _describe(self, unit: int) -> None:
    table = self.results.tables[self.layer]
    simple, tested = self.results.classes(self.layer)
    lines = [f'by thresholds: {cell_types.NAMES[simple[unit]]}']
    if tested is not None:
      lines.insert(0, f'tested: {cell_types.NAMES[tested[unit]]}')
    if 'best_model' in table.metrics:
      model = models.names_of(table.metrics['best_model'][unit])
      share = table.metrics['EV_best'][unit]
      lines.append(f'predicted best from: {model or "nothing"} ({share:.2f})')
    lines.append('')
    for key, label, dimension in SHOWN:
      if key not in table.metrics:
        continue
      p = table.p.get(TESTED.get(key, key))
      chance = '' if p is None else f'   p = {p[unit]:.3f}'
      value = table.metrics[key][unit]
      lines.append(f'{label}: {value:.3g} {dimension}'.rstrip() + chance)
      if key == 'border_score' and 'border_wall' in table.metrics:
        wall = wall_name(table, table.metrics['border_wall'][unit])
        lines.append(f'  at {wall}' if wall else '  no wall')
    ax = self._text
    ax.clear()
    ax.set_axis_off()
    ax.text(0, 1, '\n'.join(lines), va='top', fontsize=8, transform=ax.transAxes)
    if np.isfinite(table.hd_curves[unit]).all():
      inset = ax.inset_axes((0.0, 0.0, 0.2, 0.2))
      tuning.heading(inset, table.hd_curves[unit])
      inset.set_xlabel('facing, north up', fontsize=7)

  def _on_pick(self, event: Any) -> None:
    if event.artist.axes is not self._scatter or not len(event.ind):
      return
    m = self.results.tables[self.layer].metrics
    points = np.column_stack([m['SI'], m['EVs']])[event.ind]
    pixels = self._scatter.transData.transform(points)
    mouse = np.array([event.mouseevent.x, event.mouseevent.y])
    nearest = np.hypot(*(pixels - mouse).T).argmin()
    self.show_unit(int(event.ind[nearest]))

  def _on_key(self, event: Any) -> None:
    names = list(self.results.tables)
    if event.key in ('n', 'p'):
      step = 1 if event.key == 'n' else -1
      at = (names.index(self.layer) + step) % len(names)
      self.show_layer(names[at])
    elif event.key in ('left', 'right') and self.unit is not None:
      step = 1 if event.key == 'right' else -1
      self.show_unit((self.unit + step) % len(self.results.tables[self.layer]))
