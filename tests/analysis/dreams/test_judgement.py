"""Planted dreams get the sentence that is true of them."""

import dataclasses

import numpy as np
import pytest

from dreamerv3.analysis.dreams import judgement
from dreamerv3.analysis.dreams import measures as stats
from dreamerv3.analysis.dreams.measures import DreamSet
from dreamerv3.data.grid import Grid

GRID = Grid(32, 32)
EPISODES, EACH, H = 10, 8, 15


def walk(rng, start, steps):
  """(n, steps + 1, 2): one tile each step, mostly straight on."""
  moves = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
  way = rng.integers(4, size=len(start))
  path = [start]
  for _ in range(steps):
    way = np.where(rng.random(len(start)) < 0.2, rng.integers(4, size=len(start)), way)
    path.append(np.clip(path[-1] + moves[way], 0, 31))
  return np.stack(path, 1)


def noisy(rng, path, size):
  """Decoded with an error of about `size` tiles."""
  return np.clip(path + rng.normal(0, size, path.shape).round().astype(int), 0, 31)


def planted(kind, rng, floor=1.0):
  """Dreams of a known kind, with what a decoder of some error makes of them."""
  n = EPISODES * EACH
  real = walk(rng, rng.integers(32, size=(n, 2)), H)
  observed = noisy(rng, real, floor)
  others = real[:, :1] + walk(rng, np.full((n, 2), 16), H) - 16
  replay = {
    'perfect': observed,
    'frozen': np.broadcast_to(observed[:, :1], real.shape),
    'drifting': noisy(rng, real, 1) + np.arange(H + 1)[:, None] * (2, 1),
    'random': rng.integers(32, size=real.shape),
    'jittering': noisy(rng, np.broadcast_to(real[:, :1], real.shape), floor),
  }[kind].copy()
  replay[:, 0] = observed[:, 0]
  permuted = noisy(rng, np.clip(others, 0, 31), 1)
  permuted[:, 0] = observed[:, 0]
  if kind == 'frozen':
    permuted = replay
  if kind == 'random':
    permuted = rng.integers(32, size=real.shape)
  return DreamSet(
    grid=GRID,
    episode=np.repeat(np.arange(EPISODES), EACH),
    t=np.zeros(n, int),
    past=real[:, :1],
    real=real,
    valid=np.ones((n, H + 1), bool),
    decoded={
      'replay': np.clip(replay, 0, 31),
      'policy': observed,
      'observed': observed,
      'permuted': permuted,
    },
  )


def sentence(kind, seed, **options):
  rng = np.random.default_rng(seed)
  dreams = planted(kind, rng, **options)
  visits = dreams.grid.count(rng.integers(32, size=(500, 2)))
  return judgement.verdict(stats.make_curves(dreams, visits, seed).gains)


@pytest.mark.parametrize('seed', range(4))
def test_each_kind_of_dream_gets_its_sentence(seed):
  perfect = sentence('perfect', seed)
  assert 'beat chance on all 15 steps' in perfect
  assert 'They move with the agent' in perfect
  assert 'not shown' not in perfect
  frozen = sentence('frozen', seed)
  assert 'beat chance on all 15 steps' in frozen
  assert 'Nothing shows that they move' in frozen
  drifting = sentence('drifting', seed)
  assert 'up to step' in drifting
  assert 'do not even beat chance on step 1' in sentence('random', seed)


def test_dreams_that_jitter_about_the_start_beat_no_frozen_one_by_a_lucky_step():
  said = [sentence('jittering', 100 + seed) for seed in range(20)]
  assert all('Nothing shows that they move' in x for x in said)
  beaten = [x for x in said if 'stands still over all steps, on' in x]
  assert len(beaten) <= 1  # 6, were each step its own test
  permuted = [x for x in said if 'along permuted actions over all steps, on' in x]
  assert len(permuted) == len(said)  # that path leaves the start


def test_dreams_that_go_home_whatever_is_done_follow_no_agent():
  """All agents walk to the middle, and so do dreams along any actions."""
  rng = np.random.default_rng(0)
  dreams = planted('perfect', rng)
  start, share = dreams.real[:, :1], np.arange(H + 1)[:, None] / H
  home = np.round(start + share * (16 - start)).astype(int)
  real = noisy(rng, home, 2)
  paths = {k: noisy(rng, home, 1) for k in ('replay', 'permuted')}
  observed = noisy(rng, real, 1)
  for path in paths.values():
    path[:, 0] = observed[:, 0]

  def said(**decoded):
    found = {**dreams.decoded, 'observed': observed, **paths, **decoded}
    found = {k: v for k, v in found.items() if v is not None}
    made = dataclasses.replace(dreams, real=real, decoded=found)
    past = rng.integers(32, size=(500, 2))
    return judgement.verdict(stats.make_curves(made, past, 0).gains)

  assert 'Nothing shows that they move' in said()
  alone = said(permuted=None)
  assert 'whether they follow the actions was not tested' in alone
  assert 'move with the agent' not in alone


@pytest.mark.parametrize('kind', ['perfect', 'frozen', 'random'])
def test_nothing_is_said_where_the_decoder_fails_while_the_agent_sees(kind):
  text = sentence(kind, 0, floor=60)
  assert 'dreams cannot be judged' in text


def test_the_gain_is_paired():
  """A small gain in every dream is seen though dreams differ far more."""
  rng = np.random.default_rng(0)
  chance = rng.uniform(2, 30, (20, 4))
  errors = dict.fromkeys(('constant', 'prior'), chance)
  errors |= {'replay': 0.9 * chance, 'observed': chance - 0.5}
  valid, episode = np.ones((20, 4), bool), np.repeat(np.arange(10), 2)
  found = judgement.gains(errors, valid, episode, 0)
  assert found['chance'].reach == 3
  np.testing.assert_allclose(found['chance'].mean, 0.1 * chance.mean(0))
  assert found['floor'].overall[:2] == pytest.approx((0.5, 0.5))


def test_the_start_is_no_step_and_the_first_that_fails_ends_the_count():
  errors = {x: np.zeros((20, 6)) for x in ('constant', 'prior', 'observed')}
  errors['replay'] = np.tile([9.0, -1, -1, 2, -1, -1], (20, 1))
  valid, episode = np.ones((20, 6), bool), np.repeat(np.arange(10), 2)
  found = judgement.gains(errors, valid, episode, 0)['chance']
  assert found.overall == pytest.approx((0.4, 0.4, 0.4))
  assert found.reach == 2
  assert found.steps.tolist() == [1, 2, 4, 5]


def test_chance_is_the_harder_guess_of_each_step():
  errors = {
    'constant': np.array([[1.0, 9.0], [1.0, 9.0]]),
    'prior': np.array([[5.0, 5.0], [5.0, 5.0]]),
    'replay': np.zeros((2, 2)),
    'observed': np.zeros((2, 2)),
  }
  found = judgement.gains(errors, np.ones((2, 2), bool), np.arange(2), 0)
  assert found['chance'].mean.tolist() == [1.0, 5.0]
  assert 'no interval below 5 episodes' in judgement.verdict(found)


def test_dreams_of_noise_rarely_beat_chance():
  """Under the null a step is called nearer in at most a twentieth of runs."""
  rng = np.random.default_rng(0)
  runs, called = 300, 0
  valid, episode = np.ones((40, 2), bool), np.repeat(np.arange(10), 4)
  for seed in range(runs):
    shift = rng.normal(0, 1, (10, 1)).repeat(4, 0)  # dreams of one episode agree
    base = rng.normal(0, 1, (40, 2)) + shift
    errors = {k: np.zeros((40, 2)) for k in ('constant', 'prior', 'observed')}
    found = judgement.gains(errors | {'replay': base}, valid, episode, seed)
    called += bool(len(found['chance'].steps))
  assert called / runs <= 0.05
