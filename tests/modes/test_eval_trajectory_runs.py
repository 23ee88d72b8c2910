"""Recordings of other runs than the usual: many worlds, of the published agent."""

import shutil

import pytest

from dreamerv3.data.trajectories import Trajectories
from tests.recorded_runs import load, make_run, record


@pytest.fixture(scope='module')
def logdir(tmp_path_factory):
  return make_run(tmp_path_factory.mktemp('runs') / 'run')


@pytest.mark.slow
def test_worlds_change_only_when_asked(tmp_path):
  logdir = make_run(tmp_path / 'run', '--env.crafter.fixed_seed', 'False')
  few = (
    '--eval_trajectory.num_episodes',
    '2',
    '--eval_trajectory.layers',
    'dyn/deter',
  )
  out = record(logdir, *few)
  assert 'stays in the first one' in out
  meta = load(logdir / 'trajectories' / 'metadata.pkl')
  assert meta['fixed_seed'] is True
  place = tmp_path / 'many'
  record(
    logdir,
    *few,
    '--eval_trajectory.one_world',
    'False',
    '--eval_trajectory.save_path',
    str(place),
  )
  many = load(place / 'metadata.pkl')
  assert many['fixed_seed'] is False
  assert many['world_map'] is None
  one, two = (load(place / f'episode_00{k}.pkl') for k in (1, 2))
  assert (one['world_map'] == meta['world_map']).all()
  assert (two['world_map'] != meta['world_map']).any()
  seed = many['env_seed']
  assert two['world_seed'] == hash((seed, 2)) != one['world_seed']
  assert Trajectories.open(place).lacks == ('no world map',)


@pytest.mark.slow
def test_a_run_of_the_published_agent(logdir, tmp_path):
  """Its config.yaml lacks our flags and has sections that we do not know."""
  from ruamel.yaml import YAML

  other = tmp_path / 'published'
  shutil.copytree(logdir / 'ckpt', other / 'ckpt')
  nested = YAML(typ='safe').load((logdir / 'config.yaml').read_text())
  del nested['eval_trajectory'], nested['dream_decode']
  nested['env']['crafter'] = {'size': [64, 64], 'logs': False}
  nested['env']['atari'] = {'size': [96, 96]}
  nested['run']['actor_addr'] = 'localhost:{auto}'
  nested['jax'] = {'platform': 'cuda', 'compute_dtype': 'bfloat16'}
  with (other / 'config.yaml').open('w') as file:
    YAML(typ='safe').dump(nested, file)
  out = record(
    other,
    '--eval_trajectory.num_episodes',
    '1',
    '--eval_trajectory.layers',
    'dyn/deter',
  )
  assert 'env.crafter.area=(64, 64)' in out
  assert 'Ignored, unknown here' in out
  assert 'env.atari' in out
  assert load(other / 'trajectories' / 'metadata.pkl')['area'] == (64, 64)


@pytest.mark.slow
def test_the_command_in_full(logdir, tmp_path):
  checkpoint = next((logdir / 'ckpt').glob('*/done')).parent
  out = record(
    logdir,
    '--configs',
    'crafter_small',
    'debug',
    '--run.from_checkpoint',
    str(checkpoint),
    '--eval_trajectory.num_episodes',
    '1',
    '--eval_trajectory.save_path',
    str(tmp_path / 'x'),
    '--seed',
    '42',
    '--eval_trajectory.layers',
    'dyn/.*',
  )
  assert 'Flags override: seed=42' in out
  meta = load(tmp_path / 'x' / 'metadata.pkl')
  assert meta['seed'] == 42
  assert meta['env_seed'] == hash((42, 0)) % (2**32 - 1)
  assert meta['checkpoint'] == str(checkpoint)
