"""Units that go along with the position, planted and imagined."""

import numpy as np
import pytest

from dreamerv3.analysis import correlations, nulls
from dreamerv3.data.samples import Samples, Track


def make_samples(rng, episodes=12, length=120, units=6, drift=0.98):
  """Random walks; unit 0 is x, unit 1 minus y, the others drift by chance."""
  pos, X, names, times = [], [], [], []
  for k in range(episodes):
    T = length - int(rng.integers(0, 20))
    steps = rng.integers(-1, 2, (T, 2))
    path = np.clip(16 + np.cumsum(steps, 0), 0, 31)
    noise = np.zeros((T, units))
    for t in range(1, T):
      noise[t] = drift * noise[t - 1] + rng.normal(size=units)
    noise[:, 0] += 4 * path[:, 0]
    noise[:, 1] -= 4 * path[:, 1]
    pos.append(path)
    X.append(noise.astype(np.float32))
    names.append(np.full(T, k))
    times.append(np.arange(1, T + 1))
  n = sum(map(len, pos))
  track = Track(
    np.concatenate(pos),
    np.concatenate(names),
    np.concatenate(times),
    np.zeros((n, 2), np.int8),
  )
  return Samples('dyn/deter', np.concatenate(X), track)


def test_r_is_pearsons(rng):
  samples = make_samples(rng)
  units = correlations.correlate(samples, n_null=20, n_boot=20)
  for chosen in (units.chosen, units.r):
    assert chosen.shape == (6, 2)
  # Both halves together are all episodes: recompute each half's r directly.
  draw = np.random.default_rng(0).permutation(12)
  for part, found in ((draw[:6], units.chosen), (draw[6:], units.r)):
    rows = np.isin(samples.episode, part)
    for d in range(6):
      for k in (0, 1):
        r = np.corrcoef(samples.X[rows, d], samples.pos[rows, k])[0, 1]
        assert found[d, k] == pytest.approx(r, abs=1e-6)


def test_planted_units_come_first_and_are_significant(rng):
  units = correlations.correlate(make_samples(rng), n_null=400)
  assert set(units.order()[:2].tolist()) == {0, 1}
  first = {x['unit']: x for x in units.table()[:2]}
  assert [first[0]['axis'], first[1]['axis']] == ['x', 'y']
  assert units.r[0, 0] > 0.8
  assert units.r[1, 1] < -0.8
  assert first[1]['r'] == units.r[1, 1]
  assert units.q[:2].max() < 0.05
  assert (units.low[:2] <= units.strongest()[:2]).all()
  assert (units.strongest()[:2] <= units.high[:2]).all()
  assert units.held_out


def test_drifting_noise_is_rarely_significant(rng):
  p = np.concatenate(
    [
      correlations.correlate(
        make_samples(rng, units=42, length=60), n_null=99, n_boot=2
      ).p[2:]
      for _ in range(5)
    ]
  )
  assert len(p) == 200
  assert (p <= 0.05).mean() < 0.12
  # Without a fitting null, as good as all of it would be.
  assert p.min() > 0


def test_the_null_is_that_of_the_pairing_written_out(rng):
  """Each pairing, as loops: the path of each with the other's activations."""
  samples = make_samples(rng, episodes=4)
  test = np.array([1, 3])
  found = correlations._null(samples, test, 5, np.random.default_rng(7))
  rows = np.isin(samples.episode, test)
  draws = nulls.permutations(samples.episode, 'session', 5, np.random.default_rng(7))
  for values, partner in zip(found, draws, strict=True):
    X, path = samples.X[partner[rows]], samples.pos[rows]
    for d in range(6):
      r = [abs(np.corrcoef(X[:, d], path[:, k])[0, 1]) for k in (0, 1)]
      assert values[d] == pytest.approx(max(r), abs=1e-6)


@pytest.mark.parametrize(('episodes', 'known'), [(8, False), (10, True)])
def test_an_interval_needs_five_held_out_episodes(rng, episodes, known):
  samples = make_samples(rng, episodes=episodes)
  units = correlations.correlate(samples, 20, 20)
  assert np.isfinite(units.low).all() == known


def test_one_episode_and_silent_units(rng):
  samples = make_samples(rng, episodes=1)
  samples.X[:, 3] = 0.25
  units = correlations.correlate(samples)
  assert not units.held_out
  assert units.n_null == 0
  assert np.isnan(units.p).all()
  assert np.isnan(units.low).all()
  assert (units.r[3] == 0).all()
  assert 'nan' not in units.summary()
  assert 'No interval below 5 episodes: r rests on 1.' in units.summary()
  assert 'No p: there is no other path' in units.summary()


def test_the_seed_decides(rng):
  samples = make_samples(rng)
  a, b, c = (correlations.correlate(samples, 50, 50, seed=s) for s in (1, 1, 2))
  assert a.table() == b.table()
  assert a.table() != c.table()
