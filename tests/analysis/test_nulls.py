import itertools

import numpy as np
import pytest

from dreamerv3.analysis import nulls
from dreamerv3.analysis.tuning import significance
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.setup import Setup
from dreamerv3.analysis.tuning.table import measure
from dreamerv3.data.grid import Grid
from dreamerv3.data.samples import Samples
from tests.analysis import planted

LENGTHS = (30, 41, 25, 60, 50, 33, 41)


@pytest.fixture
def episode():
  return np.repeat(np.arange(len(LENGTHS)), LENGTHS)


def times(episode):
  return np.concatenate([np.arange(n) for n in np.bincount(episode)])


@pytest.mark.parametrize('kind', nulls.KINDS)
def test_every_sample_is_used_once(episode, kind, rng):
  found = list(nulls.permutations(episode, kind, 30, rng))
  assert len(found) == 30
  for rows in found:
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(episode)))


def test_sessions_pair_equal_times_of_any_episode(episode, rng):
  t = times(episode)
  shared = t < sorted(LENGTHS)[-2]  # beyond, one episode is alone
  met = np.zeros((len(LENGTHS), len(LENGTHS)))
  for rows in nulls.permutations(episode, 'session', 2000, rng):
    np.testing.assert_array_equal(t[rows][shared], t[shared])
    np.add.at(met, (episode[t == 0], episode[rows][t == 0]), 1)
    assert (rows[~shared] != np.flatnonzero(~shared)).all()
  # Every pair as often as any other, an episode with itself included.
  np.testing.assert_allclose(met / met.sum(1), 1 / len(LENGTHS), atol=0.04)


def test_similar_lengths_are_paired(rng):
  lengths = rng.permutation(np.arange(20, 80))
  episode = np.repeat(np.arange(60), lengths)
  for rows in nulls.permutations(episode, 'session', 5, rng):
    first = np.flatnonzero(times(episode) == 0)
    gap = lengths - lengths[episode[rows[first]]]
    assert np.abs(gap).max() < 2 * nulls.GROUP


def test_sessions_break_each_episode_at_few_places(episode, rng):
  for rows in nulls.permutations(episode, 'session', 30, rng):
    same = np.diff(episode) == 0
    breaks = (np.diff(rows) != 1) & same
    # One per end of another episode, and two in the rotated rest.
    assert breaks.sum() <= 2 * len(LENGTHS) + 2


def test_shifts_stay_in_their_episode(episode, rng):
  for rows in nulls.permutations(episode, 'shift', 30, rng):
    np.testing.assert_array_equal(episode[rows], episode)
    assert (rows != np.arange(len(rows))).all()


def test_few_episodes_have_few_pairings_and_each_is_used_once(rng):
  episode = np.repeat(np.arange(4), 20)
  found = {x.tobytes() for x in nulls.permutations(episode, 'session', 200, rng)}
  assert len(found) == 23  # 4! without the data
  one = np.zeros(20, int)
  assert not list(nulls.permutations(one, 'session', 5, rng))


def test_the_seed_decides(episode):
  a, b, c = (
    np.array([*nulls.permutations(episode, 'session', 5, np.random.default_rng(s))])
    for s in (1, 1, 2)
  )
  assert (a == b).all()
  assert (a != c).any()


def test_unknown_nulls_are_refused(episode, rng):
  with pytest.raises(ValueError, match="'session', 'shift'"):
    list(nulls.permutations(episode, 'jitter', 1, rng))


def test_p_counts_nulls_that_are_as_high():
  null = np.array([[1.0, 1], [2, 1], [3, 1], [4, 1]])
  p = nulls.p_values(np.array([2.5, 1.0]), null)
  np.testing.assert_allclose(p, [3 / 5, 1])
  # Of float32, summed in another order.
  summed = np.array([[0.3 - 1e-8], [0]])
  assert nulls.p_values(np.array([0.3], np.float32), summed) == 2 / 3
  assert np.isnan(nulls.p_values(np.array([np.nan]), null[:, :1]))


def test_q_equals_the_definition():
  p = np.array([0.01, 0.5, np.nan, 0.03, 0.031, 0.9])
  known = np.array([0.01, 0.03, 0.031, 0.5, 0.9])
  want = [min(known[j] * 5 / (j + 1) for j in range(i, 5)) for i in range(5)]
  order = [0, 3, 4, 1, 5]
  q = nulls.q_values(p)
  np.testing.assert_allclose(q[order], want)
  assert np.isnan(q[2])


def test_tails_go_on_below_the_smallest_p(rng):
  null = rng.normal(size=(99, 50))
  observed = rng.normal(size=50)
  observed[0] = 30
  p = nulls.tail_p_values([nulls.tail(observed, null)])
  plain = nulls.p_values(observed, null)
  assert p[0] == pytest.approx(1 / (1 + 99 * 50))
  assert (p <= plain).all()
  same = plain > 0.011
  np.testing.assert_array_equal(p[same], plain[same])
  # In parts, of which each keeps its highest nulls alone: the same.
  cuts = np.split(np.arange(50), (7, 20, 21))
  parts = [nulls.tail(observed[x], null[:, x]) for x in cuts]
  np.testing.assert_array_equal(nulls.tail_p_values(parts), p)
  assert sum(len(x.high) for x in parts) < 0.3 * null.size


def test_tails_rank_units_among_the_nulls_of_all(rng):
  null = rng.normal(size=(20, 60))
  observed = null.max(0) + np.where(rng.random(60) < 0.4, 0.02, -0.02)

  def z(score, others):
    return (score - others.mean()) / others.std(ddof=1)

  pool = [z(x, np.delete(row, i)) for row in null.T for i, x in enumerate(row)]
  want = nulls.p_values(observed, null)
  for d in np.flatnonzero(want == 1 / 21):
    above = np.sum(np.array(pool) >= z(observed[d], null[:, d]))
    want[d] = min(1 / 21, (1 + above) / (1 + null.size))
  assert len(np.unique(want[want < 1 / 21])) > 9
  np.testing.assert_allclose(nulls.tail_p_values([nulls.tail(observed, null)]), want)


@pytest.mark.parametrize('ones', [9, 11])
def test_tails_raise_no_p_and_trust_no_score_that_is_not_high(ones):
  # The unit beats nulls of which half are nearly as high, as those of all others are.
  null = np.repeat(np.arange(20) < ones, 50).reshape(20, 50).astype(float)
  observed = np.where(np.arange(50), 0, 1.01)
  parts = [nulls.tail(observed[x], null[:, x]) for x in ([0], np.arange(1, 50))]
  assert nulls.tail_p_values(parts)[0] == 1 / 21


def test_the_strongest_of_scores_is_one_test(rng):
  observed = rng.normal(size=(2, 4000))
  null = rng.normal(size=(2, 59, 4000))
  p = nulls.p_values(*nulls.strongest(observed, null))
  assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.015)
  observed[1, 0] = 20
  top, tops = nulls.strongest(observed, null)
  assert nulls.p_values(top, tops)[0] == 1 / 60
  # The data are treated as their nulls are.
  observed, null[:, 0] = null[:, 0].copy(), observed
  again, others = nulls.strongest(observed, null)
  np.testing.assert_allclose(again, tops[0])
  np.testing.assert_allclose(others[0], top)


def rates_of_false_positives(tiles, null, rho, seed, lengths=150):
  rng = np.random.default_rng(seed)
  track = planted.track(tiles, rng, 20, lengths)
  design = Design.build(track, Grid(*tiles.shape))
  X = planted.slow_noise(track, 300, rho, rng).astype(np.float32)
  setup = Setup.build(design, n_shuffles=99, null=null, seed=seed)
  table = measure(Samples('noise', X, track), setup)
  return {k: float((p <= 0.05).mean()) for k, p in table.p.items()}


@pytest.mark.slow
@pytest.mark.parametrize('rho', [0.9, 0.98])
def test_noise_is_called_tuned_as_often_as_alpha_says(rho):
  # Half of the walks share their spawn; coverage is uneven.
  tiles = planted.world((14, 14), obstructed=False)
  found = [rates_of_false_positives(tiles, 'session', rho, s) for s in range(10)]
  for name in found[0]:
    mean = np.mean([x[name] for x in found])
    # 3000 units: the binomial's standard deviation is 0.4 %, and units of a
    # seed share their path, of which there are ten.
    assert mean < 0.07, (name, [x[name] for x in found])


@pytest.mark.slow
def test_shifting_in_time_finds_too_much_in_drifting_noise():
  tiles = planted.world((14, 14), obstructed=False)
  shift = rates_of_false_positives(tiles, 'shift', 0.995, 0)
  session = rates_of_false_positives(tiles, 'session', 0.995, 0)
  assert shift['EVs'] > session['EVs']


def test_scores_equal_their_definition(rng):
  tiles = planted.world((10, 9), obstructed=False)
  track = planted.track(tiles, rng, 6, 80)
  design = Design.build(track, Grid(10, 9))
  scorer = significance.Scorer.build(design, np.zeros((0, design.n_tiles)))
  X = rng.normal(size=(len(track), 3)).astype(np.float32)
  observed, _ = scorer.test(X, np.zeros((0, len(track)), np.int32))
  got = dict(zip(scorer.names, observed, strict=True))
  x = X - X.mean(0)

  def left(*keys):
    """Residual sum of squares around the means of groups."""
    labels = np.stack(keys, 1)
    out = 0
    for group in np.unique(labels, axis=0):
      rows = x[(labels == group).all(1)]
      out = out + ((rows - rows.mean(0)) ** 2).sum(0)
    return out

  total = (x**2).sum(0)
  place, facing = left(design.tile), left(design.heading)
  both = left(design.tile, design.heading)
  want = {
    'EVs': 1 - place / total,
    'R2_HD': 1 - facing / total,
    'R2_both': 1 - both / total,
    'place_given_HD': (facing - both) / both,
    'HD_given_place': (place - both) / both,
  }
  for name, value in want.items():
    np.testing.assert_allclose(got[name], value, rtol=1e-3, err_msg=name)


def test_wide_scores_equal_their_definition(rng):
  tiles = planted.world((10, 9), obstructed=False)
  track = planted.track(tiles, rng, 6, 80)
  design = Design.build(track, Grid(10, 9))
  scorer = significance.Scorer.build(design, np.zeros((0, design.n_tiles)))
  X = rng.normal(size=(len(track), 2)).astype(np.float32)
  observed, _ = scorer.test(X, np.zeros((0, len(track)), np.int32))
  got = dict(zip(scorer.names, observed, strict=True))
  x = X - X.mean(0)
  left = 0.0
  for tile, heading in itertools.product(range(design.n_tiles), range(4)):
    rows = x[(design.tile == tile) & (design.heading == heading)]
    if len(rows):
      left = left + ((rows - rows.mean(0)) ** 2).sum(0)
  block = track.pos // 3
  for name, label in (
    ('place_given_HD_wide', design.heading),
    ('HD_given_place_wide', design.tile),
  ):
    residual = x.copy()
    for value in np.unique(label):
      residual[label == value] -= x[label == value].mean(0)
    explained = 0.0
    keys = np.column_stack([block, design.heading])
    for key in np.unique(keys, axis=0):
      rows = residual[(keys == key).all(1)]
      explained = explained + rows.sum(0) ** 2 / len(rows)
    np.testing.assert_allclose(got[name], explained / left, rtol=1e-3)
