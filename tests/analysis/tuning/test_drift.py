import dataclasses

import numpy as np

from dreamerv3.analysis import nulls
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.drift import Drift, uneven
from dreamerv3.analysis.tuning.maps.reliability import PartSums, correlation
from dreamerv3.analysis.tuning.measures import drifted
from dreamerv3.data.grid import Grid
from dreamerv3.data.samples import Track
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


def test_scores_are_correlations_over_the_tiles_of_both_halves(rng):
  tiles = planted.world((14, 14), obstructed=False)
  track = planted.track(tiles, rng, 8, 20)
  design = Design.build(track, Grid(14, 14))
  drift = Drift.build(design)
  every = np.unique(drift.splits, axis=0)
  assert len(every) == len(drift.splits)  # the data's own is no null
  X = rng.normal(size=(len(track), 2)).astype(np.float32) * [1, 0]
  scores = drift.scores(X)
  episode = np.unique(track.episode, return_inverse=True)[1]  # a run each
  for half, score in zip(drift.splits[:5], scores, strict=False):
    maps, visits = [], []
    for some in (half[episode], ~half[episode]):
      n = np.bincount(design.tile[some], minlength=design.n_tiles)
      total = np.bincount(design.tile[some], X[some, 0], design.n_tiles)
      maps.append(total / np.maximum(n, 1))
      visits.append(n)
    m, n = visits
    both = (m > 0) & (n > 0)
    weight = 1 / (1 + 4 * (m + n)[both] / (2 * m * n)[both])
    c = np.cov(maps[0][both], maps[1][both], aweights=weight)
    np.testing.assert_allclose(
      -score[0], c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]), rtol=1e-4
    )
    assert np.isnan(score[1])


def test_the_share_that_changes_is_one_of_what_is_reliable(rng):
  tiles = planted.world((14, 14), obstructed=False)
  track = planted.track(tiles, rng, 12, 100)
  field = planted.field(track, np.array((6, 6)), 2)[:, None]
  X = field + 0.5 * rng.normal(size=(len(track), 5))
  parts = PartSums.build(Design.build(track, Grid(14, 14)), X - X.mean(0))
  halves = correlation(*parts.halves())
  assert (halves > 0.1).all()
  scores = -halves * [1, 0.75, 0, -0.5, 1.2]
  np.testing.assert_allclose(drifted(scores, parts), [0, 0.25, 1, 1, 0], atol=1e-6)


def test_few_episodes_cannot_tell(rng):
  tiles = planted.world((14, 14), obstructed=False)
  track = planted.track(tiles, rng, 7, 60)
  assert not Drift.build(Design.build(track, Grid(14, 14)))


def test_halves_of_far_more_and_fewer_samples_are_not_compared(rng):
  """Episodes that grow longer make maps of the halves differ that are the same."""
  tiles = planted.world((14, 14), obstructed=False)
  short, long = planted.track(tiles, rng, 12, 60), planted.track(tiles, rng, 12, 240)
  later = dataclasses.replace(long, episode=long.episode + 12)
  names = [x.name for x in dataclasses.fields(Track)]
  parts = {x: [getattr(y, x) for y in (short, later)] for x in names}
  track = Track(**{k: np.concatenate(v) for k, v in parts.items()})
  assert uneven(track.episode)
  assert not uneven(long.episode)
  assert not Drift.build(Design.build(track, Grid(14, 14)))
