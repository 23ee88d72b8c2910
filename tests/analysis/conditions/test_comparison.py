"""Comparisons of conditions: planted effects, few runs, hand values."""

import itertools

import numpy as np
import pandas as pd
import pytest

from dreamerv3.analysis.conditions import comparison, hierarchy, scores, tables
from dreamerv3.analysis.conditions.comparison import Rules, compare
from dreamerv3.analysis.conditions.hierarchy import Group
from tests.analysis import planted_studies

FEW = Rules(n_boot=200)


def group(values, seeds=None, within=None):
  values = np.atleast_2d(np.asarray(values, float))
  within = np.zeros((*values.shape, 1)) if within is None else within
  return Group(values, within, tuple(seeds or range(values.shape[1])))


def effect_of(found):
  """In the layer where there is one."""
  effect = found.effect('decode_share', 'enc/cnn0', 'b')
  assert effect is not None
  return effect


def test_a_planted_effect_is_found_in_its_layer_alone(rng):
  found = compare(planted_studies.numbers(rng, effect=5), 'ab', FEW)
  there = {x.layer for x in found.effects if x.p_all <= 0.05}
  assert there == {'enc/cnn0'}
  effect = effect_of(found)
  assert effect.diff == pytest.approx(0.5, abs=0.2)
  assert 2 < effect.g < 10
  assert 0 < effect.low < effect.diff < effect.high
  assert not effect.paired  # five pairs cannot show 5 %
  assert found.notes == ()


def test_five_runs_each_reach_exactly_the_least_p():
  far = hierarchy.difference(group(range(5)), group(range(10, 15)), False, 100, 0)
  assert far.p[0] == pytest.approx(2 / 252) == hierarchy.least_p(5, 5, False)
  few = hierarchy.difference(group(range(3)), group(range(10, 13)), False, 100, 0)
  assert few.p[0] == pytest.approx(0.1)
  gaps = hierarchy.difference(group(range(6)), group(range(10, 16)), True, 100, 0)
  assert gaps.p[0] == pytest.approx(2 / 64)


def test_agents_that_spread_more_do_not_pass_too_often():
  """Three agents that spread five times as much as eight others, and are no better."""
  rng, sentences, by_p = np.random.default_rng(0), 0, 0
  for trial in range(200):
    table = pd.concat(
      planted_studies.agents(x, spread * rng.normal(size=n))
      for x, spread, n in (('a', 1, 8), ('b', 5, 3))
    )
    (effect,) = compare(table, 'ab', Rules(n_boot=100, seed=trial)).effects
    by_p += effect.p_all <= 0.05
    sentences += tables.differs(effect)
  assert by_p > 20
  assert sentences < 20


@pytest.mark.parametrize('seeds', [1, 2])
def test_fewer_than_three_runs_give_points_alone(rng, seeds):
  found = compare(planted_studies.numbers(rng, 5, seeds), 'ab', FEW)
  assert all(
    np.isfinite(x.mean) and np.isnan([x.low, x.high]).all() for x in found.cells
  )
  for x in found.effects:
    assert np.isfinite(x.diff)
    assert np.isnan([x.low, x.high, x.g, x.p, x.p_all]).all()
  (note,) = found.notes
  assert 'no interval over runs and no p' in note


def test_three_runs_are_told_what_they_cannot_show(rng):
  found = compare(planted_studies.numbers(rng, seeds=3), 'ab', FEW)
  assert found.notes == ('3 v 3 runs cannot show a p below 0.1; more seeds can.',)


def test_pairs_follow_seeds(rng):
  numbers = planted_studies.numbers(rng, seeds=6)
  assert all(x.paired for x in compare(numbers, 'ab', FEW).effects)
  never = Rules(pairs='never', n_boot=200)
  assert not any(x.paired for x in compare(numbers, 'ab', never).effects)
  other = numbers.copy()
  other.loc[other['run'] == 'b0', 'seed'] = 17
  assert not any(x.paired for x in compare(other, 'ab', FEW).effects)
  five = planted_studies.numbers(rng, seeds=5)
  always = Rules(pairs='always', n_boot=200)
  assert all(x.paired for x in compare(five, 'ab', always).effects)
  # Runs in another order are the same study.
  mixed = numbers.iloc[::-1]
  a, b = (compare(x, 'ab', FEW).effects for x in (numbers, mixed))
  by_layer = {x.layer: x for x in b}
  assert all(x.p == by_layer[x.layer].p for x in a)
  assert all(x.diff == pytest.approx(by_layer[x.layer].diff) for x in a)


def test_a_shared_deviation_of_seeds_is_taken_out_by_pairs(rng):
  world = rng.normal(size=8)
  first = group(world + 0.1 * rng.normal(size=8))
  second = group(world + 0.3 + 0.1 * rng.normal(size=8))
  together = hierarchy.difference(second, first, True, 500, 0)
  apart = hierarchy.difference(second, first, False, 500, 0)
  assert together.p[0] < 0.05 < apart.p[0]
  assert together.low[0] > 0 > apart.low[0]
  order = rng.permutation(8)
  mixed = group(first.values[:, order], order.tolist())
  again = hierarchy.difference(second, mixed, True, 500, 0)
  for x, y in zip(together, again, strict=True):
    np.testing.assert_allclose(x, y)


def test_an_interval_without_episodes_is_students(rng):
  values = rng.normal(size=4)
  low, high = hierarchy.interval(group(values), 200_000, 0)
  half = 3.182446 * values.std(ddof=1) / 2
  assert high[0] - values.mean() == pytest.approx(half, rel=0.01)
  assert values.mean() - low[0] == pytest.approx(half, rel=0.01)


def test_noisy_episodes_widen_the_interval(rng):
  values = rng.normal(size=5)
  noise = rng.normal(size=(1, 5, 400))
  alone = hierarchy.interval(group(values), 5000, 0)
  with_episodes = hierarchy.interval(group(values, within=noise), 5000, 0)
  assert with_episodes[1][0] > alone[1][0]
  # Var = ((n - 1) / n var(values) + var(within)) / n, times n / (n - 1).
  expected = np.sqrt((0.8 * values.var(ddof=1) + 1) / 5 * 5 / 4) * 2.776445
  assert with_episodes[1][0] - values.mean() == pytest.approx(expected, rel=0.05)


def test_a_long_episode_moves_a_draw_as_much_as_it_weighs(rng):
  drawn = comparison._draws(np.array([0.0, 10]), np.array([99.0, 1]), 0.1, rng)
  np.testing.assert_allclose(np.unique(drawn), [-0.1, 0, 9.9], atol=1e-12)
  assert not comparison._draws(np.array([3.0]), np.ones(1), 3.0, rng).any()


def test_hedges_g_by_hand():
  # s = 1, d = 2, J = 1 - 3 / (4 * 4 - 1) = 0.8
  found = hierarchy.difference(group([3, 4, 5]), group([1, 2, 3]), False, 100, 0)
  assert found.diff[0] == 2
  assert found.g[0] == pytest.approx(1.6)
  same = hierarchy.difference(group([1, 1, 1]), group([1, 1, 1]), False, 100, 0)
  assert np.isnan(same.g[0])
  assert same.p[0] == 1


def test_a_lost_run_costs_only_its_numbers(rng):
  numbers = planted_studies.numbers(rng, effect=5)
  gone = numbers[(numbers['run'] != 'b4') | (numbers['layer'] == 'dyn/deter')]
  found = compare(gone, 'ab', FEW)
  sizes = {x.layer: x.n for x in found.effects}
  assert sizes == {**dict.fromkeys(sizes, 4), 'dyn/deter': 5}
  assert effect_of(found).p_all <= 0.05
  none = numbers[numbers['condition'] != 'b']
  found = compare(none, 'ab', FEW)
  assert not found.effects
  assert len(found.cells) == len(planted_studies.LAYERS)


def test_more_conditions_cost_power(rng):
  numbers = planted_studies.numbers(rng, effect=2)
  third = numbers[numbers['condition'] == 'b'].copy()
  third['condition'] = 'c'
  third['run'] = 'c' + third['seed'].astype(str)
  three = pd.concat([numbers, third])
  alone = effect_of(compare(numbers, 'ab', FEW))
  among = effect_of(compare(three, 'abc', FEW))
  assert compare(three, 'abc', FEW).notes == ()
  assert among.p == alone.p
  assert among.p_all == pytest.approx(min(2 * alone.p_all, 1))


def test_equal_conditions_differ_in_five_of_a_hundred_studies():
  rng = np.random.default_rng(1)
  alone, families = [], []
  for trial in range(60):
    layers = planted_studies.LAYERS[:3]
    numbers = planted_studies.numbers(rng, layers=layers, shared=0.3, episodes=2)
    effects = compare(numbers, 'ab', Rules(n_boot=1, seed=trial)).effects
    alone += [x.p <= 0.05 for x in effects]
    families.append(any(x.p_all <= 0.05 for x in effects))
  assert 0.01 <= np.mean(alone) <= 0.10
  assert np.mean(families) <= 0.12


def test_rliable_by_hand(rng):
  # A quarter of 8 is left out on each side: the mean of 2, 3, 4, 5.
  values = np.array([5, 100, 0, 3, 2, 4, 1, 7.0])
  assert scores.interquartile_mean(values) == 3.5
  assert scores.interquartile_mean(np.array([1.0, 2, 9])) == 4
  first, second = np.array([1.0, 3, 3]), np.array([0.0, 3])
  wins = [(a > b) + (a == b) / 2 for a, b in itertools.product(first, second)]
  assert scores.improvement(first, second) == pytest.approx(np.mean(wins))
  low, high = scores.bounds(scores.interquartile_mean, (rng.normal(size=9),), 300, 0)
  assert low < high
  assert np.isnan(scores.bounds(scores.improvement, (values, values[:2]), 10, 0)).all()


def test_scores_come_with_the_probability_of_improvement(rng):
  numbers = planted_studies.numbers(
    rng, effect=8, layers=('',), quantity='crafter_score'
  )
  found = compare(numbers, 'ab', FEW)
  reference, other = found.scores
  assert np.isnan(reference.better)
  assert other.better == 1
  assert other.iqm > reference.iqm
