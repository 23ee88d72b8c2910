import numpy as np

from dreamerv3.analysis import nulls
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.drift import Drift
from dreamerv3.data.grid import Grid
from tests.analysis import planted


def test_a_field_that_moves_is_told_from_one_that_stays(rng):
  tiles = planted.world((14, 14), obstructed=False)
  track = planted.track(tiles, rng, 24, 200)
  late = track.episode >= 12
  here, there = (planted.field(track, np.array(x), 2) for x in ((3, 3), (10, 9)))
  noise = planted.slow_noise(track, 300, 0.95, rng)
  X = np.column_stack(
    [here, np.where(late, there, here), np.where(late, 0, here), noise]
  ).astype(np.float32)
  X[:, :3] += 0.1 * rng.normal(size=(len(track), 3))
  drift = Drift.build(Design.build(track, Grid(14, 14)))
  assert drift
  scores = drift.scores(X - X.mean(0))
  p = nulls.p_values(scores[0], scores[1:])
  assert p[0] > 0.05
  np.testing.assert_allclose(p[1:3], 1 / 61, atol=1e-6)
  assert 0.02 < (p[3:] <= 0.05).mean() < 0.08


def test_few_episodes_cannot_tell(rng):
  tiles = planted.world((14, 14), obstructed=False)
  track = planted.track(tiles, rng, 7, 60)
  assert not Drift.build(Design.build(track, Grid(14, 14)))
