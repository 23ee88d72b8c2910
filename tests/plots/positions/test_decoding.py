"""Figures of decoding draw what they are given."""

from typing import Any

import numpy as np
import pytest

from dreamerv3.analysis.decoding import folds as shared
from dreamerv3.analysis.decoding import layers, splits
from dreamerv3.analysis.decoding.findings import Findings
from dreamerv3.analysis.decoding.linear.fit import FitOptions
from dreamerv3.analysis.decoding.result import summary, table
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.plots import style
from dreamerv3.plots.positions import decoding, layer_comparison, probmaps


@pytest.fixture(scope='module')
def results(recording):
  data = Trajectories.open(recording)
  parts = splits.holdout(data.track().episode, 0.4, 0)
  folds = shared.make_folds(data.track(), data.grid, parts, 0)
  work = layers.decode_layers(data, list(data.layers()), folds, FitOptions(n_iters=0))
  return data, [x for x, _ in work]


def test_layers_are_drawn_along_the_network_with_units_and_control(results):
  data, found = results
  rows = [summary(x, 50) for x in found]
  control = {'dyn/deter': {'mean': 3.0, 'best_constant': 5.0}}
  ax = layer_comparison.layer_comparison(found, rows, control).axes[0]
  labels = [x.get_text() for x in ax.get_yticklabels()]
  assert labels[0] == 'enc/cnn0 (40)'
  assert labels[-1] == 'pol/mlp/linear0 (6)'
  assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first layer on top
  drawn = {str(x.get_label()): x for x in ax.lines}
  np.testing.assert_array_equal(
    drawn['untrained, on paths of its own'].get_xydata(), [[3.0, 2.0]]
  )
  assert 'best constant of the untrained 5.00' in drawn
  assert any('occupancy prior' in x for x in drawn)
  assert 'dyn/deter' in table(rows)


def test_layers_that_differ_are_marked(results):
  _, found = results
  rows = [summary(x, 0) for x in found]
  for i, row in enumerate(rows):
    row.update(p_vs_chance_all=0.01 if i == 2 else 0.5, diff_chance=-1.0)
    row.update(p_vs_control_all=0.01, diff_control=-0.1, control_paired=1.0)
  control = {'dyn/deter': {'mean': 3.0, 'best_constant': 5.0}}
  ax = layer_comparison.layer_comparison(found, rows, control).axes[0]
  said = [x.get_text() for x in ax.texts]
  assert said.count('<') == 1 + len(found)
  assert said.count('–') == len(found) - 1
  labels = ax.get_legend_handles_labels()[1]
  assert 'untrained, same path; grey: the layer differs' in labels
  assert any('black: beats the constant' in x for x in labels)


@pytest.mark.parametrize('page', ['single', 'slide', 'auto'])
def test_layers_have_room_on_every_page(results, page):
  _, found = results
  rows = [summary(x, 0) for x in found]
  for row in rows:
    row.update(p_vs_chance_all=0.01, diff_chance=-1.0)
    row.update(p_vs_control_all=0.01, diff_control=-0.1, control_paired=1.0)
  control = {'dyn/deter': {'mean': 3.0, 'best_constant': 5.0}}
  with style.page(page):
    figure = layer_comparison.layer_comparison(found, rows, control)
  figure.canvas.draw()
  (ax,) = figure.axes
  texts = [x for x in (*ax.texts, *ax.get_yticklabels()) if x.get_text()]
  boxes = [x.get_window_extent() for x in texts]
  apart = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
  assert not apart
  assert max(x.x1 for x in boxes) <= figure.bbox.x1


def findings(found, cv='episodes'):
  data, results = found
  return Findings(
    mode='layers',
    results=results,
    rows=[summary(x, 0) for x in results],
    pairs=[],
    control={},
    perception={},
    memory={},
    protocol={'cv': cv},
    timesteps=len(data.track()),
    metadata=data.metadata,
    numbers=[x.number for x in data.episodes],
  )


def test_all_figures_have_their_names_and_render(results, tmp_path):
  figures = decoding.all_figures(findings(results))
  assert {
    'layer_comparison',
    'classification_dyn_deter',
    'occupancy_vs_error_dyn_stoch',
  } <= figures.keys()
  plain = [x for x in figures if x.startswith('probmap_dyn_deter_ep')]
  world = [x for x in figures if x.startswith('probmap_world_dyn_deter_ep')]
  assert len(plain) == len(world) == 1
  for figure in figures.values():
    figure.savefig(tmp_path / 'x.png', dpi=40)


def test_grey_tiles_are_those_that_the_fold_never_trained_on(recording):
  data = Trajectories.open(recording)
  parts = splits.folds(data.track().episode, 3, 0)
  folds = shared.make_folds(data.track(), data.grid, parts, 0)
  work = layers.decode_layers(data, ['deter'], folds, FitOptions(n_iters=0))
  ((result, _),) = work
  for row, proba in zip(result.example_rows, result.proba, strict=True):
    assert (proba[result.fold_visits[result.fold[row]] == 0] == 0).all()
  assert (result.fold_visits[0] != result.fold_visits[1]).any()
  row = result.example_rows[0]
  figure = probmaps.probmaps(result, int(result.episode[row]), 'title')
  image: Any = figure.axes[0].images[0]
  shown = np.ma.filled(image.get_array(), np.nan)
  trained = result.fold_visits[result.fold[row]] > 0
  np.testing.assert_array_equal(np.isfinite(shown.T), trained)


def test_figures_of_a_leaking_protocol_say_so(results):
  for leaks in (False, True):
    cv = 'timesteps' if leaks else 'episodes'
    figures = decoding.all_figures(findings(results, cv))
    for name, figure in figures.items():
      assert (decoding.LEAK in figure.get_supxlabel()) == leaks, name


def test_probability_maps_put_north_up_and_mark_the_truth(results):
  _, found = results
  result = next(x for x in found if x.layer == 'dyn/deter')
  episode = int(result.episode[result.example_rows[0]])
  ax = probmaps.probmaps(result, episode, 'title').axes[0]
  assert ax.get_ylim()[0] > ax.get_ylim()[1]
  truth = next(x for x in ax.lines if x.get_label() == 'true position')
  row = result.example_rows[0]
  np.testing.assert_array_equal(truth.get_xydata(), result.pos[row][None])
