"""What a run says of memory, chance and control, on planted recordings."""

import dataclasses

import numpy as np
import pytest

from dreamerv3.analysis.decoding import run
from dreamerv3.analysis.decoding.comparisons import (
  compare,
  layer_pairs,
  same_path,
  verdict,
)
from dreamerv3.analysis.decoding.linear.fit import FitOptions
from dreamerv3.analysis.decoding.perception import sources
from dreamerv3.analysis.decoding.protocol import Protocol, make_plan
from dreamerv3.data import surroundings
from dreamerv3.data.trajectories import Trajectories
from tests import synthetic

AREA = (30, 28)
JOB = run.FitJob(FitOptions(n_iters=0), n_boot=100)


def places(pos, facing, rng):
  """Smooth over places, so that places nearby are known too."""
  fixed = np.random.default_rng(5)
  waves = fixed.normal(size=(2, 24)) / 5
  return np.sin(pos @ waves + fixed.uniform(0, 2 * np.pi, 24))


def noise(pos, facing, rng):
  return synthetic.noise(pos, facing, rng, 12)


def record(folder, deter, tokens, seed=0):
  codes = {'dyn/deter': deter, 'dyn/stoch': noise, 'enc/tokens': tokens}
  # So large that no edge is in view: around the player there is grass alone.
  tiles = synthetic.world(AREA)
  path = synthetic.record(
    folder, codes, 16, 50, tiles=tiles, seed=seed, start=(15, 14), rest=0.4
  )
  return Trajectories.open(path)


def study(data, control=None):
  plan = make_plan(data, None, Protocol(mode='layers', holdout_frac=0.5))
  results = [x for x, _ in run.work(plan, plan.chosen, JOB)]
  others = {}
  if control is not None:
    against = make_plan(control, None, Protocol(mode='layers', holdout_frac=0.5))
    others = run.control_results(against, [x.layer for x in results], JOB)
  seen = run.perceive(plan, results, JOB)
  rows = run.table_rows(results, others, seen, JOB)
  return results, seen, {x['layer']: x for x in rows}


@pytest.fixture(scope='module')
def remembers(tmp_path_factory):
  """The state knows the place, of which tokens and images show nothing."""
  folder = tmp_path_factory.mktemp('remembers')
  data = record(folder / 'a', places, noise)
  control = record(folder / 'b', noise, noise, seed=1)
  return study(data, control)


def test_memory_is_what_beats_perception(remembers):
  _, seen, rows = remembers
  row = rows['dyn/deter']
  assert set(seen.alone) == {'pixels', 'tokens', 'view'}
  assert row['diff_seen'] < 0
  assert row['p_vs_seen'] < 0.05
  assert row['memory'] > 0
  assert row['p_memory'] < 0.05
  assert ': memory, or a better reading of the view' in verdict(row)
  assert verdict(rows['dyn/stoch']).endswith('no memory shown.')


def test_a_state_that_only_repeats_the_view_is_no_memory(tmp_path):
  def blurred(pos, facing, rng):
    code = places(pos, facing, rng)
    return code + 0.3 * rng.normal(size=code.shape)

  data = record(tmp_path / 'a', blurred, places)
  _, seen, rows = study(data)
  row = rows['dyn/deter']
  assert row['seen'] == 'tokens'
  assert row['tokens'] == pytest.approx(rows['enc/tokens']['mean'])
  assert row['p_vs_chance_all'] < 0.05
  assert 'no memory' in verdict(row)


def test_what_the_view_tells_but_not_linearly_is_not_called_memory_alone(tmp_path):
  """No two places look alike, so that a code of places is a function of the view."""
  walls = np.argwhere(np.random.default_rng(0).random((16, 16)) < 0.15)
  tiles = synthetic.world((16, 16), tuple((int(x), int(y)) for x, y in walls))
  free = np.argwhere(tiles == synthetic.MATERIALS.index('grass'))
  views = surroundings.crop(tiles, free).reshape(len(free), -1)
  assert len(np.unique(views, axis=0)) == len(free)
  codes = {'dyn/deter': places, 'dyn/stoch': noise, 'enc/tokens': noise}
  path = synthetic.record(tmp_path / 'a', codes, 16, 100, tiles=tiles)
  row = study(Trajectories.open(path))[2]['dyn/deter']
  assert row['seen'] == 'view'
  assert row['diff_seen'] < 0
  assert row['p_vs_seen'] < 0.05
  assert not verdict(row).endswith(': memory.')


def one_way(tiles, length, rng, **walking):
  """The same walk in every episode, as a script leads it."""
  return synthetic.walk(tiles, length, np.random.default_rng(3), **walking)


def clock(pos, facing, rng):
  """Tells the time in the episode, and nothing of the place."""
  t, peaks = np.arange(len(pos)), np.linspace(0, 50, 12)
  return np.exp(-((t[:, None] - peaks) ** 2) / 20) + 0.1 * rng.normal(size=(len(t), 12))


def test_a_clock_on_one_path_is_no_memory_of_places(tmp_path):
  codes = {'dyn/deter': clock, 'dyn/stoch': noise, 'enc/tokens': noise}
  tiles = synthetic.world(AREA)
  path = synthetic.record(
    tmp_path / 'a', codes, 16, 50, tiles=tiles, walker=one_way, start=(15, 14)
  )
  row = study(Trajectories.open(path))[2]['dyn/deter']
  assert row['p_vs_chance'] < 0.05
  assert row['p_vs_seen'] < 0.05
  said = verdict(row)
  assert 'Not shown to be better than a guess by the time in the episode, ' in said
  assert said.endswith('no memory shown.')


def test_layers_are_told_from_chance_control_and_each_other(remembers):
  results, _, rows = remembers
  assert rows['dyn/deter']['p_vs_control_all'] < 0.05
  assert rows['dyn/deter']['diff_control'] < 0
  assert rows['dyn/deter']['control_paired'] == 0
  assert rows['dyn/stoch']['p_vs_chance_all'] > 0.05
  assert rows['dyn/stoch']['p_vs_control'] > 0.05
  pairs = {(x['layer'], x['other']): x for x in layer_pairs(results, 100, 0)}
  assert len(pairs) == 3
  assert pairs['dyn/stoch', 'dyn/deter']['p_all'] < 0.05
  assert pairs['dyn/stoch', 'dyn/deter']['diff'] > 0
  assert pairs['enc/tokens', 'dyn/stoch']['p'] > 0.05


def test_a_control_on_the_same_path_is_compared_by_pairs(remembers):
  results, _, _ = remembers
  worse = {
    x.layer: dataclasses.replace(x, errors=x.errors + (x.t % 3 == 0)) for x in results
  }
  assert all(same_path(x, worse[x.layer]) for x in results)
  rows = compare(results, worse, {}, 100, 0)
  assert all(x['control_paired'] == 1 and x['p_vs_control_all'] < 0.05 for x in rows)
  for row, result in zip(rows, results, strict=True):  # as a share of the guess's error
    share = -(result.t % 3 == 0).mean() / result.best_constant.mean()
    assert row['diff_control'] == pytest.approx(share)
  # As if it were another recording, so small an effect is not to be seen.
  apart = {k: dataclasses.replace(v, t=v.t + 1) for k, v in worse.items()}
  assert all(x['p_vs_control_all'] > 0.05 for x in compare(results, apart, {}, 100, 0))


def test_pixels_are_learned_from_training_rows_alone(recording):
  data = Trajectories.open(recording)
  found, notes = sources(data, 0)
  assert notes == []
  train = np.arange(100)
  first = found['pixels'](train)
  assert first.shape[0] == len(data.track())
  assert abs(first[train].mean(0)).max() < 0.01
  assert abs(first[100:].mean(0)).max() > 0.01
