"""Ways to choose items: their distributions, and that a tree adds up."""

from typing import Any

import numpy as np
import pytest

from embodied.core.priorities import SumTree
from embodied.core.replay import Replay
from embodied.tests.counting import step_of
from embodied.tests.plain_priorities import plain


def make(length=3, steps=30, workers=1, **kwargs):
  replay = Replay(length, **kwargs)
  for number in range(steps):
    for worker in range(workers):
      replay.add(step_of(worker, number), worker)
  return replay


def frequencies(replay, draws=20_000):
  starts = np.concatenate(
    [replay.sample(500)['number'][:, 0] for _ in range(draws // 500)]
  )
  return np.bincount(starts, minlength=28) / draws


def test_tree_draws_in_proportion():
  rng = np.random.default_rng(0)
  tree = SumTree(13)
  weights = rng.random(13) * (rng.random(13) > 0.3)
  tree.set(np.arange(13), weights)
  assert np.isclose(tree.total, weights.sum())
  found = np.array([tree.find(x) for x in rng.random(20_000)])
  share = np.bincount(found, minlength=13) / len(found)
  assert np.abs(share - weights / weights.sum()).max() < 0.015
  assert (share[weights == 0] == 0).all()


def test_tree_never_finds_zero_weights_at_the_ends():
  tree = SumTree(8)
  tree.set(np.array([3]), np.array([1e-300]))
  assert tree.find(0.0) == 3
  assert tree.find(1 - 1e-16) == 3


def test_recency_follows_a_power_of_age():
  replay = make(fracs={'recency': 1.0}, recexp=1.0)
  share = frequencies(replay)
  expected = 1 / np.arange(1, 29)[::-1]
  assert np.abs(share - expected / expected.sum()).max() < 0.015


def test_reports_leave_priorities_as_they_are():
  prio = {'initial': 1.0, 'zero_on_sample': True}
  replay = make(fracs={'uniform': 0.5, 'priority': 0.5}, prio=prio)
  before = replay._selector.save()
  replay.sample(50, 'report')
  np.testing.assert_equal(replay._selector.save(), before)
  replay.sample(50)
  after = replay._selector.save()
  assert sum(x.sum() for x in after[1]['steps'].values()) == 0


@pytest.mark.parametrize('chunksize', [1, 2, 7, 64])
def test_priorities_are_followed(chunksize):
  replay = make(
    chunksize=chunksize,
    fracs={'priority': 1.0},
    prio={
      'exponent': 0.5,
      'maxfrac': 0.25,
      'initial': 1.0,
      'zero_on_sample': False,
    },
  )
  rows: dict[int, np.ndarray] = {}
  while len(rows) < 28:
    batch = replay.sample(50)
    for start, stepid in zip(batch['number'][:, 0], batch['stepid'], strict=True):
      rows[int(start)] = stepid
  prios = np.linspace(0, 3, 30)
  for start in range(0, 28, 3):
    replay.update(
      {'stepid': rows[start][None], 'priority': prios[None, start : start + 3]}
    )
  windows = np.lib.stride_tricks.sliding_window_view(prios**0.5, 3)
  expected = 0.25 * windows.max(1) + 0.75 * windows.mean(1)
  share = frequencies(replay)
  assert np.abs(share - expected / expected.sum()).max() < 0.012


def test_new_sequences_come_first_with_infinite_priority():
  replay = make(
    length=3,
    steps=30,
    fracs={'priority': 1.0},
    chunksize=7,
    prio={'initial': np.inf, 'zero_on_sample': True},
  )
  seen = np.zeros(30, bool)
  for _ in range(28):
    batch = replay.sample(1)
    if seen.all():
      break
    assert not seen[batch['number'][0]].all()
    seen[batch['number'][0]] = True
  assert seen.all()


def test_without_any_priority_left_sampling_is_uniform():
  replay = make(fracs={'priority': 1.0}, prio={'initial': 0.0, 'zero_on_sample': True})
  assert (frequencies(replay, 1000) > 0).all()


def test_priorities_survive_eviction_and_growth():
  replay = make(
    length=3,
    steps=1000,
    workers=2,
    capacity=1300,
    chunksize=32,
    fracs={'priority': 1.0},
    prio={'initial': 1.0, 'zero_on_sample': False},
  )
  tree = replay._selector._finite
  assert np.isclose(tree.total, 1300)
  numbers = replay.sample(500)['number'][:, 0]
  assert numbers.min() >= 1000 - 2 - 650
  chunks = set(replay._index.chunks)
  assert set(replay._selector._numbers) <= chunks
  assert set(replay._selector._steps) <= chunks


@pytest.mark.parametrize('initial', [np.inf, 1.0])
@pytest.mark.parametrize(
  ('workers', 'length', 'chunksize', 'capacity'),
  [(1, 9, 64, 0), (4, 9, 32, 150), (2, 65, 1024, 300), (3, 5, 5, 90), (1, 3, 7, 1)],
)
def test_fast_priorities_are_the_plain_ones(
  workers, length, chunksize, capacity, initial
):
  prio = {'initial': initial, 'zero_on_sample': True}
  how = {'chunksize': chunksize, 'capacity': capacity}
  ours = Replay(length, fracs={'priority': 1.0}, prio=prio, **how)
  both = (ours, plain(Replay(length, **how), prio))
  rng = np.random.default_rng(workers)
  for number in range(500):
    worker = int(rng.integers(workers))
    new = rng.exponential(size=(5, length)).astype(np.float32)
    found = []
    for replay in both:
      replay.add(step_of(worker, number), worker)
      if len(replay) and number % 9 == 0:
        batch = replay.sample(5)
        found.append(batch['number'])
        replay.update({'stepid': batch['stepid'], 'priority': new})
    assert not found or (found[0] == found[1]).all()
  choosing: list[Any] = [x._selector for x in both]
  trees = [(x._finite, x._infinite) for x in choosing]
  for a, b in zip(*trees, strict=True):
    assert (a._nodes[: 2 * a.size] == b._nodes).all()


def test_mixture_has_the_shares_asked_for():
  replay = make(steps=1002, fracs={'uniform': 0.5, 'recency': 0.5}, recexp=3.0)
  share = np.mean(replay.sample(20_000)['number'][:, 0] >= 990)
  assert abs(share - 0.5 - 0.5 * 10 / 1000) < 0.02


@pytest.mark.parametrize('value', [-1.0, np.nan])
def test_impossible_priorities_are_refused(value):
  replay = make(fracs={'priority': 1.0})
  stepid = replay.sample(1)['stepid']
  with pytest.raises(ValueError, match='Priorities'):
    replay.update({'stepid': stepid, 'priority': np.full((1, 3), value)})


@pytest.mark.parametrize(
  'fracs',
  [{'uniform': 0.5}, {'uniform': 2, 'recency': -1}, {'newest': 1.0}],
)
def test_impossible_fractions_are_refused(fracs):
  with pytest.raises(ValueError, match='sum to 1'):
    Replay(3, fracs=fracs)
