"""Statistics of dreams on paths whose numbers are known by hand."""

import dataclasses

import numpy as np
import pytest

from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.dreams import decoder as dream_decoder
from dreamerv3.analysis.dreams import measures as stats
from dreamerv3.analysis.dreams.measures import DreamSet
from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid, manhattan

GRID = Grid(12, 10)


def east(start, steps, step=1):
  """(steps + 1, 2), `step` tiles to the east each time."""
  return np.array([(start[0] + step * i, start[1]) for i in range(steps + 1)])


def make(replay, policy=None, observed=None, real=None, valid=None, episode=None):
  """Dreams from a list of paths; what is not given is the real path."""
  replay = np.asarray(replay)
  real = replay if real is None else np.asarray(real)
  n, steps = replay.shape[:2]
  return DreamSet(
    grid=GRID,
    episode=np.arange(n) if episode is None else np.asarray(episode),
    t=np.zeros(n, int),
    past=real[:, :1],
    real=real,
    valid=np.ones((n, steps), bool) if valid is None else np.asarray(valid),
    decoded={
      'replay': replay,
      'policy': real if policy is None else np.asarray(policy),
      'observed': real if observed is None else np.asarray(observed),
    },
  )


def decoder(layer='dyn/deter', units=3, grid=GRID, **held_out):
  classes = np.array([0, 11, 119])
  weights = np.zeros((units, 3), np.float32)
  return LinearDecoder(weights, classes, grid, layer, held_out)


def test_error_curves_by_hand():
  real = np.stack([east((0, 0), 3), east((0, 5), 3)])
  replay = real + np.array([0, 1])  # one tile south of the truth
  replay[:, 3] += (2, 0)
  curves = stats.make_curves(
    make(replay, real=real), GRID.count(np.array([(0, 0)] * 3 + [(2, 0)])), seed=0
  )
  np.testing.assert_allclose(curves.mean['replay'], [1, 1, 1, 3])
  np.testing.assert_allclose(curves.mean['divergence'], [1, 1, 1, 3])
  np.testing.assert_allclose(curves.mean['observed'], 0)
  np.testing.assert_allclose(curves.mean['policy'], 0)
  np.testing.assert_allclose(curves.mean['still'], [0, 1, 2, 3])
  np.testing.assert_allclose(curves.mean['frozen'], [1, 2, 3, 4])  # where it began
  # The best constant is (0, 0): distances x + y.
  np.testing.assert_allclose(curves.mean['constant'], [2.5, 3.5, 4.5, 5.5])
  # A guess of (0, 0) or (2, 0) in proportion 3 to 1.
  step0 = np.mean([0.25 * 2, 0.25 * 2 + 5])
  assert curves.mean['prior'][0] == pytest.approx(step0)
  # Two dreams exchange their latents at every step.
  np.testing.assert_allclose(curves.mean['shuffled'], [5, 5, 5, 7])
  assert curves.count.tolist() == [2] * 4


def test_steps_after_the_end_count_nowhere():
  real = np.stack([east((0, 0), 4), east((0, 5), 4), east((0, 9), 4)])
  valid = np.ones((3, 5), bool)
  valid[1, 3:] = False
  clean = make(real, real=real, valid=valid)
  walkable = np.ones(GRID.shape, bool)
  walkable[11, 9] = False
  paths = {'replay': real.copy(), 'policy': real.copy()}
  for path in paths.values():
    path[1, 3:] = (11, 9)
  after = real.copy()
  after[1, 3:] = (11, 9)
  dirty = make(**paths, observed=after, real=after, valid=valid)
  visits = GRID.count(np.array([(3, 3), (4, 3)]))
  a, b = (stats.make_curves(x, visits, 0) for x in (clean, dirty))
  assert a.count.tolist() == [3, 3, 3, 2, 2]
  for name in a.mean:
    np.testing.assert_array_equal(a.mean[name], b.mean[name], name)
  for name in a.low:
    np.testing.assert_array_equal(a.low[name], b.low[name])
    np.testing.assert_array_equal(a.high[name], b.high[name])
  assert stats.coherences(clean, walkable, 0) == stats.coherences(dirty, walkable, 0)


def test_a_step_that_no_episode_reaches_has_no_number():
  real = east((0, 0), 3)[None]
  valid = np.array([[True, True, False, False]])
  curves = stats.make_curves(make(real, valid=valid), GRID.count(real[0]), 0)
  assert curves.count.tolist() == [1, 1, 0, 0]
  assert np.isfinite(curves.mean['replay'][:2]).all()
  assert np.isnan(curves.mean['replay'][2:]).all()
  assert np.isnan(curves.mean['shuffled']).all()  # nobody to exchange with
  assert curves.gains['chance'].reach <= 1
  stats.table(curves, stats.coherences(make(real, valid=valid), None, 0))


def test_jumps_lengths_and_walkable_tiles_by_hand():
  path = np.array([(0, 0), (1, 0), (1, 1), (4, 5), (4, 5), (5, 6)])[None]
  walkable = np.zeros(GRID.shape, bool)
  walkable[1, :] = True
  found = stats.coherence(path, np.ones((1, 6), bool), walkable)
  lengths = [1, 1, 5, 0, np.sqrt(2)]
  assert found.mean == pytest.approx(np.mean(lengths))
  assert found.median == pytest.approx(1)
  assert found.jumps == pytest.approx(2 / 5)  # 5 tiles, and a diagonal
  assert found.walkable == pytest.approx(2 / 5)  # the start is no dream
  nothing = stats.coherence(path, np.ones((1, 6), bool), None)
  assert np.isnan(nothing.walkable)
  valid = np.array([[True] * 3 + [False] * 3])
  assert stats.coherence(path, valid, walkable).jumps == 0


def test_shuffle_keeps_where_dreams_are_and_breaks_whose_they_are(rng):
  n, steps = 40, 6
  path = np.stack([rng.permutation(n) for _ in range(steps)], 1)
  path = np.stack([path, path], -1)  # each dream's place at a step is unique
  valid = np.arange(steps) < rng.integers(2, steps + 1, n)[:, None]
  episode = np.arange(n) // 4
  found, done, rows = stats.shuffle(path, valid, episode, rng)
  assert len(found) == len(rows) >= stats.SHUFFLED
  assert done.mean() > 0.99 * valid.mean()
  source = episode[found[..., 0]]  # the place names the dream, at its own step
  whose = np.stack([np.argsort(path[:, i, 0]) for i in range(steps)])
  for i in range(steps):
    source = episode[whose[i][found[:, i, 0]]]
    assert (source != episode[rows])[done[:, i]].all()
  for one, here in zip(
    found.reshape(-1, n, steps, 2)[:20], done.reshape(-1, n, steps), strict=False
  ):
    for step in range(steps):
      here_step = here[:, step]
      assert len({*one[here_step, step, 0]}) == here_step.sum()
      assert (one[here_step, step] != path[here_step, step]).all()
      assert (one[~here_step, step] == path[~here_step, step]).all()


def test_dreams_of_one_episode_exchange_nothing_though_they_are_most(rng):
  path = np.repeat(np.arange(10), 4).reshape(10, 2, 2)
  episode = (np.arange(10) > 7).astype(int)
  found, done, rows = stats.shuffle(path, np.ones((10, 2), bool), episode, rng)
  assert done[episode[rows] == 1].all()
  assert (episode[found[..., 0]] != episode[rows, None])[done].all()


def test_shuffled_error_is_the_mean_over_all_pairs():
  rng = np.random.default_rng(1)
  real = rng.integers(0, 10, (30, 4, 2))
  curves = stats.make_curves(make(real), GRID.count(real[0]), 0)
  pairs = manhattan(real[:, None], real[None]).astype(float)
  other = ~np.eye(30, dtype=bool)
  expected = pairs[other].mean(0)
  np.testing.assert_allclose(curves.mean['shuffled'], expected, rtol=0.02)


def test_bands_are_over_episodes():
  real = np.stack([east((0, 0), 2)] * 40)
  replay = real.copy()
  replay[:20, :, 1] += 4
  episode = np.repeat(np.arange(5), 8)
  curves = stats.make_curves(
    make(replay, real=real, episode=episode), GRID.count(real[0]), 0
  )
  # Episodes with errors 4, 4, 2, 0, 0: rarely all that are drawn are alike.
  np.testing.assert_allclose(curves.low['replay'], 0)
  np.testing.assert_allclose(curves.high['replay'], 4)
  single = stats.make_curves(
    make(replay, real=real, episode=np.ones(40)), GRID.count(real[0]), 0
  )
  assert np.isnan(single.low['replay']).all()


def test_same_seed_same_numbers(rng):
  real = rng.integers(0, 10, (9, 5, 2))
  replay = rng.integers(0, 10, (9, 5, 2))
  dreams = make(replay, real=real)
  a, b, c = (stats.make_curves(dreams, GRID.count(real[0]), x) for x in (0, 0, 1))
  np.testing.assert_array_equal(a.mean['shuffled'], b.mean['shuffled'])
  assert (a.mean['shuffled'] != c.mean['shuffled']).any()


def test_table_has_a_row_for_each_path_and_its_steps():
  real = np.stack([east((0, y), 7) for y in range(4)])
  dreams = make(real)
  curves = stats.make_curves(dreams, GRID.count(real[0]), 0)
  walkable = np.ones(GRID.shape, bool)
  lines = stats.table(curves, stats.coherences(dreams, walkable, 0))
  assert lines[0].split()[-6:] == ['step', '1', 'step', '5', 'step', '7']
  real_row = next(x for x in lines if x.startswith('real path'))
  assert real_row.split() == ['real', 'path', '1.00', '0.0%', '100.0%']
  rows = stats.rows_of(curves)
  assert [x['step'] for x in rows] == list(range(8))
  assert rows[7]['still'] == 7


def test_steps_of_short_and_long_horizons():
  assert stats.steps_of(1) == [1]
  assert stats.steps_of(15) == [1, 5, 10, 15]
  assert stats.steps_of(50) == [1, 5, 10, 15, 50]


def test_a_decoder_that_does_not_fit_is_refused_with_what_was_expected():
  dream_decoder.check_decoder(decoder(), 3, GRID)
  dream_decoder.check_decoder(decoder('deter'), 3, GRID)
  with pytest.raises(UserError, match=r'reads dyn/stoch; expected .*dyn/deter'):
    dream_decoder.check_decoder(decoder('dyn/stoch'), 3, GRID)
  with pytest.raises(UserError, match=r'reads 3 units .*; expected 8'):
    dream_decoder.check_decoder(decoder(), 8, GRID)
  with pytest.raises(UserError, match=r'12 x 10 tiles; expected 32 x 32'):
    dream_decoder.check_decoder(decoder(), 3, Grid(32, 32))


def test_a_decoder_reads_the_run_that_it_was_fitted_to(tmp_path, capsys):
  def check(**known):
    fitted = dataclasses.replace(decoder(), trained_on=known)
    dream_decoder.check_agent(fitted, 'ab', tmp_path / 'ckpt' / 'b', 1308)
    return capsys.readouterr().out

  (tmp_path / 'ckpt' / 'a').mkdir(parents=True)
  here, moved = str(tmp_path / 'ckpt' / 'gone'), '/elsewhere/ckpt/a'
  assert check(weights='ab', checkpoint='/elsewhere/ckpt/c', step=1) == ''
  for source in (here, moved):
    out = check(weights='cd', checkpoint=source, step=900)
    assert 'decoder from step 900, dreams from step 1308' in out
  for known in ({}, {'weights': 'cd', 'seed': 1}):
    assert 'does not say which agent' in check(**known)
  with pytest.raises(UserError, match='another agent, /elsewhere/ckpt/c'):
    check(weights='cd', checkpoint='/elsewhere/ckpt/c', step=1)
  with pytest.raises(UserError, match='an untrained network'):
    check(weights='cd', checkpoint=None, step=None)


def test_training_visits_and_their_share_of_walkable_tiles():
  visits = np.zeros(GRID.shape, np.int32)
  visits[1, 1], visits[11, 9] = 3, 1
  there = decoder(visits=visits)
  np.testing.assert_array_equal(there.visits, visits)
  walkable = np.ones(GRID.shape, bool)
  walkable[11, 9] = False
  assert dream_decoder.familiar(there, walkable) == pytest.approx(0.75)
  # An older decoder has its tiles alone.
  assert np.argwhere(decoder().visits).tolist() == [[0, 0], [1, 1], [11, 9]]


def test_dream_sets_that_make_no_sense_are_refused():
  dreams = make(east((0, 0), 3)[None])
  with pytest.raises(ValueError, match='replay'):
    dataclasses.replace(dreams, decoded={'replay': dreams.real})
  valid = np.array([[True, False, True, True]])
  with pytest.raises(ValueError, match='True again'):
    dataclasses.replace(dreams, valid=valid)
  with pytest.raises(ValueError, match='valid start'):
    dataclasses.replace(dreams, valid=~dreams.valid)
