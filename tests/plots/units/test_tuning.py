import dataclasses
from typing import Any

import numpy as np
import pytest

from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.cell_types import Thresholds
from dreamerv3.analysis.tuning.maps.tile_maps import TileMaps
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.plots.units import tuning as plots
from dreamerv3.plots.units.layer_summary import layer_summary
from tests.plots.tuning_results import results


@pytest.fixture(scope='module')
def shown():
  return results(control=True)


def bars(ax):
  """Heights of a bar chart's groups, by their order."""
  return [[x.get_height() for x in group] for group in ax.containers]


def test_bars_show_the_fractions(shown):
  figure = plots.cell_type_bars(shown, 'dyn/deter')
  simple, tested = shown.classes('dyn/deter')
  got = bars(figure.axes[0])
  np.testing.assert_allclose(got[0], cell_types.fractions(tested) * 100)
  np.testing.assert_allclose(got[1], cell_types.fractions(simple) * 100)
  assert len(got) == 3  # and the control
  table = shown.tables['dyn/deter']
  score = table.metrics.get('EV_best', table.metrics['EVs'])
  labels = [x.get_text() for x in figure.axes[0].get_xticklabels()]
  for k, label in enumerate(labels):
    units = (tested == k) & np.isfinite(score)
    coded = units.any() and k not in plots.NO_CODE
    told = f'\nEV {np.median(score[units]):.2f}' if coded else ''
    assert label == plots.LABELS[cell_types.NAMES[k]] + told


def test_intervals_are_clear_of_the_numbers_of_the_bars(shown):
  one = dict(share=0.4, low=0.0, high=0.95)
  both = {**one, **{f'control_{k}': v for k, v in one.items()}, 'layer': 'dyn/deter'}
  rows = [{**both, 'class': x} for x in cell_types.NAMES]
  metadata = {**shown.metadata, 'class_shares': rows}
  figure = plots.cell_type_bars(
    dataclasses.replace(shown, metadata=metadata), 'dyn/deter'
  )
  figure.canvas.draw()
  ax: Any = figure.axes[0]
  numbers = [x.get_window_extent() for x in ax.texts]
  lines = [x for of in ax.collections for x in of.get_segments()]
  assert numbers
  assert len(lines) == 2 * len(cell_types.NAMES)
  across = [ax.transData.transform(x)[0, 0] for x in lines]
  assert not [x for x in across for box in numbers if box.x0 <= x <= box.x1]


def test_scatter_shows_every_unit_in_the_colour_of_its_class(shown):
  figure = plots.si_ev_scatter(shown, 'dyn/deter')
  points: Any = figure.axes[0].collections[0]
  table = shown.tables['dyn/deter']
  np.testing.assert_allclose(points.get_offsets()[:, 0], table.metrics['SI'])
  assert len(np.unique(points.get_facecolors(), axis=0)) == len(
    np.unique(plots.shown(shown, 'dyn/deter'))
  )


def test_examples_show_up_to_twenty_of_each_class_with_their_scores(shown):
  figure = plots.example_tuning_curves(shown, 'dyn/deter')
  ids = plots.shown(shown, 'dyn/deter')
  want = np.minimum(np.bincount(ids), plots.EXAMPLES).sum()
  maps = [ax for ax in figure.axes if ax.images]
  assert len(maps) == want
  table = shown.tables['dyn/deter']
  first = maps[0].get_title()
  unit = int(first.split()[0][1:])
  assert f'EV {table.metrics["EVs"][unit]:.2f}' in first
  assert f'SI {table.metrics["SI"][unit]:.2f}' in first
  for ax in maps:  # both ends of a map's range have equal decimals
    high, low = ax.texts[0].get_text().split('\n')
    assert len(high.partition('.')[2]) == len(low.partition('.')[2])
  image: Any = maps[0].images[0].get_array()
  np.testing.assert_allclose(
    np.ma.filled(image, np.nan), table.curves[unit].T, rtol=1e-6
  )


def test_the_seed_draws_the_examples(shown):
  def units(seed):
    figure = plots.example_tuning_curves(shown, 'dyn/deter', seed)
    return [ax.get_title() for ax in figure.axes if ax.images]

  assert units(0) == units(0)


def test_summary_has_a_row_per_layer_and_a_control(shown):
  figure = layer_summary(shown)
  titles = [ax.get_title() for ax in figure.axes]
  assert titles[:3] == [
    'tested against chance',
    'thresholds alone',
    'untrained control',
  ]
  labels = [x.get_text() for x in figure.axes[0].get_yticklabels()]
  assert [x.split()[0] for x in labels] == list(shown.tables)
  for ax in figure.axes[:3]:
    total = sum(group[0].get_width() for group in ax.containers)
    assert total == pytest.approx(100)


def test_layers_of_one_unit_have_no_bar(shown):
  wide = shown.tables['dyn/deter']
  metrics = {k: v[:1] for k, v in wide.metrics.items()}
  q = {k: v[:1] for k, v in wide.q.items()}
  one = dataclasses.replace(
    wide,
    units=wide.units[:1],
    curves=TileMaps.of(wide.curves[:1]),
    hd_curves=wide.hd_curves[:1],
    metrics=metrics,
    q=q,
  )
  tables = {'dyn/deter': wide, 'rew/pred': one}
  figure = layer_summary(Results({}, tables, {}, Thresholds()))
  labels = [x.get_text() for x in figure.axes[0].get_yticklabels()]
  assert labels == [f'dyn/deter ({len(wide)})']
  texts: list[Any] = figure.texts
  assert any('one unit: rew/pred' in x.get_text() for x in texts)


def test_figures_are_drawn_without_nulls_facing_or_walls():
  plain = results(n_shuffles=0)
  table = plain.tables['dyn/deter']
  assert plain.classes('dyn/deter')[1] is None
  blind = np.full_like(table.hd_curves, np.nan)
  tables = {'x': dataclasses.replace(table, hd_curves=blind)}
  bare = Results({}, tables, {}, Thresholds())
  for draw in plots.FIGURES.values():
    draw(bare, 'x', 0).canvas.draw()
  layer_summary(bare).canvas.draw()
