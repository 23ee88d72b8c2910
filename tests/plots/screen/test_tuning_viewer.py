import numpy as np
import pytest
from matplotlib.backend_bases import (
  KeyEvent,
  MouseButton,
  MouseEvent,
  PickEvent,
)

from dreamerv3.plots.screen import tuning_viewer
from tests.plots import tuning_results


@pytest.fixture(scope='module')
def shown():
  return tuning_results.results(control=True)


def texts(figure):
  return ' '.join(t.get_text() for ax in figure.axes for t in ax.texts)


def pick(viewer, unit):
  """A click on a unit, as the canvas reports it."""
  viewer.figure.canvas.draw()
  points = viewer._scatter.collections[0]
  x, y = viewer._scatter.transData.transform(points.get_offsets()[unit])
  canvas = viewer.figure.canvas
  mouse = MouseEvent('button_press_event', canvas, x, y, MouseButton.LEFT)
  _, hit = points.contains(mouse)
  event = PickEvent('pick_event', canvas, mouse, points, ind=hit['ind'])
  canvas.callbacks.process('pick_event', event)


def loneliest(viewer):
  """The unit that a click cannot take for another."""
  metrics = viewer.results.tables[viewer.layer].metrics
  points = np.column_stack([metrics['SI'], metrics['EVs']])
  apart = np.abs(points[:, None] - points).sum(-1)
  np.fill_diagonal(apart, np.inf)
  return int(np.nan_to_num(np.nanmin(apart, 1), posinf=0).argmax())


def key(viewer, name):
  canvas = viewer.figure.canvas
  event = KeyEvent('key_press_event', canvas, name)
  canvas.callbacks.process('key_press_event', event)


def test_a_click_shows_the_unit(shown):
  viewer = tuning_viewer.Viewer(shown)
  table = shown.tables[viewer.layer]
  unit = loneliest(viewer)
  assert viewer.unit != unit
  pick(viewer, unit)
  assert viewer.unit == unit
  image = viewer._map.images[0].get_array()
  np.testing.assert_allclose(
    np.ma.filled(image, np.nan), table.curves[unit].T, rtol=1e-6
  )
  assert f'unit {table.units[unit]}' in viewer._map.get_title()
  text = texts(viewer.figure)
  assert f'spatial information: {table.metrics["SI"][unit]:.3g} bits' in text


def test_keys_go_through_units_and_layers(shown):
  viewer = tuning_viewer.Viewer(shown)
  first, unit = viewer.layer, viewer.unit
  assert unit is not None
  key(viewer, 'right')
  assert viewer.unit == (unit + 1) % len(shown.tables[first])
  key(viewer, 'left')
  assert viewer.unit == unit
  key(viewer, 'n')
  assert viewer.layer != first
  key(viewer, 'p')
  assert viewer.layer == first
  viewer.figure.canvas.draw()
