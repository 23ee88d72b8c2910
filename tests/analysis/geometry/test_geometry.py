"""sRSA and sleep-wake distance by hand and on planted codes."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy import special, stats
from scipy.spatial.distance import cdist, pdist

from dreamerv3.analysis.geometry import distances, evidence, space
from dreamerv3.analysis.geometry.dreamed import Sleep
from dreamerv3.analysis.geometry.embedding import embed, one_direction
from dreamerv3.analysis.geometry.saturation import hill_fit
from dreamerv3.analysis.geometry.similarity import Similarity
from dreamerv3.analysis.geometry.study import (
  Estimate,
  GeometryComparison,
  LayerGeometry,
)
from dreamerv3.analysis.geometry.table import verdict
from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid
from dreamerv3.data.samples import Track

GRID = Grid(16, 16)
TABLE = space.straight(GRID)


def walks(rng, episodes=12, steps=60):
  """Random walks, one episode after another."""
  moves = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])
  pos = rng.integers(16, size=(episodes, 1, 2))
  path = [pos[:, 0]]
  for _ in range(steps - 1):
    path.append(np.clip(path[-1] + moves[rng.integers(4, size=episodes)], 0, 15))
  pos = np.stack(path, 1).reshape(-1, 2)
  t = np.tile(np.arange(steps), episodes)
  facing = np.zeros((len(t), 2), np.int8)
  return Track(pos, np.repeat(np.arange(episodes), steps), t, facing)


def noise(rng, track, units=20, keep=0.98):
  """Slow noise that begins anew in each episode."""
  steps = np.bincount(track.episode)[0]
  out = [rng.normal(size=(len(track) // steps, units))]
  for _ in range(steps - 1):
    out.append(keep * out[-1] + np.sqrt(1 - keep**2) * rng.normal(size=out[-1].shape))
  return np.stack(out, 1).reshape(-1, units).astype(np.float32)


def similarity(X, track, views=None):
  tile = GRID.to_class(track.pos)
  return Similarity.of(X, tile, TABLE, track.episode, track.t, views)


def test_srsa_and_its_partial_form_by_hand(rng):
  track = walks(rng)
  X = (np.c_[track.pos, np.full(len(track), 9)] + noise(rng, track, 3)).astype('f4')
  views = (track.pos / 9 + rng.random((len(track), 2))).astype(np.float32)
  i, j = np.triu_indices(len(track), 1)
  apart = track.episode[i] != track.episode[j]
  each = pdist(X, 'cosine'), pdist(track.pos), pdist(views), pdist(track.t[:, None])
  ranks = [stats.rankdata(x[apart]) for x in each]
  matrix = np.corrcoef(ranks)
  inverse = np.linalg.inv(matrix)
  found = similarity(X, track, views)
  assert found.srsa == pytest.approx(matrix[0, 1], abs=2e-3)
  partial = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
  assert found.value(found.controls) == pytest.approx(partial, abs=2e-3)
  assert found.histogram.sum() == apart.sum() == found.count.sum()
  few = np.flatnonzero(track.t % 6 == 0)
  i, j = np.triu_indices(len(few), 1)
  apart = track.episode[few][i] != track.episode[few][j]
  exact = stats.spearmanr(pdist(X[few], 'cosine')[apart], pdist(track.pos[few])[apart])
  assert similarity(X[few], track.rows(few)).srsa == pytest.approx(exact[0], abs=1e-5)
  # Pairs without a way between them count nowhere.
  east = GRID.to_pos(np.arange(256))[:, 0] > 7
  table = np.where(east[:, None] == east, TABLE, np.inf)
  tile, some = GRID.to_class(track.pos[few]), track.rows(few)
  found = Similarity.of(X[few], tile, table, some.episode, some.t)
  joined = apart & np.isfinite(table[tile[i], tile[j]])
  known = [pdist(x)[joined] for x in (track.pos[few], some.t[:, None])]
  code = pdist(X[few], 'cosine')[joined]
  ranks = [stats.rankdata(x) for x in (code, *known)]
  np.testing.assert_allclose(found.correlations(), np.corrcoef(ranks), atol=1e-5)
  assert found.count.sum() == joined.sum()


def test_a_weight_is_an_episode_that_many_times(rng):
  track = walks(rng, 12, 30)
  X = (np.c_[track.pos, np.full(len(track), 9)] + noise(rng, track, 3)).astype('f4')
  found = similarity(X, track)
  weight = np.arange(12) % 3 != 0
  rows = weight[track.episode]
  # The ranks stay those of all pairs, so the two agree only nearly.
  part = similarity(X[rows], track.rows(rows)).srsa
  assert found.value(weight=weight) == pytest.approx(part, abs=0.02)


@pytest.mark.parametrize('kind', ['linear', 'smooth', 'noise', 'view'])
def test_planted_codes_are_told_apart(rng, kind):
  track = walks(rng)
  tile = GRID.to_class(track.pos)
  scene = rng.random((256, 6))  # each tile looks like none of its neighbours
  centres = rng.integers(16, size=(40, 2))
  smooth = np.exp(-cdist(GRID.to_pos(np.arange(256)), centres, 'sqeuclidean') / 18)
  if kind == 'view':  # neighbours look alike
    scene = smooth / np.linalg.norm(smooth, axis=1, keepdims=True)
  X = {
    'linear': np.c_[track.pos, np.full(len(track), 9.0)],
    'smooth': smooth[tile],
    'noise': noise(rng, track),
    'view': scene[tile],
  }[kind].astype(np.float32)
  X = X + 0.05 * X.std() * rng.normal(size=X.shape).astype(np.float32)
  rows = np.arange(len(track))
  views = scene[tile].astype(np.float32)
  p = evidence.exchanged(X, tile, TABLE, track, rows, views, 100, 0)
  if kind in ('linear', 'smooth'):
    assert similarity(X, track, views).srsa > 0.3
    assert p['p'] < 0.05
    assert p['p_partial'] < 0.05
  if kind == 'noise':
    assert p['p'] > 0.05
    assert abs(similarity(X, track).srsa) < 0.1
  if kind == 'view':  # a code of what is seen is near where it looks alike
    found = similarity(X, track, views)
    assert found.srsa > 0.3
    assert abs(found.value(('view',))) < 0.2 * found.srsa


def test_ranks_among_many_pairs_are_those_of_a_drawn_sample(rng):
  episode, value = np.arange(800) // 100, rng.random(800)
  table = np.abs(value[:, None] - value)
  of = {'space': distances.Between(table, np.arange(800))}
  found = [distances.ranks_of(of, episode, x)['space'] for x in (0, 0, 1)]
  np.testing.assert_array_equal(found[0].sample, found[1].sample)
  assert not np.array_equal(found[0].sample, found[2].sample)
  i, j = np.nonzero(episode[:, None] < episode)
  exact = stats.rankdata(table[i, j]) / len(i)
  np.testing.assert_allclose(found[0](table[i, j]), exact, atol=0.01)


@pytest.mark.slow
def test_slow_noise_passes_in_a_twentieth():
  called = 0
  for seed in range(100):
    rng = np.random.default_rng(seed)
    track = walks(rng, 10, 40)
    tile = GRID.to_class(track.pos)
    rows = np.arange(len(track))
    X = noise(rng, track)
    found = evidence.exchanged(X, tile, TABLE, track, rows, None, 60, seed)
    called += found['p'] <= 0.05
  assert called <= 10  # 5 expected; more than 10 in 1 % of honest tests


def test_a_path_on_one_tile_and_a_constant_code_have_no_srsa(rng):
  track = walks(rng, 5, 20)
  still = dataclasses.replace(track, pos=np.zeros_like(track.pos))
  for path, X in ((still, noise(rng, track)), (track, np.ones((100, 3), np.float32))):
    assert np.isnan(similarity(X, path).srsa)
    tile, rows = GRID.to_class(path.pos), np.arange(100)
    p = evidence.exchanged(X, tile, TABLE, path, rows, None, 9, 0)
    assert np.isnan([*p.values()]).all()


def test_timesteps_of_one_episode_cannot_be_compared(rng):
  track = walks(rng, 1, 30)
  with pytest.raises(UserError, match='are of one episode'):
    similarity(noise(rng, track), track)


def test_no_draw_of_episodes_correlates_more_than_1(rng):
  """Draws of few pairs may hold one rank alone, whose variance is rounding."""
  track = walks(rng, 6, 1)
  found = similarity(rng.normal(size=(6, 20)).astype(np.float32), track)
  drawn = evidence.draws(found, (), evidence.weights(6, 300, 0))
  assert np.isnan(drawn).any()
  assert np.nanmax(np.abs(drawn)) <= 1 + 1e-5


def test_walking_goes_around_walls():
  free = np.ones((5, 5), bool)
  free[2, :4] = False
  table = space.walking(free, np.zeros((1, 2), int))
  grid = Grid(5, 5)
  a, b = grid.to_class(np.array([(1, 0), (3, 0)]))
  assert table[a, b] == 10
  assert table[a, a] == 0
  wall = grid.to_class(np.array([2, 0]))
  assert np.isinf(table[a, wall])
  assert np.isfinite(space.walking(free, np.array([[2, 0]]))[a, wall])


def test_the_curve_of_a_known_saturation():
  x = np.arange(20.0)
  y = 0.1 + 0.5 * x**2 / (4.0**2 + x**2)
  found = hill_fit(x, y, np.full(20, 100))
  assert (found.d0, found.d_inf, found.x_half, found.n) == pytest.approx(
    (0.1, 0.6, 4, 2), rel=1e-3
  )
  assert found.r2 > 0.999
  assert np.isnan(hill_fit(x, np.full(20, 0.3), np.full(20, 9)).r2)
  # Means of few pairs are noise, and count as little.
  rare = x > 14
  noisy = hill_fit(x, np.where(rare, 0.3, y), np.where(rare, 1, 10000))
  assert noisy.x_half == pytest.approx(4, rel=0.02)
  assert noisy.d_inf == pytest.approx(0.6, rel=0.02)


def test_dreams_near_and_far_from_waking_states(rng):
  wake = rng.normal(size=(200, 8)).astype('f4')
  episode = np.repeat(np.arange(4), 50)
  drift = np.stack([wake[:30] + h * rng.normal(size=(30, 8)) for h in range(5)], 1)
  valid = np.ones((30, 5), bool)
  valid[3, 2:] = False
  found = Sleep.of(wake, episode, drift, valid)
  course = found.course()[1]
  assert course[0] < 1e-6
  assert course[1] < course[4]
  assert np.isnan(found.dream.reshape(30, 5)[3, 2:]).all()
  assert found.baseline > 0.01


def test_a_plane_is_drawn_flat(rng):
  grid = np.stack(np.meshgrid(np.arange(20), np.arange(20)), -1).reshape(-1, 2)
  turn = np.linalg.qr(rng.normal(size=(10, 10)))[0][:3]
  X = np.c_[grid / 20, np.full(400, 2.0)] @ turn
  found = embed(X[:300], X[300:], 12, True, 0)
  assert found.wake.shape == (300, 2)
  assert found.dream.shape == (100, 2)
  assert found.explained > 0.95
  again = embed(X[:300], X[300:], 12, True, 0)
  np.testing.assert_array_equal(again.wake, found.wake)
  flat = embed(X, X[:0], 12, False, 0)
  assert flat.explained == pytest.approx(1, abs=1e-4)


def test_a_single_unit_of_one_sign_has_components_alone(rng):
  X = 1 + rng.random((60, 1), np.float32)
  assert one_direction(X)
  assert not one_direction(X - 1.5)
  found = embed(X, X[:0], 12, False, 0)
  assert found.wake.shape == (60, 2)
  assert not found.wake[:, 1].any()
  constant = embed(np.ones((60, 2), np.float32), X[:0], 12, False, 0)
  assert not constant.wake.any()
  assert np.isnan(constant.explained)


def test_pairs_are_worked_through_in_parts_with_the_same_numbers():
  rng = np.random.default_rng(0)
  cosine = distances.Cosine(rng.normal(size=(50, 6)))
  i, j = rng.integers(50, size=(2, 3 * distances.PART + 5))
  taken = []

  class Watched:
    def pairs(self, i, j):
      taken.append(len(i))
      return cosine.pairs(i, j)

    block = cosine.block

  found = distances.pair_by_pair(Watched(), i, j)
  np.testing.assert_array_equal(found, cosine.pairs(i, j))
  assert max(taken) <= distances.PART


def test_what_was_not_tested_is_not_called_nothing():
  names = [x.name for x in dataclasses.fields(LayerGeometry)]
  made: dict[str, Any] = {**dict.fromkeys(names), 'layer': 'dyn/deter'}
  for p, said in ((np.nan, 'not tested'), (0.3, 'nothing shows'), (0.01, 'more than')):
    value = Estimate(0.3, 0.2, 0.4, p)
    made |= {'srsa': value, 'partial': value}
    found = LayerGeometry(**made)
    assert said in verdict(GeometryComparison(found))


def test_a_control_is_told_by_what_exceeds_it_and_less_than_nothing_is_not_near():
  names = [x.name for x in dataclasses.fields(LayerGeometry)]
  less, none, more = (Estimate(x, x - 0.1, x + 0.1, 0.01) for x in (-0.2, 0.05, 0.3))
  made: dict[str, Any] = {**dict.fromkeys(names), 'layer': 'dyn/deter'}

  def said(srsa, *gains):
    of = LayerGeometry(**{**made, 'srsa': srsa, 'partial': srsa})
    gained = dict(zip(('srsa', 'partial'), gains, strict=False))
    control = dataclasses.replace(of, srsa=none) if gains else None
    return verdict(GeometryComparison(of, control, **gained))

  assert 'nothing shows' in said(less)
  assert 'nothing shows' in said(less, more, more)
  assert 'more so' not in said(less, more, more)
  assert 'more than their images are; more so than in the control (' in said(
    more, more, more
  )
  assert 'more so than in the control, but not given the view' in said(more, more, less)
  assert 'given view and time alone more so' in said(more, less, more)
  assert 'not shown to exceed' in said(more, none, none)


@pytest.mark.parametrize('episodes', [6, 8, 60])
def test_p_of_a_difference_is_that_of_its_interval(rng, episodes):
  """Below 0.05 where the interval leaves 0 out, with few episodes as with many."""
  normal = special.ndtri((np.arange(20000) + 0.5) / 20000)
  for shift in np.linspace(1, 4, 61):
    low, _ = evidence.interval(shift + normal, episodes)
    p = evidence.two_sided(shift + normal, episodes)
    assert (p <= 0.05) == (low > 0) or abs(low) < 0.04
    assert evidence.two_sided(-shift - normal, episodes) == pytest.approx(p)
  assert evidence.two_sided(rng.normal(size=4000), episodes) > 0.5
