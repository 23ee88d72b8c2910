"""What the panels of the learning progress show, read from the figure."""

import numpy as np
import pytest

from dreamerv3.analysis.crafter_score import ACHIEVEMENTS
from dreamerv3.analysis.learning import Curve, Curves
from dreamerv3.plots.runs import training, training_conditions


def make_run(offset=0.0, steps=(0, 100, 200), policy=0.1, **changes):
  step = np.array(steps, np.float64)
  ramp = Curve(step, offset + step / 100, offset + step / 50)
  flat = Curve(step, np.full(len(step), 0.5))
  values = dict(
    path='logdir/run',
    score=ramp,
    reward=ramp,
    crafter_score=ramp,
    unlocks=dict.fromkeys(ACHIEVEMENTS, flat),
    losses={'image': ramp, 'policy': Curve(step, flat.value * policy)},
    signals={'return': ramp, 'value': flat},
    episodes=len(step),
    summary={'last_step': steps[-1], 'return_mean': 1 + offset},
  )
  return Curves(**{**values, **changes})


def titles(figure):
  return [x.get_title() for x in figure.axes if x.get_title()]


def axis(figure, title):
  return next(x for x in figure.axes if x.get_title().startswith(title))


def test_all_panels_and_the_flags_that_drop_them():
  run = make_run()
  assert [x.partition(':')[0] for x in titles(training.progress([run]))] == [
    'Episode score',
    'Crafter score',
    'Unlock rate',
    'Cumulative reward',
    'Losses',
    'Reward, return, value in imagination',
  ]
  found = titles(training.progress([run], achievements=False))
  assert 'Unlock rate' not in found
  assert len(found) == 5
  found = titles(training.progress([run], losses=False))
  assert 'Losses' not in found
  assert len(found) == 4


def test_a_panel_without_data_is_left_out():
  run = make_run(crafter_score=None, unlocks={}, losses={}, signals={})
  assert titles(training.progress([run])) == [
    'Episode score: sum of rewards',
    'Cumulative reward',
  ]
  assert training.panels([make_run(score=None)], True, True)
  empty = make_run(
    score=None,
    reward=None,
    crafter_score=None,
    unlocks={},
    losses={},
    signals={},
  )
  assert training.panels([empty], True, True) == []


def test_the_lines_are_the_curves():
  ax = axis(training.progress([make_run()]), 'Episode score')
  dots, line = ax.lines
  assert line.get_xdata().tolist() == [0, 100, 200]
  assert line.get_ydata().tolist() == [0, 1, 2]
  assert dots.get_ydata().tolist() == [0, 2, 4]


def test_losses_are_logarithmic_unless_one_changes_its_sign():
  steps = (100, 200)
  ax = axis(training.progress([make_run(steps=steps)]), 'Losses')
  assert ax.get_yscale() == 'log'
  run = make_run(steps=steps, policy=-0.1)
  ax = axis(training.progress([run]), 'Losses')
  assert ax.get_yscale() == 'symlog'
  assert 'linear within' in ax.get_ylabel()


def test_names_are_text_and_powers_of_ten_are_readable_without_mathtext():
  run = make_run(path='logdir/a$_$b\udcff', policy=-10)
  figure = training.progress([run])
  figure.canvas.draw()  # mathtext would not end the formula a$_$b
  labels = [x.get_text() for x in axis(figure, 'Losses').get_yticklabels()]
  assert {'\u221210⁰', '0', '10⁰'} <= {*labels}
  figure = training_conditions.progress({'a$_$b': [make_run(), make_run(9.0)]})
  figure.canvas.draw()
  labels = [x.get_text() for x in axis(figure, 'Loss of').get_yticklabels()]
  assert '10⁰' in labels
  assert not any('$' in x for x in labels)


def test_a_curve_that_hides_another_is_dashed_and_legends_lie_below():
  ramp = make_run().score
  losses = {'dyn': ramp, 'rep': ramp, 'image': make_run(1.0).score}
  figure = training.progress([make_run(losses=losses)])
  dashes = [x.get_linestyle() for x in axis(figure, 'Losses').lines]
  assert dashes == ['-', '--', '-']
  figure.canvas.draw()
  ax = axis(figure, 'Episode score')
  low = ax.get_window_extent().y0
  assert ax.get_legend().get_window_extent().y1 < low


def test_several_runs_show_their_mean():
  figure = training.progress([make_run(0.0), make_run(2.0)])
  ax = axis(figure, 'Episode score')
  mean = next(x for x in ax.lines if x.get_label() == 'mean of 2 runs')
  assert mean.get_ydata()[[0, -1]] == pytest.approx([1, 3])
  title = axis(figure, 'Crafter score').get_title()
  assert 'return 2.0 [-10.7, 14.7]' in title  # 2 +- 12.706 * 1


def test_what_a_number_is_over_stands_behind_it():
  summary = {'last_step': 200, 'crafter_score': 3.04, 'return_mean': 2.4}
  runs = [make_run(summary={**summary, 'crafter_score_1e6': 2.0})]
  assert axis(training.progress(runs), 'Crafter score').get_title().split('\n')[1:] == [
    '3.0 %, return 2.4 (all episodes)',
    '2.0 % (first 1e6 steps)',
  ]


def test_rate_map_is_the_mean_over_runs_on_shared_steps():
  a = make_run(steps=(0, 100))
  rise = Curve(np.array([50.0, 200.0]), np.array([0.0, 1.0]))
  b = make_run(unlocks=dict.fromkeys(ACHIEVEMENTS, rise))
  step, rates = training.rate_map([a, b], bins=3)
  assert step.tolist() == [50, 75, 100]
  assert rates.shape == (22, 3)
  assert rates[0] == pytest.approx([0.25, 0.25 + 1 / 12, 0.25 + 1 / 6])


def test_the_rate_beside_a_row_is_that_of_the_row():
  rates = np.linspace(0, 1, 22)
  step = np.array([0.0, 10.0])
  unlocks = {
    a: Curve(step, np.array([0.0, r])) for a, r in zip(ACHIEVEMENTS, rates, strict=True)
  }
  figure = training.progress([make_run(unlocks=unlocks)])
  ax = axis(figure, 'Unlock rate')
  figure.canvas.draw()
  names = {round(x.get_window_extent().y0): x.get_text() for x in ax.get_yticklabels()}
  for text in ax.texts:
    height = text.get_window_extent().y0
    near = min(names, key=lambda y: abs(y - height))
    rate = rates[ACHIEVEMENTS.index(names[near].replace(' ', '_'))]
    assert text.get_text() == f'{100 * rate:.0f}'


def test_one_record_and_bounds():
  run = make_run(steps=(7,), bound=True)
  figure = training.progress([run])
  assert axis(figure, 'Cumulative').lines[0].get_marker() == 'o'
  assert 'upper bound' in axis(figure, 'Crafter score').get_ylabel()
  figure.canvas.draw()


def test_conditions_show_the_loss_of_the_image_unless_it_is_not_wanted():
  groups = {'wide': [make_run(1)], 'narrow': [make_run(2), make_run(4)]}
  figure = training_conditions.progress(groups)
  assert titles(figure) == training_conditions.panels(groups)
  ax = axis(figure, training_conditions.LOSS)
  assert ax.get_yscale() == 'log'
  wide, *_, mean = ax.lines
  assert wide.get_ydata().tolist() == [1, 2, 3]
  assert mean.get_ydata()[[0, -1]].tolist() == [3, 5]
  assert sum(x.get_visible() for x in figure.axes) == 5
  left = training_conditions.panels(groups, losses=False)
  assert training_conditions.LOSS not in left
  assert len(left) == 4
