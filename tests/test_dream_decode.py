"""Dreams: planted worlds whose truth is known, the real agent, the script."""

import dataclasses
import pathlib
import pickle
import subprocess
import sys
from typing import Any

import elements
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dreamerv3 import config as configs
from dreamerv3 import dream_decode, main, rundir, taps
from dreamerv3.analysis import dreams as stats
from dreamerv3.analysis.dream_starts import Starts
from dreamerv3.analysis.linear_decoder import LinearDecoder
from dreamerv3.data import files, unpickle
from dreamerv3.data.errors import UserError
from dreamerv3.data.grid import Grid, manhattan
from dreamerv3.dreamer import Dreamer
from dreamerv3.rollouts import Rollouts
from dreamerv3.run_info import read_run_info
from embodied.core import base
from tests import agents
from tests.test_eval_trajectory import make_run

ROOT = pathlib.Path(__file__).resolve().parents[1]
GRID = Grid(12, 5)
MOVES = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)])
EAST = 1

# A world whose latent is the position: what is dreamed is known.


def moved(pos, action):
  """Where an action leads; the walls of the field stop."""
  low = np.zeros(2, int)
  return np.clip(np.asarray(pos) + MOVES[action], low, np.array(GRID.shape) - 1)


def transitions():
  """(actions, P, P): one-hot places, times this, are one-hot places."""
  found = np.zeros((len(MOVES), GRID.size, GRID.size), np.float32)
  places = GRID.to_pos(np.arange(GRID.size))
  for action in range(len(MOVES)):
    there = GRID.to_class(moved(places, action))
    found[action, np.arange(GRID.size), there] = 1
  return found


class Field(base.Env):
  """Episode k has 18 + k steps and begins in a tile of its own."""

  def __init__(self):
    self.next, self.over = 1, True

  @property
  def obs_space(self):
    flags = ('is_first', 'is_last', 'is_terminal')
    return {
      'player_pos': elements.Space(np.float32, (2,)),
      'reward': elements.Space(np.float32),
      **{k: elements.Space(bool) for k in flags},
    }

  @property
  def act_space(self):
    return {
      'action': elements.Space(np.int32, (), 0, len(MOVES)),
      'reset': elements.Space(bool),
    }

  def set_episode(self, number):
    self.next, self.over = number, True

  def step(self, action):
    if action['reset'] or self.over:
      self.number, self.t, self.over = self.next, 0, False
      self.pos = np.array([self.number % 3, self.number % GRID.height])
    else:
      self.t += 1
      self.pos = moved(self.pos, int(action['action']))
    self.over = self.t == 17 + self.number
    return {
      'player_pos': self.pos.astype(np.float32), 'reward': np.float32(0),
      'is_first': self.t == 0, 'is_last': self.over, 'is_terminal': False,
    }  # fmt: skip


class PlaceModel:
  """Knows the rules of the field; its own policy always goes east."""

  dtype = jnp.float32
  spaces = {'player_pos': elements.Space(np.float32, (2,))}

  def __init__(self):
    self.moves = jnp.asarray(transitions())

  @property
  def dyn(self):
    return self

  def dream(self, start, length, key):
    act = jnp.full((len(start['deter']), length), EAST)
    _, feat = self.imagine(start, {'action': act}, key)
    deter = jnp.concatenate([start['deter'][:, None], feat['deter']], 1)
    x = jnp.concatenate([deter, jnp.zeros((*deter.shape[:2], 1))], -1)
    return x.swapaxes(0, 1), {'action': act.T}

  def imagine(self, start, action, key):
    del key

    def step(deter, action):
      deter = jnp.einsum('np,npq->nq', deter, self.moves[action])
      return deter, deter

    _, deter = jax.lax.scan(step, start['deter'], action['action'].T)
    deter = deter.swapaxes(0, 1)
    return start, {'deter': deter, 'stoch': jnp.zeros((*deter.shape[:2], 1, 1))}


class PlaceProbe:
  """Acts in the field: eastward, or by chance from seed and time."""

  layers = (
    taps.Layer('dyn/deter', (GRID.size,), 'float32', 0),
    taps.Layer('dyn/stoch', (1, 1), 'float32', GRID.size),
  )

  def __init__(self, width=4, wander=True):
    self.model, self.width, self.wander = PlaceModel(), width, wander

  def init(self):
    return {}

  def __call__(self, params, carry, obs, seeds, time):
    place = GRID.to_class(obs['player_pos'])
    rows = np.zeros((self.width, GRID.size + 1), np.float32)
    rows[np.arange(self.width), place] = 1
    act = np.full(self.width, EAST)
    if self.wander:
      act = (seeds[:, 0] // 7 + time * (seeds[:, 1] % 97)) % len(MOVES)
    act = act.astype(np.int32)
    return carry, {'action': jnp.asarray(act)}, {'float32': jnp.asarray(rows)}


@dataclasses.dataclass
class Settings:
  horizon: int = 6
  save_activations: bool = True


def place_decoder(wrong=()):
  """Reads one-hot places; each tile of `wrong` is decoded one tile west."""
  weights = np.zeros((GRID.size, GRID.size), np.float32)
  for tile in range(GRID.size):
    place = GRID.to_pos(np.array(tile))
    seen = place - (1, 0) if tuple(place) in wrong else place
    weights[tile, GRID.to_class(seen)] = 20
  return LinearDecoder(weights, np.arange(GRID.size), GRID, 'dyn/deter')


def play(
  decoder, episodes=5, count=1000, warmup=3, envs=2, seed=0, wander=True
):
  probe: Any = PlaceProbe(wander=wander)
  starts = Starts(decoder, probe.layers, count, warmup, seed)
  rollouts = Rollouts(probe, {}, [Field() for _ in range(envs)], seed)
  rollouts.play(range(1, episodes + 1), starts.begin)
  return starts


def dream(decoder, horizon=6, save=True, width=taps.WIDTH, **options):
  starts = play(decoder, **options)
  dreamer = Dreamer(PlaceModel(), horizon, width)
  settings = Settings(horizon, save)
  drawn = starts.drawn()
  found, kept = dream_decode.imagine(dreamer, {}, starts, drawn, settings, 0)
  return starts, found, kept


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
  curves = stats.make_curves(dreams, dreams.real[:, 0], 0)
  for name in ('replay', 'observed', 'divergence'):
    np.testing.assert_array_equal(curves.mean[name], 0, name)
  assert curves.mean['still'][3] > 0.5 < curves.mean['shuffled'][3]
  assert stats.reach(curves) == 6
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
  curves = stats.make_curves(dreams, dreams.real[:, 0], 0)
  held_out = [
    float(tuple(map(int, pos)) in wrong)
    for track in starts.tracks.values()
    for pos in track.pos[2:-1]
  ]
  assert 0.1 < np.mean(held_out) < 0.9
  assert curves.mean['replay'][0] == pytest.approx(np.mean(held_out))
  assert curves.mean['policy'][0] == pytest.approx(np.mean(held_out))
  # And later: the world model is exact, so that only the decoder errs.
  errors = np.isin(GRID.to_class(dreams.real), [
    GRID.to_class(np.array(x)) for x in wrong
  ])  # fmt: skip
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
  np.testing.assert_array_equal(
    dreams.past[free, :, 0], dreams.t[free, None] + (0, 1)
  )


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
  assert [(x.episode, x.t) for x in other] != [
    *zip(few.episode, few.t, strict=True)
  ]


def pickle_of(dreams):
  return (dreams.episode, dreams.t, dreams.real, dreams.valid,
          *(dreams.decoded[k] for k in stats.KINDS))  # fmt: skip


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
  assert len(kept['replay_proba']) == dream_decode.EXAMPLES
  curves = stats.make_curves(dreams, dreams.real[:, 0], 0)
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
    np.testing.assert_array_equal(
      found.reshape(20, 6, 2), dreams.decoded[kind][:, 1:]
    )


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
    {k: np.stack([starts.unpack({'float32': x}, f'dyn/{k}') for x in row])
     for k in ('deter', 'stoch')}
    for row in rows
  ]  # fmt: skip
  return params, latents, np.stack(acts, 1), seeds


@pytest.mark.slow
def test_the_first_replayed_step_is_the_observed_one(agent, rng):
  """The recurrent state is computed before the image is seen."""
  params, latents, acts, seeds = filtered(agent, rng, 4)
  dreamer = Dreamer(agent.model, 2)
  found = dreamer(params, latents[1], {'action': acts[:, 1:3]}, seeds)
  deter = found['replay']['deter']
  assert deter.shape == (taps.WIDTH, 2, 8)
  np.testing.assert_allclose(deter[:, 0], latents[2]['deter'], atol=1e-5)
  assert np.abs(deter[:, 1] - latents[3]['deter']).max() > 1e-4
  wrong = dreamer(params, latents[1], {'action': acts[:, 2:4]}, seeds)
  same = acts[:, 1] == acts[:, 2]
  off = np.abs(wrong['replay']['deter'][:, 0] - latents[2]['deter']).max(-1)
  assert (off[~same] > 1e-5).all()
  # Stochastic latents are one-hot samples.
  stoch = found['policy']['stoch']
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
  jax.tree.map(
    lambda x, y: np.testing.assert_array_equal(x[:3], y), a, b
  )  # fmt: skip
  c = dreamer(params, latents[1], actions, seeds[::-1])
  assert (a['replay']['stoch'] != c['replay']['stoch']).any()
  assert (a['policy']['stoch'] != a['replay']['stoch']).any()


@pytest.mark.slow
def test_the_horizon_may_be_longer_than_in_training(agent, rng):
  params, latents, acts, seeds = filtered(agent, rng, 2)
  assert agent.config.imag_length == 15
  actions = {'action': np.tile(acts[:, 1:], (1, 50))}
  found = Dreamer(agent.model, 50)(params, latents[1], actions, seeds)
  for kind in found.values():
    assert kind['deter'].shape[1] == 50
    assert np.isfinite(kind['deter']).all()


# The script.


@pytest.fixture(scope='module')
def logdir(tmp_path_factory):
  return make_run(tmp_path_factory.mktemp('dreams') / 'run')


def save_decoder(path, units=8, area=(32, 32), layer='dyn/deter', world=None):
  grid, rng = Grid(*area), np.random.default_rng(0)
  middle = grid.to_class(np.array([(x, y) for x in range(10, 22)
                                   for y in range(10, 22)]))  # fmt: skip
  weights = rng.normal(size=(units, len(middle))).astype(np.float32)
  decoder = LinearDecoder(weights, middle, grid, layer, {}, world or {})
  return str(files.save_pickle(path, decoder.to_dict()))


def resolve(logdir, *flags):
  given = ['--logdir', str(logdir), '--script', 'dream_decode']
  given += ['--jax.platform', 'cpu', *flags]
  return main.resolve(configs.parse_flags(given), configs.read_blocks())[0]


def refuses(logdir, *flags, match):
  """The script ends before it makes an agent, and writes nothing."""

  def never():
    raise AssertionError('made an agent')

  before = sorted(logdir.rglob('*'))
  with pytest.raises(UserError, match=match):
    dream_decode.run(never, resolve(logdir, *flags))
  assert sorted(logdir.rglob('*')) == before


def bare(tmp_path):
  """A logdir with a checkpoint that nobody reads."""
  logdir = tmp_path / 'run'
  given = ['--configs', 'crafter_small', 'debug', '--logdir', str(logdir)]
  folder = logdir / 'ckpt' / '20260101T000000F000000'
  folder.mkdir(parents=True)
  (folder / 'done').touch()
  (logdir / 'ckpt' / 'latest').write_text(folder.name)
  rundir.save(
    logdir / 'config.yaml',
    configs.stack(configs.read_blocks(), configs.parse_flags(given)),
  )
  return logdir


def test_decoders_that_do_not_fit(tmp_path):
  logdir = bare(tmp_path)
  path, flag = tmp_path / 'd.pkl', '--dream_decode.decoder_model'
  refuses(logdir, match='decoder_model is empty; expected classifier_deter')
  refuses(logdir, flag, str(path), match='d.pkl')
  path.write_bytes(b'nonsense')
  refuses(logdir, flag, str(path), match='d.pkl')
  files.save_pickle(path, [1, 2])
  refuses(logdir, flag, str(path), match='no saved decoder')
  save_decoder(path, layer='dyn/stoch')
  refuses(logdir, flag, str(path), match=r'reads dyn/stoch; expected')
  save_decoder(path, units=512)
  refuses(logdir, flag, str(path), match=r'reads 512 units .*; expected 8')
  save_decoder(path, area=(64, 64))
  refuses(logdir, flag, str(path), match=r'64 x 64 tiles; expected 32 x 32')
  save_decoder(path, world={'seed': 0, 'world_seed': 1, 'fixed_seed': True})
  refuses(logdir, flag, str(path), match='knows world 1; these settings')
  save_decoder(path, world={'seed': 0, 'world_seed': 1, 'fixed_seed': False})
  refuses(logdir, flag, str(path), match='in many worlds')
  save_decoder(path)
  refuses(
    logdir, flag, str(path), '--task', 'dummy_disc', match='cannot be recorded'
  )


def test_a_decoder_of_another_world_is_told(tmp_path, capsys):
  config = resolve(bare(tmp_path))
  about = {'seed': 42, 'fixed_seed': True}
  known = unpickle.load(save_decoder(tmp_path / 'd.pkl', world=about))
  worlds = dream_decode.world_of(LinearDecoder.from_dict(known), config)
  assert worlds.seed == 42
  assert config.seed == 0
  assert 'the world of seed 42' in capsys.readouterr().out
  unknown = unpickle.load(save_decoder(tmp_path / 'e.pkl'))
  worlds = dream_decode.world_of(LinearDecoder.from_dict(unknown), config)
  assert worlds.seed == 0
  assert 'does not say which world' in capsys.readouterr().out


def command(logdir, *flags):
  return [
    sys.executable, str(ROOT / 'dreamerv3' / 'main.py'), '--logdir',
    str(logdir), '--jax.platform', 'cpu', '--script', *flags,
  ]  # fmt: skip


def execute(*argv):
  return subprocess.run(argv, capture_output=True, text=True, timeout=800)


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path):
  done = execute(
    *command(bare(tmp_path), 'dream_decode'),
    '--dream_decode.decoder_model', 'nowhere.pkl',
  )  # fmt: skip
  assert done.returncode == 2, done.stderr
  assert len(done.stderr.splitlines()) == 1
  assert 'nowhere.pkl' in done.stderr


def load(path):
  with open(path, 'rb') as file:
    return pickle.load(file)


@pytest.mark.slow
def test_the_whole_chain(logdir):
  """record -> decode_position --save_model -> dream_decode, as documented."""
  done = execute(
    *command(logdir, 'eval_trajectory'), '--seed', '42',
    '--eval_trajectory.num_episodes', '3',
    '--eval_trajectory.layers', 'dyn/.*',
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  done = execute(
    sys.executable, str(ROOT / 'dreamerv3' / 'decode_position.py'),
    '--data', str(logdir / 'trajectories'), '--repr', 'deter',
    '--save', str(logdir / 'decoder_results'), '--save_model',
    '--n_iters', '20', '--n_boot', '10',
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  decoder = logdir / 'decoder_results' / 'classifier_deter.pkl'
  flags = (
    '--dream_decode.decoder_model', str(decoder),
    '--dream_decode.num_batches', '2', '--dream_decode.num_episodes', '2',
  )  # fmt: skip
  done = execute(*command(logdir, 'dream_decode'), *flags)
  assert done.returncode == 0, done.stderr
  assert 'knows the world of seed 42' in done.stdout
  folder = logdir / 'dream_results'
  check_results(folder, decoder, load(folder / 'dream_results.pkl'))
  entry = read_run_info(folder)[-1]
  written = {pathlib.Path(x).name for x in entry['outputs']}
  assert written == {x.name for x in folder.iterdir()} - {
    'run_info.json', '.run_info.lock',
  }  # fmt: skip
  assert entry['stage'] == 'dream_decode'
  assert entry['extra']['inputs'][1] == str(decoder)
  again = logdir / 'again'
  other = ('--dream_decode.save_path', str(again))
  done = execute(*command(logdir, 'dream_decode'), *flags, *other)
  assert done.returncode == 0, done.stderr
  first, second = (x / 'dream_results.pkl' for x in (folder, again))
  assert first.read_bytes() == second.read_bytes()


def check_results(folder, decoder, found: dict[str, Any]):
  N, H, D = 32, 15, 8
  shapes = {
    'decoded_pos': (N, H, 2), 'dream_proba': (N, H, 32, 32),
    'start_pos': (N, 2), 'obs_pos': (N, 16, 2), 'step_dists': (N, H - 1),
    'dream_deter': (N, H, D), 'replay_deter': (N, H, D),
    'dream_stoch': (N, H, 2, 4), 'real_pos': (N, H + 1, 2),
    'replay_pos': (N, H + 1, 2), 'observed_pos': (N, H + 1, 2),
    'valid': (N, H + 1), 'dream_t': (N,), 'dream_episode': (N,),
    'replay_proba': (4, H, 32, 32),
  }  # fmt: skip
  for key, shape in shapes.items():
    assert found[key].shape == shape, key
  assert found['decoded_pos'].dtype == np.float64
  assert found['dream_proba'].dtype == np.float32
  assert found['dream_deter_shape'] == (N, H, D)
  assert found['decoder_path'] == str(decoder)
  assert found['decoder_metadata']['n_units'] == D
  assert found['metadata']['seed'] == 42
  assert tuple(found['metadata']['area']) == (32, 32)
  assert found['num_batches'] == 2
  assert found['num_episodes'] == 2
  assert (found['dream_episode'] >= dream_decode.FIRST).all()
  assert (found['dream_t'] >= 15).all()
  np.testing.assert_array_equal(found['start_pos'], found['real_pos'][:, 0])
  np.testing.assert_array_equal(found['start_pos'], found['obs_pos'][:, -1])
  # The agent moves one tile at most, and the first replayed step is real.
  steps = np.abs(np.diff(found['real_pos'], axis=1)).sum(-1)
  assert steps[found['valid'][:, 1:]].max() == 1
  assert manhattan(found['replay_pos'], found['observed_pos'])[:, 1].max() == 0
  names = {x.name for x in folder.iterdir()}
  assert {'dream_trajectories_world.png', 'dream_vs_real.png',
          'dream_probmap_1.png', 'dream_probmap_4.png'} <= names  # fmt: skip
