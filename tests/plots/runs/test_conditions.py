"""Figures of conditions show what was found, and no more."""

import numpy as np
import pytest

from dreamerv3.analysis.conditions.comparison import Rules, compare
from dreamerv3.plots.runs import conditions
from tests.analysis import planted_studies


@pytest.fixture(params=[5, 2])
def found(rng, request):
  """Planted in enc/cnn0 alone; two seeds show nothing."""
  numbers = planted_studies.numbers(rng, effect=5, seeds=request.param)
  return compare(numbers, 'ab', Rules(n_boot=100))


def test_stars_stand_where_conditions_differ(found):
  few = len(found.cells[0].values) < 3
  ax = conditions.heatmap(found, 'decode_share').axes[0]
  layers = [x.get_text() for x in ax.get_yticklabels()]
  assert layers == ['enc/cnn0', 'enc/cnn1', 'enc/cnn2', 'enc/cnn3', *layers[4:]]
  starred = {x.get_position() for x in ax.texts if x.get_text().endswith('*')}
  assert starred == (set() if few else {(1, 0)})
  ax = conditions.lineplot(found, 'decode_share').axes[0]
  assert len(ax.texts) == len(starred)
  dots = [x for x in ax.lines if x.get_marker() == 'o']
  assert len(dots) == len(found.cells)
  assert {np.size(x.get_xdata()) for x in dots} == {2 if few else 5}


def test_long_names_have_room(rng):
  numbers = planted_studies.numbers(rng, effect=5, seeds=5, layers=('dyn/deter',))
  names = {'a': 'the usual environment', 'b': 'without creatures, with a small view'}
  numbers['condition'] = numbers['condition'].map(names)
  found = compare(numbers, [*names.values()], Rules(n_boot=100))
  figure = conditions.lineplot(found, 'decode_share')
  figure.canvas.draw()
  ax = figure.axes[0]
  texts = [*figure.legends[0].get_texts(), ax.xaxis.label]
  boxes = [x.get_window_extent() for x in texts]
  assert min(x.x0 for x in boxes) >= 0
  assert max(x.x1 for x in boxes) <= figure.bbox.x1
  assert ax.get_xlim() == (-0.5, 0.5)


def test_there_is_a_forest_only_of_what_has_intervals(found):
  figures = conditions.all_figures(found)
  few = len(found.cells[0].values) < 3
  assert ('effects' in figures) != few
  if not few:
    ax = figures['effects'].axes[0]
    filled = [x for x in ax.lines if x.get_marker() == 'o' and np.size(x.get_xdata())]
    shown = [x.get_markerfacecolor() != 'white' for x in filled]
    assert shown == [True] + [False] * 5
