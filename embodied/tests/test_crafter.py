"""The Crafter environment: contract under every flag, keys, errors, files."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from embodied.envs import crafter, crafter_game
from embodied.tests.contract import EnvContract, play

FLAGS: dict[str, dict[str, Any]] = {
  'default': {},
  'noreward': {'task': 'noreward'},
  'size': {'size': (96, 80)},
  'logs': {'logs': True},
  'fresh': {'fixed_seed': False},
  'spawn': {'random_spawn': True},
  'egocentric': {'egocentric_view': 7},
  'nomobs': {'disable_mobs': True},
  'all': {
    'size': (80, 80),
    'logs': True,
    'fixed_seed': False,
    'random_spawn': True,
    'egocentric_view': 5,
    'disable_mobs': True,
  },
}


def make(**settings):
  defaults: dict[str, Any] = {'area': (32, 32), 'seed': 4}
  return crafter.Crafter(**defaults | settings)


class Contract(EnvContract):
  steps = 500


for _name, _flags in FLAGS.items():
  _methods = {'make': staticmethod(lambda flags=_flags: make(**flags))}
  globals()[f'Test_{_name}'] = type(f'Test_{_name}', (Contract,), _methods)


def reset(env):
  return env.step({'action': 0, 'reset': True})


def step(env, action='noop'):
  index = crafter.ACTIONS.index(action)
  return env.step({'action': np.int32(index), 'reset': False})


def test_keys_and_types_are_the_documented_ones():
  env = make()
  obs = reset(env)
  assert {k: (v.dtype.name, v.shape) for k, v in obs.items()} == {
    'image': ('uint8', (64, 64, 3)),
    'reward': ('float32', ()),
    **{f'is_{x}': ('bool', ()) for x in ('first', 'last', 'terminal')},
    'player_pos': ('float32', (2,)),
    'log/reward': ('float32', ()),
    'log/daylight': ('float32', ()),
    'log/episode': ('int32', ()),
    'log/player_facing_x': ('int32', ()),
    'log/player_facing_y': ('int32', ()),
    'log/sleeping': ('int32', ()),
    **{f'log/vital_{x}': ('int32', ()) for x in ('health', 'food', 'drink', 'energy')},
    **{f'log/achievement_{x}': ('int32', ()) for x in crafter.ACHIEVEMENTS},
  }
  assert len(crafter.ACHIEVEMENTS) == 22
  more = set(reset(make(logs=True))) - set(obs)
  assert more == {f'log/inventory_{x}' for x in crafter.GOODS}
  assert len(more) == 12


def test_values_are_those_of_the_game():
  env = make(logs=True)
  obs = reset(env)
  assert tuple(obs['player_pos']) == (16, 16)
  assert (obs['log/player_facing_x'], obs['log/player_facing_y']) == (0, 1)
  inventory = env.game.player.inventory
  inventory.update(health=3, food=4, drink=5, energy=6, wood=7)
  obs = step(env, 'move_left')
  assert tuple(obs['player_pos']) == (15, 16)
  assert (obs['log/player_facing_x'], obs['log/player_facing_y']) == (-1, 0)
  assert [int(obs[f'log/vital_{x}']) for x in crafter.VITALS] == [3, 4, 5, 6]
  assert obs['log/inventory_wood'] == 7
  assert obs['reward'] == np.float32((3 - 9) / 10)
  obs = step(env, 'place_table')
  assert obs['log/achievement_place_table'] == 1
  assert obs['reward'] == 1
  assert obs['log/inventory_wood'] == 5
  obs = step(env, 'sleep')
  assert obs['log/sleeping'] == 1
  assert obs['log/daylight'] == np.float32(crafter_game.daylight(3))


def test_noreward_hides_the_reward_from_the_agent_alone():
  env = make(task='noreward')
  reset(env)
  env.game.player.inventory['wood'] = 9
  obs = step(env, 'place_table')
  assert (obs['reward'], obs['log/reward']) == (0, 1)


def test_death_is_terminal_and_the_time_limit_is_not():
  env = make()
  reset(env)
  env.game.player.inventory['health'] = 0
  obs = step(env)
  assert obs['is_last']
  assert obs['is_terminal']
  assert step(env)['is_first']
  env.game.steps = crafter_game.LENGTH - 1
  obs = step(env)
  assert obs['is_last']
  assert not obs['is_terminal']


def test_actions_out_of_range_are_named():
  env = make()
  reset(env)
  for action in (-1, 17):
    with pytest.raises(ValueError, match=f'0 to 16, got {action}'):
      env.step({'action': action, 'reset': False})


@pytest.mark.parametrize(
  ('settings', 'words'),
  [
    ({'task': 'score'}, r"\('reward', 'noreward'\), got 'score'"),
    ({'size': (16, 64)}, '16x64 is too small: .* at least 18x18'),
    ({'size': 64}, 'two whole numbers of pixels, got 64'),
    ({'area': (8, 64)}, '8x64 is too small: .* at least 9'),
    ({'area': (0, 0)}, '0x0 is too small'),
    ({'area': (32.5, 32)}, r'whole numbers of tiles, got \(32.5, 32\)'),
    ({'area': (32,)}, r'whole numbers of tiles, got \(32,\)'),
    ({'egocentric_view': 4}, 'odd number from 3 to 15, got 4'),
    ({'seed': 1.5}, 'whole number, got 1.5'),
  ],
)
def test_mistakes_are_named_with_their_values(settings, words):
  with pytest.raises(ValueError, match=words):
    make(**settings)


def test_the_smallest_world_is_played():
  env = make(area=(9, 9), random_spawn=True, fixed_seed=False)
  assert sum(obs['is_first'] for obs in play(env, 400, seed=0)) >= 1


def test_seed_none_draws_one_that_repeats_the_game():
  first, other = make(seed=None), make(seed=None)
  assert first.env_seed != other.env_seed
  again = make(seed=first.env_seed)
  np.testing.assert_array_equal(first.world_map, again.world_map)


def test_stats_are_appended_per_episode(tmp_path):
  folder = tmp_path / 'new' / 'logdir'
  total, length, want = 0.0, 0, []
  for _ in range(2):
    env = make(logdir=folder)
    for obs in play(env, 400, seed=1):
      total, length = (
        (0.0, 0) if obs['is_first'] else (total + obs['reward'], length + 1)
      )
      if obs['is_last']:
        counts = {
          f'achievement_{x}': int(obs[f'log/achievement_{x}'])
          for x in crafter.ACHIEVEMENTS
        }
        episode = int(obs['log/episode'])
        line = {'episode': episode, 'length': length, **counts}
        want.append((line, float(total)))
  lines = (folder / 'stats.jsonl').read_text().splitlines()
  got = [json.loads(line) for line in lines]
  assert len(got) == len(want) >= 2
  for entry, (line, reward) in zip(got, want, strict=True):
    assert entry.pop('reward') == pytest.approx(reward, abs=0.051)
    assert entry == line


def test_a_logdir_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(ValueError, match=r'cannot write .*stats\.jsonl: Not a'):
    make(logdir=tmp_path / 'file' / 'logdir')


def test_nothing_is_written_without_a_logdir(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  list(play(make(), 300, seed=0))
  assert not list(tmp_path.iterdir())


def test_maps_can_be_asked_for_before_the_first_reset():
  env, played = make(), make()
  reset(played)
  for name in ('world_map', 'walkable', 'reachable'):
    early, late = getattr(env, name), getattr(played, name)
    np.testing.assert_array_equal(early, late)
    assert early.shape == (32, 32)
    with pytest.raises(ValueError, match='read-only'):
      early[0, 0] = 1
  assert env.world_map.dtype == np.uint8
  assert env.materials[env.world_map[16, 16]] == 'grass'


def test_the_world_map_is_the_generated_one():
  env = make()
  reset(env)
  before = env.world_map.copy()
  env.game.world[16, 17] = 'table'
  np.testing.assert_array_equal(env.world_map, before)
  assert env.semantic()[16, 17] == env.materials.index('table')


def test_maps_of_an_episode_can_be_asked_for_before_it_is_played():
  env = make(fixed_seed=False)
  reset(env)
  env.set_episode(np.int64(3))
  early = env.world_map, env.world_seed, env.world_hash
  assert early[2] == hash((4, 3))
  assert reset(env)['log/episode'] == 3
  assert (early[1], early[2]) == (env.world_seed, env.world_hash)
  np.testing.assert_array_equal(early[0], env.world_map)


def test_seeds_of_the_world():
  env = make(seed=790160138)
  assert env.world_hash == hash((790160138, 1))
  assert env.world_seed == 180100604 == env.world_hash % (2**31 - 1)
  fresh = make(seed=790160138, fixed_seed=False)
  for episode in (1, 2, 3):
    assert reset(fresh)['log/episode'] == episode
    assert fresh.world_hash == hash((790160138, episode))


def test_the_package_stays_light():
  code = 'import sys, embodied.envs; print("numba" in sys.modules)'
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout == 'False\n'
