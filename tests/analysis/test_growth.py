"""Code and score over training: planted ones are found half-way where they are."""

import numpy as np
import pytest

from dreamerv3.analysis import growth
from dreamerv3.analysis.geometry.study import Estimate
from dreamerv3.analysis.growth import CheckpointCode, Growth, GrowthOptions
from dreamerv3.analysis.learning import Curve
from dreamerv3.data.trajectories import Trajectories


def planted(name='run', code=100.0, score=300.0, noise=0.0):
  """Error falls from 10 to 2 and score rises from 0 to 4, half of it at given steps."""
  steps = np.array([0, code / 2, code, 2 * code, 1000])
  errors = np.array([10, 8, 6, 2.5, 2])
  codes = tuple(
    CheckpointCode(int(s), Estimate(e, e - 1, e + 1), 11.0)
    for s, e in zip(steps, errors, strict=True)
  )
  at = np.arange(0, 1001, 10.0)
  rng = np.random.default_rng(0)
  value = 4 / (1 + np.exp(-(at - score) / 20)) + noise * rng.normal(size=len(at))
  return Growth(name, codes, Curve(at, value))


def test_half_of_the_way_is_found_where_it_was_planted():
  found = growth.halves(planted())
  assert found.code == pytest.approx(100)
  assert found.score == pytest.approx(300, abs=5)


def test_what_does_not_grow_has_no_half():
  flat = tuple(CheckpointCode(s, Estimate(9.0, 8, 10), 11.0) for s in (0, 500, 1000))
  found = growth.halves(Growth('run', flat, planted().score))
  assert np.isnan(found.code)
  assert found.score > 0
  assert np.isnan(growth.halves(Growth('run', planted().codes, None)).code)


def test_the_order_is_said_of_several_runs_alone():
  few = growth.which_first([planted(), planted('other')])
  assert 'is not said of 2 runs' in few
  some = growth.which_first([planted(str(i), 100 + 10 * i) for i in range(3)])
  assert 'step 110 and the score at 300' in some
  assert 'first in 3 of 3 (too few to test)' in some
  runs = [planted(str(i), 100 + 10 * i, 280 + 5 * i) for i in range(6)]
  assert 'first in 6 of 6 (p = 0.0312' in growth.which_first(runs)
  late = [planted(str(i), 400, 100 + i) for i in range(3)]
  assert 'first in 0 of 3' in growth.which_first(late)


def test_a_table_holds_the_runs():
  runs = [planted('a'), planted('b', 200)]
  table = [{k: str(v) for k, v in x.items()} for run in runs for x in growth.rows(run)]
  again = growth.from_rows(table)
  assert [x.run for x in again] == ['a', 'b']
  assert [growth.halves(x) for x in again] == [growth.halves(x) for x in runs]
  assert again[0].codes[0].constant == 11.0


def test_a_place_code_is_decoded(recording):
  data = Trajectories.open(recording)
  options = GrowthOptions(geometry=True, max_wake_samples=100, n_iters=50, n_boot=20)
  found = growth.measure(7, data, 'dyn/deter', options)
  noise = growth.measure(7, data, 'dyn/stoch', options)
  assert found.step == 7
  assert found.error.value < 0.5 * found.constant
  assert found.error.low <= found.error.value <= found.error.high
  assert noise.error.value > 2 * found.error.value
  assert found.srsa.value > noise.srsa.value
