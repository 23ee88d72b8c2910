"""Dreams of a planted world whose truth is known, and of the real agent."""

import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dreamerv3.agent.latents import Latent
from dreamerv3.analysis.dreams import measures as stats
from dreamerv3.base.errors import UserError
from dreamerv3.modes import dream_decode, imagine
from dreamerv3.modes.dream_starts import Starts
from dreamerv3.probing import probe as taps
from dreamerv3.probing.dreaming import Dreamer
from tests.agent import agents
from tests.modes.planted_dream import (
  EAST,
  GRID,
  PlaceModel,
  PlaceProbe,
  dream,
  moved,
  place_decoder,
  play,
)


def test_a_planted_world_is_dreamed_exactly():
  starts, dreams, kept = dream(place_decoder(), horizon=6)
  # Every state after the warm-up that an episode goes on from is a start.
  expected = {(k, t) for k in range(1, 6) for t in range(2, 17 + k)}
  drawn = set(zip(dreams.episode.tolist(), dreams.t.tolist(), strict=True))
  assert drawn == expected
  for i, (k, t) in enumerate(zip(dreams.episode, dreams.t, strict=True)):
    path = np.array(starts.tracks[k].pos, int)
    future = path[t : t + 7]
    assert dreams.valid[i].sum() == len(future)
    np.testing.assert_array_equal(dreams.real[i, : len(future)], future)
    np.testing.assert_array_equal(dreams.past[i], path[t - 2 : t + 1])
    own = [path[t]]
    for _ in range(6):
      own.append(moved(own[-1], EAST))
    np.testing.assert_array_equal(dreams.decoded['policy'][i], own)
  curves = stats.make_curves(dreams, dreams.grid.count(dreams.real[:, 0]), 0)
  for name in ('replay', 'observed', 'divergence'):
    np.testing.assert_array_equal(curves.mean[name], 0, name)
  assert curves.mean['still'][3] > 0.5 < curves.mean['shuffled'][3]
  assert curves.gains['chance'].reach == 6
  walkable = np.ones(GRID.shape, bool)
  walkable[5] = False
  found = stats.coherences(dreams, walkable, 0)
  own, keep = dreams.decoded['policy'], dreams.valid
  inside = (own[:, 1:, 0] != 5)[keep[:, 1:]].mean()
  assert found['policy'].walkable == pytest.approx(inside)
  assert 0 < inside < 1
  assert all(found[x].jumps == 0 for x in ('policy', 'replay', 'real'))
  assert found['replay'] == found['real']
  # The probability lies where the dream is.
  n, H = own.shape[0], 6
  best = kept['dream_proba'].reshape(n, H, -1).argmax(-1)
  np.testing.assert_array_equal(GRID.to_pos(best), own[:, 1:])
  np.testing.assert_allclose(kept['dream_proba'].sum((2, 3)), 1, rtol=1e-4)


def test_at_horizon_0_the_error_is_the_floor_of_the_decoder():
  wrong = {(x, y) for x in range(1, 12) for y in (0, 2)}
  decoder = place_decoder(wrong)
  starts, dreams, _ = dream(decoder, horizon=6)
  curves = stats.make_curves(dreams, dreams.grid.count(dreams.real[:, 0]), 0)
  held_out = [
    float(tuple(map(int, pos)) in wrong)
    for track in starts.tracks.values()
    for pos in track.pos[2:-1]
  ]
  assert 0.1 < np.mean(held_out) < 0.9
  assert curves.mean['replay'][0] == pytest.approx(np.mean(held_out))
  assert curves.mean['policy'][0] == pytest.approx(np.mean(held_out))
  # And later: the world model is exact, so that only the decoder errs.
  errors = np.isin(
    GRID.to_class(dreams.real), [GRID.to_class(np.array(x)) for x in wrong]
  )
  for step in range(7):
    expected = errors[dreams.valid[:, step], step].mean()
    assert curves.mean['replay'][step] == pytest.approx(expected)
    assert curves.mean['observed'][step] == pytest.approx(expected)
  np.testing.assert_array_equal(curves.mean['divergence'], 0)


def test_starts_and_futures_are_aligned_to_the_step():
  """Going east without a wall, x counts the steps of the episode."""
  starts, dreams, _ = dream(
    place_decoder(), horizon=4, episodes=1, wander=False, warmup=2
  )
  x = np.array([int(pos[0]) for pos in starts.tracks[1].pos])
  assert x[:10].tolist() == list(range(1, 11))
  free = dreams.t < 6
  steps = dreams.t[free, None] + np.arange(5) + 1
  for path in (dreams.real, *dreams.decoded.values()):
    np.testing.assert_array_equal(path[free, :, 0], steps)
  np.testing.assert_array_equal(dreams.past[free, :, 0], dreams.t[free, None] + (0, 1))


def test_a_dream_depends_on_its_start_alone():
  """Not on the number of environments, of dreams, or on the batch."""
  decoder = place_decoder({(3, 0), (5, 1)})
  _, a, kept_a = dream(decoder, envs=1)
  _, b, kept_b = dream(decoder, envs=5)
  for x, y in zip(pickle_of(a), pickle_of(b), strict=True):
    np.testing.assert_array_equal(x, y)
  for key in kept_a:
    np.testing.assert_array_equal(kept_a[key], kept_b[key])
  _, few, _ = dream(decoder, count=7)
  np.testing.assert_array_equal(few.t, a.t[:7])
  np.testing.assert_array_equal(few.episode, a.episode[:7])
  np.testing.assert_array_equal(few.decoded['policy'], a.decoded['policy'][:7])
  other = play(decoder, count=7, seed=1).drawn()
  assert [(x.episode, x.t) for x in other] != [*zip(few.episode, few.t, strict=True)]


def pickle_of(dreams):
  return (
    dreams.episode,
    dreams.t,
    dreams.real,
    dreams.valid,
    *(dreams.decoded[k] for k in stats.KINDS),
  )


def test_the_draw_is_even():
  """Each possible start is drawn equally often over many seeds."""
  decoder = place_decoder()
  counts: dict = {}
  for seed in range(150):
    starts = Starts(decoder, PlaceProbe.layers, 5, 1, seed)
    rows = {'float32': np.zeros(GRID.size + 1, np.float32)}
    for number in (1, 2):
      for t in range(11):
        starts.offer(number, t, rows)
    for start in starts.drawn():
      key = start.episode, start.t
      counts[key] = counts.get(key, 0) + 1
  # Timestep 0 holds no position: 2 x 10 candidates, 37.5 draws each.
  assert set(counts) == {(k, t) for k in (1, 2) for t in range(1, 11)}
  assert min(counts.values()) > 15
  assert max(counts.values()) < 65


def test_memory_holds_the_latents_of_the_draw_alone():
  starts = play(place_decoder(), episodes=8, count=3)
  assert len(starts.drawn()) == 3
  tracks = starts.tracks.values()
  assert sum(len(x) for x in tracks) == sum(18 + k for k in range(1, 9))
  assert all(len(x.decoded) == len(x.pos) == len(x.action) for x in tracks)


def test_episodes_too_short_for_the_warmup():
  with pytest.raises(UserError, match=r'warmup is 40 .* had 20 timesteps'):
    play(place_decoder(), episodes=2, warmup=40).drawn()


def test_longer_dreams_than_the_episodes_and_without_latents():
  _, dreams, kept = dream(place_decoder(), horizon=50, count=20, save=False)
  assert dreams.horizon == 50
  assert set(kept) == {'dream_proba', 'replay_proba'}
  assert len(kept['replay_proba']) == imagine.EXAMPLES
  curves = stats.make_curves(dreams, dreams.grid.count(dreams.real[:, 0]), 0)
  assert curves.count[-1] == 0
  assert np.isnan(curves.mean['replay'][-1])
  seen = curves.count > 0
  np.testing.assert_array_equal(curves.mean['replay'][seen], 0)


def test_saved_latents_are_the_dreamed_ones():
  decoder = place_decoder()
  _, dreams, kept = dream(decoder, count=20)
  for kind, name in (('policy', 'dream'), ('replay', 'replay')):
    deter = kept[f'{name}_deter']
    assert deter.dtype == np.float16
    assert kept[f'{name}_stoch'].shape == (20, 6, 1, 1)
    found = decoder.predict(deter.reshape(-1, GRID.size).astype(np.float32))
    np.testing.assert_array_equal(found.reshape(20, 6, 2), dreams.decoded[kind][:, 1:])


# The real agent.


@pytest.fixture(scope='module')
def agent():
  return agents.make_agent(['debug'], {'seed': 1})


def filtered(agent, rng, steps):
  """Latents and actions of filtering random images, all rows alike in time."""
  probe = taps.Probe(agent.model, dream_decode.LATENTS, 'float32')
  params = {k: agent.state[k] for k in agent.state}
  carry, width = probe.init(), probe.width
  seeds = rng.integers(0, 2**32, (width, 2), np.uint32)
  rows, acts = [], []
  for t in range(steps):
    obs = {
      'image': rng.integers(0, 256, (width, 64, 64, 3)).astype(np.uint8),
      'is_first': np.full(width, t == 0),
    }
    time = np.full(width, t, np.int32)
    carry, act, found = probe(params, carry, obs, seeds, time)
    rows.append(np.asarray(found['float32']))
    acts.append(np.asarray(act['action']))
  starts = Starts(place_decoder(), probe.layers, 1, 1, 0)
  latents = [
    Latent(
      *(
        jnp.stack([starts.unpack({'float32': x}, f'dyn/{k}') for x in row])
        for k in Latent._fields
      )
    )
    for row in rows
  ]
  return params, latents, np.stack(acts, 1), seeds


@pytest.mark.slow
def test_the_first_replayed_step_is_the_observed_one(agent, rng):
  """The recurrent state is computed before the image is seen."""
  params, latents, acts, seeds = filtered(agent, rng, 4)
  dreamer = Dreamer(agent.model, 2)
  found = dreamer(params, latents[1], {'action': acts[:, 1:3]}, seeds)
  deter = found.replay.deter
  assert deter.shape == (taps.WIDTH, 2, 8)
  np.testing.assert_allclose(deter[:, 0], latents[2].deter, atol=1e-5)
  assert np.abs(deter[:, 1] - latents[3].deter).max() > 1e-4
  wrong = dreamer(params, latents[1], {'action': acts[:, 2:4]}, seeds)
  same = acts[:, 1] == acts[:, 2]
  off = np.abs(wrong.replay.deter[:, 0] - latents[2].deter).max(-1)
  assert (off[~same] > 1e-5).all()
  # Stochastic latents are one-hot samples.
  stoch = found.policy.stoch
  np.testing.assert_allclose(stoch.sum(-1), 1, atol=1e-6)
  assert set(np.unique(stoch.round(5))) == {0, 1}


@pytest.mark.slow
def test_chance_is_that_of_the_row(agent, rng):
  params, latents, acts, seeds = filtered(agent, rng, 2)
  dreamer = Dreamer(agent.model, 5)
  actions = {'action': np.tile(acts[:, 1:], (1, 5))}
  a = dreamer(params, latents[1], actions, seeds)
  again = dreamer(params, latents[1], actions, seeds)
  jax.tree.map(np.testing.assert_array_equal, a, again)
  few = jax.tree.map(lambda x: x[:3], (latents[1], actions, seeds))
  b = dreamer(params, *few)
  jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[:3], y), a, b)
  c = dreamer(params, latents[1], actions, seeds[::-1])
  assert (a.replay.stoch != c.replay.stoch).any()
  assert (a.policy.stoch != a.replay.stoch).any()


@pytest.mark.slow
def test_the_horizon_may_be_longer_than_in_training(agent, rng):
  params, latents, acts, seeds = filtered(agent, rng, 2)
  assert agent.config.imag_length == 15
  actions = {'action': np.tile(acts[:, 1:], (1, 50))}
  found = Dreamer(agent.model, 50)(params, latents[1], actions, seeds)
  for kind in found:
    assert kind.deter.shape[1] == 50
    assert np.isfinite(kind.deter).all()


def test_controls_know_nothing_of_moving():
  """Dreams along the actions of others go elsewhere."""
  starts, dreams, _ = dream(place_decoder(), episodes=6, horizon=6)
  dreamer = Dreamer(PlaceModel(), 6)
  trained: Any = types.SimpleNamespace(
    params={}, drawn={}, config=types.SimpleNamespace(seed=0)
  )
  drawn = starts.drawn()
  found = imagine.with_controls(dreamer, trained, starts, drawn, dreams)
  kinds = found.decoded
  # The planted model has no parameters, so untrained it dreams as ever.
  np.testing.assert_array_equal(kinds['untrained'], kinds['replay'])
  assert (kinds['permuted'][:, 0] == kinds['replay'][:, 0]).all()
  assert (kinds['permuted'] != kinds['replay']).any((1, 2)).mean() > 0.5
  curves = stats.make_curves(found, dreams.grid.count(dreams.real[:, 0]), 0)
  assert len(curves.gains['permuted'].steps)
  alone = [x for x in drawn if x.episode == drawn[0].episode]
  assert imagine.strangers(alone, 0) == []
  for x, other in zip(drawn, imagine.strangers(drawn, 0), strict=True):
    assert x.episode != other.episode
