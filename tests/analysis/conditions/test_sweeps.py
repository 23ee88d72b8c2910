"""Where conditions lie in a sweep, and its figures."""

import numpy as np
import pytest

from dreamerv3.analysis.conditions import runs, sweeps
from dreamerv3.analysis.conditions.collect import collect
from dreamerv3.analysis.conditions.comparison import Rules, compare
from dreamerv3.analysis.conditions.sweeps import Sweep
from dreamerv3.base.errors import UserError
from dreamerv3.plots.runs.sweeps import sweep_figure
from tests.analysis import planted_runs
from tests.analysis.planted_runs import PlannedRun


def make(root, settings, seed=0):
  """Runs with these lines in their config.yaml, labelled by their names."""
  words = []
  for name, text in settings.items():
    folder = planted_runs.folder(root / name, PlannedRun(seed=seed))
    (folder / 'config.yaml').write_text(f'seed: {seed}\n{text}\n')
    words.append(f'{folder}:{name}')
  return runs.parse(words)


def test_two_settings_are_a_grid(tmp_path):
  settings = {
    f'{a}{b}': f'run: {{ratio: {a}}}\nenv: {{cows: 0.{b}}}'
    for a in (64, 512)
    for b in (1, 2, 3)
  }
  del settings['5123']
  found = make(tmp_path, settings)
  keys = ('run.ratio', 'env.cows')
  assert sweeps.label(found[0], keys) == '64, 0.1'
  numbers = sweeps.add(collect(found), found, keys)
  sweep = Sweep.of(numbers, keys)
  assert sweep.points['5122'] == (512, 0.2)
  compared = compare(numbers, list(settings), Rules(n_boot=100))
  figure = sweep_figure(compared, sweep, [('decode_share', 'dyn/deter')])
  ax = figure.axes[0]
  assert (ax.get_xlabel(), ax.get_ylabel()) == keys
  assert [x.get_text() for x in ax.get_xticklabels()] == ['64', '512']
  assert len(ax.texts) == 5  # and an empty cell
  with pytest.raises(UserError, match='no setting env.cow;'):
    sweeps.add(numbers, found, ('env.cow',))
  with pytest.raises(UserError, match='has no setting env.cow; compare'):
    Sweep.of(numbers, ('env.cow', 'run.ratio'))
  with pytest.raises(UserError, match='seed is no setting to sweep'):
    sweeps.add(numbers, found, ('seed',))
  with pytest.raises(UserError, match='are 1 numbers per run'):
    Sweep.of(numbers, ('env.cows',))


@pytest.mark.parametrize('form', ["mix: '{}, {}, {}'", 'mix: [{}, {}, {}]'])
def test_three_weights_are_a_triangle(tmp_path, form):
  weights = {'a': (100, 0, 0), 'b': (50, 30, 20), 'c': (0, 25, 75)}
  found = make(tmp_path, {k: form.format(*v) for k, v in weights.items()})
  numbers = sweeps.add(collect(found), found, ('mix',))
  sweep = Sweep.of(numbers, ('mix',))
  assert sweep.names == ('mix[0]', 'mix[1]', 'mix[2]')
  assert sweep.points['b'] == pytest.approx((0.5, 0.3, 0.2))
  compared = compare(numbers, list(weights), Rules(n_boot=100))
  figure = sweep_figure(compared, sweep, [('return', '')])
  (at,) = (np.asarray(x.get_offsets()) for x in figure.axes[0].collections)
  assert at[0] == pytest.approx([0, 0])
  assert at[2] == pytest.approx([0.25 * 1 + 0.75 * 0.5, 0.75 * 3**0.5 / 2])


def test_what_is_no_sweep(tmp_path):
  text = {'a': 'mix: [1, 2, 3]', 'b': 'mix: [1, 2]', 'c': 'mix: much'}
  found = make(tmp_path, text)
  table = collect(found)
  with pytest.raises(UserError, match='2 to 3 entries'):
    sweeps.add(table, found[:2], ('mix',))
  with pytest.raises(UserError, match=r'mix of .* is much; expected a number'):
    sweeps.add(table, found[2:], ('mix',))
  mine = table[table['condition'] == 'a']
  with pytest.raises(UserError, match='sum to 6; expected'):
    Sweep.of(sweeps.add(mine, found[:1], ('mix',)), ('mix',))
  other = make(tmp_path / 'more', {'a': 'mix: [0.2, 0.3, 0.5]'}, seed=1)
  both = [*found[:1], *other]
  with pytest.raises(UserError, match='Runs of a have different'):
    Sweep.of(sweeps.add(collect(both), both, ('mix',)), ('mix',))
