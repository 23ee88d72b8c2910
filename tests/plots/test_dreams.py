"""Figures of dreams: the numbers in them, and odd sizes."""

import numpy as np
import pytest

from dreamerv3.analysis.dreams import judgement
from dreamerv3.analysis.dreams import measures as stats
from dreamerv3.analysis.dreams.measures import DreamSet
from dreamerv3.data.grid import Grid
from dreamerv3.data.metadata import Metadata
from dreamerv3.plots import dreams as plots
from dreamerv3.plots import world
from tests import synthetic


def make(count, horizon, area=(12, 10), episodes=2, short=0):
  rng = np.random.default_rng(0)
  real = np.stack(
    [synthetic.walk(synthetic.world(area), horizon + 1, rng)[0] for _ in range(count)]
  )
  policy = rng.integers(0, area, real.shape)
  policy[:, 0] = real[:, 0]
  valid = np.ones(real.shape[:2], bool)
  valid[:short, 2:] = False
  return DreamSet(
    grid=Grid(*area),
    episode=np.arange(count) % episodes,
    t=np.arange(count),
    past=real[:, :1],
    real=real,
    valid=valid,
    decoded={'replay': real, 'policy': policy, 'observed': real},
  )


def metadata(area=(12, 10), known=True):
  tiles = synthetic.world(area) if known else None
  return Metadata(area, world_map=tiles, materials=synthetic.MATERIALS)


def results(dreams):
  curves = stats.make_curves(dreams, dreams.grid.count(dreams.real[0]), 0)
  return curves, stats.coherences(dreams, None, 0)


def test_the_curves_are_those_of_the_file():
  dreams = make(8, 6)
  curves, found = results(dreams)
  fig = plots.compare(dreams, curves, found)
  ax, bars = fig.axes
  lines = {x.get_label(): x for x in ax.get_lines()}
  for name, label in plots.LINES.items():
    if name not in curves.mean:
      continue
    drawn = np.asarray(lines[label].get_ydata(), float)
    np.testing.assert_allclose(drawn, curves.mean[name])
  widths = np.array([x.get_window_extent().width for x in bars.patches])
  expected = np.array([found[x].jumps for x in plots.BARS])
  assert expected.max() > 0
  np.testing.assert_allclose(widths / widths.max(), expected / expected.max())
  assert judgement.verdict(curves.gains)[:40] in fig.get_suptitle()
  fig.canvas.draw()


@pytest.mark.parametrize(
  ('count', 'horizon', 'area', 'known'),
  [(1, 1, (3, 3), True), (5, 20, (12, 10), False), (30, 4, (40, 9), True)],
)
def test_figures_of_odd_sizes(count, horizon, area, known):
  dreams, about = make(count, horizon, area), metadata(area, known)
  proba = np.array(np.random.default_rng(0).random((count, horizon, *area)))
  proba = proba.astype(np.float32)
  both = {'replay': proba, 'policy': np.zeros_like(proba)}
  figures = [
    plots.paths(dreams, about),
    plots.compare(dreams, *results(dreams)),
    plots.probabilities(dreams, both, 0, about),
  ]
  for figure in figures:
    figure.canvas.draw()
  shown = [x for x in figures[0].axes if x.get_title()]
  assert len(shown) == 2 * min(plots.STARTS, count)


def test_a_path_ends_with_its_episode():
  dreams = make(1, 8, short=1)
  fig = plots.paths(dreams, metadata())
  own = next(x for x in fig.axes if 'own actions' in x.get_title())
  dots = own.collections[-3].get_offsets()
  np.testing.assert_array_equal(dots, dreams.decoded['policy'][0, :2])


def test_a_panel_holds_all_points_and_stays_inside(rng):
  for _ in range(50):
    grid = Grid(*rng.integers(1, 60, 2).tolist())
    points = rng.integers(0, grid.shape, (rng.integers(1, 5), 2))
    x, y, w, h = world.box(points, grid, 1, plots.LEAST)
    assert x <= points[:, 0].min() <= points[:, 0].max() < x + w <= grid.width
    assert y <= points[:, 1].min() <= points[:, 1].max() < y + h <= grid.height
    assert min(x, y) >= 0
