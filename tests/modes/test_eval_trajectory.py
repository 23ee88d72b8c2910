"""The recording script: from a logdir alone, the same files in any way."""

import json
import pathlib
import signal
import subprocess
import time
from typing import Any

import numpy as np
import pytest

from dreamerv3.agent.latents import Carry, Latent
from dreamerv3.base import unpickle
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.probing import probe as taps
from dreamerv3.recording.recorder import VALUES
from dreamerv3.run_info import read_run_info
from dreamerv3.setup import config as configs
from dreamerv3.setup import rundir
from tests.recorded_runs import command, execute, fails, load, make_run, record

EPISODES = 2


@pytest.fixture(scope='module')
def logdir(tmp_path_factory):
  return make_run(tmp_path_factory.mktemp('runs') / 'run')


EPISODE_FLAGS = (
  '--eval_trajectory.num_episodes',
  str(EPISODES),
  '--eval_trajectory.dtype',
  'float32',
)


@pytest.fixture(scope='module')
def recorded(logdir):
  """(folder, printed text) of a recording with the default settings."""
  out = execute(logdir, *EPISODE_FLAGS)
  return logdir / 'trajectories', out


@pytest.mark.slow
def test_settings_of_the_run_are_inherited_printed_and_stored(recorded):
  folder, out = recorded
  assert 'area [32, 32]' in out
  assert 'seed 3' in out
  assert 'kB per step' in out
  assert 'free, at 250 steps per episode (a guess)' in out
  meta = load(folder / 'metadata.pkl')
  assert meta['settings']['env']['area'] == [32, 32]
  assert meta['settings']['agent']['dyn']['rssm']['deter'] == 8
  assert meta['seed'] == 3
  assert meta['env_seed'] == hash((3, 0)) % (2**32 - 1)
  assert meta['world_seed'] == hash((meta['env_seed'], 1))
  assert meta['trained']
  assert meta['checkpoint_step'] == 1000
  assert meta['area'] == (32, 32) == meta['world_map'].shape
  assert meta['materials'][meta['world_map'][16, 16]] == 'grass'


@pytest.mark.slow
def test_episodes_have_the_documented_keys(recorded):
  folder, _ = recorded
  meta = load(folder / 'metadata.pkl')
  for k in range(1, EPISODES + 1):
    episode = load(folder / f'episode_{k:03d}.pkl')
    T = episode['length']
    for key, (dtype, shape) in VALUES.items():
      assert episode[key].dtype == dtype, key
      assert episode[key].shape == (T, *shape), key
    assert episode['image'].shape == (T, 64, 64, 3)
    for name, units in meta['layers'].items():
      assert episode[f'act/{name}'].shape == (T, units), name
    assert episode['layer_names'] == sorted(meta['layers'])
    assert episode['deter'] is episode['act/dyn/deter']
    stoch = episode['act/dyn/stoch'].reshape((T, 2, 4))
    assert (episode['stoch'] == stoch).all()
    assert len(episode['achievements']) == T
    assert len(episode['final_achievements']) == 22
    assert episode['reward'][0] == 0
    assert episode['action'][-1] == 0
    assert episode['total_reward'] == episode['reward'].sum()
    steps = np.abs(np.diff(episode['player_pos'], axis=0)).sum(1)
    assert steps.max() == 1
    assert set(np.abs(episode['player_facing']).sum(1)) == {1}


@pytest.mark.slow
def test_moves_face_where_they_go(recorded):
  """Position and facing belong to the same timestep, one after the action."""
  folder, _ = recorded
  moves = {1: (-1, 0), 2: (1, 0), 3: (0, -1), 4: (0, 1)}
  seen = 0
  for path in folder.glob('episode_*.pkl'):
    x = load(path)
    for t in range(x['length'] - 1):
      move = moves.get(int(x['action'][t]))
      if move is None or x['sleeping'][t]:
        continue
      assert tuple(x['player_facing'][t + 1]) == move
      step = x['player_pos'][t + 1] - x['player_pos'][t]
      assert tuple(step) in (move, (0, 0))
      seen += 1
  assert seen > 50


@pytest.mark.slow
def test_activations_belong_to_the_image_of_their_row(recorded, logdir):
  """Recomputes recorded steps from image, previous action and state."""
  from dreamerv3.probing import trained
  from dreamerv3.setup import make

  folder, _ = recorded
  saved = rundir.read_saved(logdir / 'config.yaml')
  config = configs.stack(configs.read_blocks(), {}, saved)
  agent: Any = make.make_agent(config.update(script='eval_trajectory'))
  trained.load(agent, next((logdir / 'ckpt').glob('*/done')).parent)
  probe = taps.Probe(agent.model, dtype='float32')
  params = trained.parameters(agent)
  x = load(folder / 'episode_002.pkl')
  T = x['length']
  seed = np.random.SeedSequence([3, 2]).generate_state(2)
  steps = np.array([1, 2, T // 2, T - 1])
  rows = np.resize(steps, taps.WIDTH)
  latent = Latent(x['deter'][rows - 1], x['stoch'][rows - 1])
  carry = Carry(latent, {'action': x['action'][rows - 1]})
  obs = {'image': x['image'][rows], 'is_first': np.zeros(len(rows), bool)}
  seeds = np.tile(seed, (len(rows), 1))
  _, act, packed = probe(params, carry, obs, seeds, rows.astype(np.int32))
  inner = rows < T - 1
  assert (np.asarray(act['action']) == x['action'][rows])[inner].all()
  for layer in probe.layers:
    values = layer.of(packed).reshape(taps.WIDTH, -1)
    assert (values == x[f'act/{layer.name}'][rows]).all(), layer.name


@pytest.mark.slow
def test_one_environment_and_many_record_the_same_files(recorded, tmp_path):
  folder, _ = recorded
  logdir = folder.parent
  for envs in ('1', '20'):
    place = tmp_path / envs
    record(
      logdir,
      *EPISODE_FLAGS,
      '--eval_trajectory.envs',
      envs,
      '--eval_trajectory.save_path',
      str(place),
    )
    for path in sorted(folder.glob('episode_*.pkl')):
      assert path.read_bytes() == (place / path.name).read_bytes(), path.name


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_a_stopped_recording_goes_on(recorded, tmp_path, number):
  folder, _ = recorded
  flags = (
    *EPISODE_FLAGS,
    '--eval_trajectory.envs',
    '1',
    '--eval_trajectory.save_path',
    str(tmp_path / 'r'),
  )
  process = subprocess.Popen(
    command(folder.parent, *flags), stdout=subprocess.PIPE, text=True
  )
  deadline = time.monotonic() + 300
  while not (tmp_path / 'r' / 'episode_001.pkl').exists():
    assert process.poll() is None
    assert time.monotonic() < deadline
    time.sleep(0.01)
  process.send_signal(number)
  out, _ = process.communicate()
  if number == signal.SIGTERM:
    assert process.returncode == 75
    assert 'run the same command again' in out
    (entry,) = read_run_info(tmp_path / 'r')
    assert entry.extra['interrupted']
    assert entry.extra['new_steps'] > 0
  there = len(list((tmp_path / 'r').glob('episode_*.pkl')))
  assert 1 <= there < EPISODES
  again = record(folder.parent, *flags)
  assert f'Recording {EPISODES - there} of {EPISODES} episodes' in again
  for path in sorted(folder.glob('episode_*.pkl')):
    assert path.read_bytes() == (tmp_path / 'r' / path.name).read_bytes()


@pytest.mark.slow
def test_an_episode_depends_on_its_number_not_on_the_first(recorded, tmp_path):
  folder, _ = recorded
  flags = (
    *EPISODE_FLAGS,
    '--eval_trajectory.first_episode',
    '2',
    '--eval_trajectory.save_path',
    str(tmp_path / 'r'),
  )
  out = record(folder.parent, *flags)
  assert 'Recording 2 of 2 episodes, 2 to 3:' in out
  first, second = (
    (x / 'episode_002.pkl').read_bytes() for x in (folder, tmp_path / 'r')
  )
  assert first == second
  (tmp_path / 'r' / 'episode_003.pkl').unlink()
  assert 'Recording 1 of 2 episodes' in record(folder.parent, *flags)
  joined = load(tmp_path / 'r' / 'all_episodes.pkl')['episodes']
  assert [x['episode'] for x in joined] == [2, 3]


@pytest.mark.slow
def test_our_reader_and_summary(recorded):
  folder, out = recorded
  data = Trajectories.open(folder)
  assert not data.lacks
  assert len(data) == EPISODES
  joined = Trajectories.open(folder / 'all_episodes.pkl')
  for name in data.layers():
    assert (data.layer(name).X == joined.layer(name).X).all()
  text = (folder.parent / 'eval_achievements.out').read_text()
  assert f'Episodes: {EPISODES}' in text
  assert 'collect_wood' in text
  assert 'enc/cnn0' in out
  assert f'{EPISODES} episodes' in out


@pytest.mark.slow
def test_provenance_leads_back_to_the_run(recorded):
  folder, _ = recorded
  entry = json.loads((folder / 'run_info.json').read_text())[0]
  assert entry['stage'] == 'eval_trajectory'
  assert entry['args']['env.crafter.area'] == [32, 32]
  names = {pathlib.Path(x).name for x in entry['outputs']}
  assert names == {
    'episode_001.pkl',
    'episode_002.pkl',
    'metadata.pkl',
    'all_episodes.pkl',
    'eval_achievements.out',
  }
  assert all((folder / x).exists() for x in entry['outputs'])
  assert [x['kind'] for x in entry['inputs']] == ['checkpoint']
  checkpoint = pathlib.Path(entry['extra']['checkpoint'])
  assert (checkpoint / 'agent.pkl').exists()
  assert entry['extra']['checkpoint_step'] == 1000


@pytest.mark.slow
def test_the_untrained_control_has_the_same_form(recorded, logdir):
  folder, _ = recorded
  out = record(
    logdir,
    '--eval_trajectory.num_episodes',
    '1',
    '--eval_trajectory.load_checkpoint',
    'False',
    '--eval_trajectory.layers',
    'dyn/.*|val/value',
    '--eval_trajectory.all_episodes',
    'False',
  )
  assert 'untrained' in out
  place = logdir / 'trajectories_untrained'
  meta = load(place / 'metadata.pkl')
  assert meta['trained'] is False
  assert meta['checkpoint'] is None
  episode = load(place / 'episode_001.pkl')
  full = load(folder / 'episode_001.pkl')
  lacking = set(full) - set(episode)
  assert all(x.startswith('act/') for x in lacking)
  assert set(meta['layers']) == {
    'dyn/deter',
    'dyn/stoch',
    'dyn/prior_logit',
    'dyn/post_logit',
    'val/value',
  }
  assert episode['deter'].dtype == np.float16
  assert not (place / 'all_episodes.pkl').exists()


@pytest.mark.slow
def test_another_recording_in_the_folder_is_refused(recorded, logdir):
  folder, _ = recorded
  before = {x.name: x.stat().st_mtime_ns for x in folder.glob('[!.]*')}
  line = fails(logdir, *EPISODE_FLAGS, '--seed', '4')
  assert 'seed 3 there, 4 now' in line
  line = fails(logdir, *EPISODE_FLAGS[:2])
  assert 'eval_trajectory.dtype float32 there, float16 now' in line
  assert before == {x.name: x.stat().st_mtime_ns for x in folder.glob('[!.]*')}


@pytest.mark.slow
def test_nothing_foreign_is_in_the_files(recorded):
  folder, _ = recorded
  for path in folder.glob('*.pkl'):
    unpickle.load(path)
