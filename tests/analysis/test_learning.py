"""Learning curves against numbers worked out by hand."""

import json
import pathlib

import numpy as np
import pytest

from dreamerv3.analysis import learning
from dreamerv3.analysis.crafter_score import (
  ACHIEVEMENTS,
  crafter_score,
  windowed_score,
)
from dreamerv3.analysis.learning import Curve
from dreamerv3.data.metrics_log import MetricsLog

REAL = pathlib.Path(__file__).parents[1] / 'fixtures' / 'logs'


def make_log(folder, scores=(), metrics=()):
  for name, records in (('scores', scores), ('metrics', metrics)):
    if records:
      text = ''.join(json.dumps(x) + '\n' for x in records)
      (folder / f'{name}.jsonl').write_text(text)
  return MetricsLog.open(folder)


def episodes(rates, count=100):
  """Episodes in which achievement i is unlocked in a share rates[i]."""
  return [
    {
      'step': 10 * (k + 1),
      'episode/score': 1.0,
      **{
        f'episode/achievement_{x}': float(k < round(r * count))
        for x, r in zip(ACHIEVEMENTS, rates, strict=True)
      },
    }
    for k in range(count)
  ]


def test_smooth_by_hand():
  values = np.array([1.0, 3.0, 5.0, 7.0, 20.0])
  assert learning.smooth(values, 1).tolist() == values.tolist()
  assert learning.smooth(values, 3) == pytest.approx([2, 3, 5, 32 / 3, 13.5])
  assert learning.smooth(values, 2) == pytest.approx([2, 4, 6, 13.5, 20])
  assert learning.smooth(values, 99) == pytest.approx([7.2] * 5)
  values[1] = np.nan
  assert learning.smooth(values, 3) == pytest.approx([1, 3, 6, 32 / 3, 13.5])
  assert np.isnan(learning.smooth(np.array([np.nan, np.nan]), 2)).all()
  with pytest.raises(ValueError, match='window is 0'):
    learning.smooth(values, 0)


def test_smooth_of_columns_is_smooth_of_each(rng):
  values = rng.random((30, 4))
  both = learning.smooth(values, 7)
  for i in range(4):
    assert both[:, i] == pytest.approx(learning.smooth(values[:, i], 7))


def test_crafter_score_is_the_official_formula():
  rates = np.zeros(22)
  assert crafter_score(rates) == 0
  assert crafter_score(np.ones(22)) == pytest.approx(100)
  rates[:3] = 1.0, 0.5, 0.01
  by_hand = (101 * 51 * 2) ** (1 / 22) - 1
  assert crafter_score(rates) == pytest.approx(by_hand)


def test_crafter_score_of_published_rates():
  # A published agent: equal rates s give the score s.
  assert crafter_score(np.full(22, 0.145)) == pytest.approx(14.5)


@pytest.mark.parametrize('bad', [np.zeros(21), np.full(22, 1.5)])
def test_crafter_score_refuses(bad):
  with pytest.raises(ValueError, match='expected'):
    crafter_score(bad)


def test_score_of_a_synthetic_log(tmp_path, rng):
  rates = np.round(rng.random(22), 2)
  rates[4] = 0
  curves = learning.curves(make_log(tmp_path, episodes(rates)), window=10)
  expected = np.exp(np.mean(np.log(1 + 100 * rates))) - 1
  assert curves.summary['crafter_score'] == pytest.approx(expected)
  recent = np.clip(10 * (rates - 0.9), 0, 1)
  expected = np.exp(np.mean(np.log(1 + 100 * recent))) - 1
  assert curves.summary['crafter_score_recent'] == pytest.approx(expected)
  assert list(curves.unlocks) == list(ACHIEVEMENTS)
  # The window around episode 50 holds episodes 46 to 55, counted from 0.
  at = np.mean([k < round(rates[0] * 100) for k in range(46, 56)])
  assert curves.unlocks[ACHIEVEMENTS[0]].value[50] == pytest.approx(at)
  assert not curves.bound


def test_curves_by_hand(tmp_path):
  scores = [
    {'step': 10, 'episode/score': 1.0},
    {'step': 30, 'episode/score': 4.0},
    {'step': 35, 'episode/score': -2.0},
  ]
  metrics = [
    {'step': 20, 'train/loss/image': 8.0, 'train/ret': 1.0},
    {'step': 40, 'train/loss/image': 2.0, 'train/ret': 3.0},
  ]
  curves = learning.curves(make_log(tmp_path, scores, metrics), window=3)
  assert curves.score is not None
  assert curves.reward is not None
  assert curves.score.step.tolist() == [10, 30, 35]
  assert curves.score.value == pytest.approx([2.5, 1, 1])
  assert curves.reward.value.tolist() == [1, 5, 3]
  assert curves.losses['image'].value.tolist() == [8, 2]
  assert curves.signals['return'].value.tolist() == [1, 3]
  assert curves.crafter_score is None
  assert curves.lacks == (
    'no achievements of 22: no Crafter score and no unlock rates',
  )
  assert curves.summary == {
    'last_step': 40,
    'episodes': 3,
    'return_mean': 1.0,
    'return_recent': 1.0,
  }


def test_mean_counts_give_bounds_and_no_total(tmp_path):
  keys = [f'epstats/log/achievement_{x}/max' for x in ACHIEVEMENTS]
  records = [
    {'step': 9, **dict.fromkeys(keys, 0.25)},
    {'step': 19, **dict.fromkeys(keys, 3.0)},
  ]
  curves = learning.curves(make_log(tmp_path, (), records), window=10)
  assert curves.bound
  assert curves.unlocks['wake_up'].value.tolist() == [0.25, 1]
  assert curves.crafter_score is not None
  assert curves.crafter_score.value == pytest.approx([25, 100])
  assert 'crafter_score' not in curves.summary


def test_a_part_of_the_achievements_gives_no_score(tmp_path):
  record = {'step': 1, 'episode/score': 0, 'episode/achievement_wake_up': 1.0}
  curves = learning.curves(make_log(tmp_path, [record]))
  assert curves.crafter_score is None
  assert curves.unlocks == {}
  assert any(x.startswith('1 achievements of 22') for x in curves.lacks)


def test_an_empty_panel_is_named(tmp_path):
  log = make_log(tmp_path, (), [{'step': 3, 'fps/policy': 9.0}])
  curves = learning.curves(log)
  assert curves.score is None
  assert len(curves.lacks) == 4


def test_band_by_hand():
  step = np.array([0.0, 10.0])
  runs = [Curve(step, np.array([0.0, 10.0])), Curve(step, np.array([4.0, 14]))]
  band = learning.band(runs, points=3)
  assert band is not None
  assert band.step.tolist() == [0, 5, 10]
  assert band.mean == pytest.approx([2, 7, 12])
  # t(0.975, 1 degree) = 12.7062; s = 2 sqrt(2), n = 2.
  assert band.high - band.mean == pytest.approx([12.7062 * 2] * 3, rel=1e-5)
  assert band.mean - band.low == pytest.approx([12.7062 * 2] * 3, rel=1e-5)


def test_band_covers_only_shared_steps():
  a = Curve(np.array([0.0, 10.0]), np.array([1.0, 1.0]))
  b = Curve(np.array([4.0, 6.0, 8.0]), np.array([np.nan, 3.0, 3.0]))
  band = learning.band([a, b])
  assert band is not None
  assert (band.step[0], band.step[-1]) == (6, 8)
  assert band.mean == pytest.approx(2)
  assert learning.band([a]) is None
  far = Curve(np.array([20.0, 30.0]), np.array([1.0, 1.0]))
  assert learning.band([a, far]) is None


def test_interval_covers_the_truth_as_often_as_it_says(rng):
  hits = 0
  for _ in range(2000):
    _, low, high = learning.interval(rng.normal(3, 2, 4))
    hits += low <= 3 <= high
  assert hits / 2000 == pytest.approx(0.95, abs=0.02)
  assert np.isnan(learning.interval([1.0])[1])


def test_a_real_log():
  curves = learning.curves(MetricsLog.open(REAL), window=50)
  assert curves.episodes == 231
  assert curves.score is not None
  assert curves.reward is not None
  lines = (REAL / 'scores.jsonl').read_text().splitlines()
  raw = [json.loads(x)['episode/score'] for x in lines]
  assert curves.reward.value[-1] == pytest.approx(sum(raw))
  assert curves.score.value[100] == pytest.approx(np.mean(raw[76:126]))
  assert set(curves.signals) == {'reward', 'return', 'value'}
  assert {'image', 'dyn', 'rep', 'value'} <= set(curves.losses)
  assert len(curves.lacks) == 1


def test_the_score_of_a_window_is_that_of_many_episodes():
  """A true 2.0 read 1.4 in windows of 50 before the correction."""
  rng = np.random.default_rng(0)
  rates = np.r_[np.full(6, 0.06), np.full(10, 0.01), np.zeros(6)]
  true = crafter_score(rates)
  unlocked = (rng.random((20_000, 22)) < rates).astype(float)
  plain = crafter_score(learning.smooth(unlocked, 50))
  corrected = windowed_score(unlocked, 50)
  assert plain.mean() < 0.8 * true
  assert abs(corrected.mean() - true) < 0.25 * abs(plain.mean() - true)
  assert windowed_score(unlocked[:1], 50) == crafter_score(unlocked[0])
  assert windowed_score(np.ones((9, 22)), 4) == pytest.approx([100.0] * 9)


def test_the_budget_of_the_benchmark_leaves_out_late_episodes(tmp_path):
  lines = []
  for step, value in ((400_000, 0), (1_000_000, 0), (1_050_000, 1)):
    counts = {f'episode/achievement_{x}': value for x in ACHIEVEMENTS}
    lines.append(json.dumps({'step': step, 'episode/score': 1.0, **counts}))
  (tmp_path / 'scores.jsonl').write_text('\n'.join(lines) + '\n')
  summary = learning.curves(MetricsLog.open(tmp_path), 3).summary
  assert summary['crafter_score_1e6'] == 0 < summary['crafter_score']
  (tmp_path / 'scores.jsonl').write_text(lines[0] + '\n')
  assert 'crafter_score_1e6' not in learning.curves(MetricsLog.open(tmp_path)).summary
