"""Are the worlds what the flags promise? One line per check.

  PYTHONPATH=. python embodied/tests/test_crafter_world.py

Exit code 1 if a check fails. pytest runs the same checks, one test each.
"""

import collections
import pathlib
import subprocess
import sys
import traceback

import numpy as np
import pytest

from embodied.envs.crafter import ACTIONS, Crafter
from embodied.envs.registry import env_seed

WALKABLE = ('grass', 'path', 'sand')
HOSTILE = {'Zombie', 'Skeleton', 'Arrow'}
RESET = {'action': 0, 'reset': True}
SMALL = (32, 32)


def kinds(env):
  """Names of the classes of all objects in the world."""
  return {type(obj).__name__ for obj in env.game.world.objects}


def things(env):
  """Kind and place of all objects, in order."""
  objects = env.game.world.objects
  return [(type(obj).__name__, tuple(obj.pos)) for obj in objects]


def tile(env, obs):
  """Name of the material under the player."""
  x, y = obs['player_pos'].astype(int)
  return env.materials[env.world_map[x, y]]


def act(env, rng):
  return env.step({'action': int(rng.randint(len(ACTIONS))), 'reset': False})


def check_fixed_seed_repeats_the_world():
  env = Crafter(area=SMALL, seed=1)
  worlds = []
  for _ in range(5):
    env.step(RESET)
    worlds.append((env.world_seed, env.semantic().tolist(), things(env)))
    rng = np.random.RandomState(len(worlds))
    for _ in range(40):
      act(env, rng)
  assert all(world == worlds[0] for world in worlds)


def check_fresh_seeds_change_the_world():
  env = Crafter(area=SMALL, seed=1, fixed_seed=False)
  maps = []
  for _ in range(5):
    env.step(RESET)
    maps.append(env.world_map.tobytes())
  assert len(set(maps)) == 5, f'{len(set(maps))} different worlds of 5'
  fixed = Crafter(area=SMALL, seed=1)
  assert fixed.world_map.tobytes() == maps[0], 'episode 1 is the fixed world'


def check_environments_with_one_seed_agree():
  first, second = (Crafter(area=SMALL, seed=8) for _ in range(2))
  rng = np.random.RandomState(0)
  for index in range(400):
    action = {'action': int(rng.randint(17)), 'reset': index == 0}
    a, b = first.step(action), second.step(action)
    assert all((a[key] == b[key]).all() for key in a), f'step {index}'
  assert things(first) == things(second)


def check_environments_with_different_seeds_differ():
  maps = {
    Crafter(area=SMALL, seed=env_seed(seed, index)).world_map.tobytes()
    for seed in range(5)
    for index in range(4)
  }
  assert len(maps) == 20, f'{len(maps)} different worlds of 20'


def check_spawn_is_walkable_in_50_worlds():
  for seed in range(50):
    env = Crafter(area=SMALL, seed=seed)
    obs = env.step(RESET)
    assert tuple(obs['player_pos']) == (16, 16), seed
    assert tile(env, obs) in WALKABLE, (seed, tile(env, obs))


def check_random_spawn_is_reachable_and_free():
  for area, seeds in ((SMALL, 20), ((64, 64), 5)):
    for seed in range(seeds):
      env = Crafter(area=area, seed=seed, random_spawn=True)
      plain = Crafter(area=area, seed=seed)
      plain.step(RESET)
      taken = {place for kind, place in things(plain) if kind != 'Player'}
      for _ in range(5):
        obs = env.step(RESET)
        x, y = obs['player_pos'].astype(int).tolist()
        assert env.reachable[x, y], (seed, x, y)
        assert tile(env, obs) in WALKABLE, (seed, tile(env, obs))
        assert (x, y) not in taken, (seed, x, y)


def check_random_spawn_covers_the_reachable_world():
  env = Crafter(area=(12, 12), seed=3, random_spawn=True)
  count: collections.Counter[tuple[int, int]] = collections.Counter()
  for _ in range(1500):
    count[tuple(env.step(RESET)['player_pos'].astype(int).tolist())] += 1
  free = env.reachable.copy()
  for kind, place in things(env):
    free[place] = free[place] and kind == 'Player'
  missed = {tuple(x) for x in np.argwhere(free).tolist()} - set(count)
  # The player's own start is taken while the spawn is drawn.
  assert missed <= {(6, 6)}, missed
  expected = 1500 / len(count)
  chi2 = sum((n - expected) ** 2 / expected for n in count.values())
  assert chi2 < len(count) + 5 * (2 * len(count)) ** 0.5, (chi2, len(count))


def check_reachable_excludes_sealed_pockets():
  sealed = 0
  for seed in range(20):
    env = Crafter(area=(64, 64), seed=seed)
    reached, walkable = env.reachable, env.walkable
    assert reached[32, 32], seed
    assert not (reached & ~walkable).any(), seed
    sealed += int((walkable & ~reached).sum())
    # No step leads out: neighbours of reached tiles are reached or blocked.
    grown = np.zeros_like(reached)
    grown[1:] |= reached[:-1]
    grown[:-1] |= reached[1:]
    grown[:, 1:] |= reached[:, :-1]
    grown[:, :-1] |= reached[:, 1:]
    assert not (grown & walkable & ~reached).any(), seed
  assert sealed, 'no world has a pocket, so this check shows nothing'


def check_no_mobs_from_the_first_step():
  met = set()
  for area in (SMALL, (64, 64)):
    for seed in range(4):
      env = Crafter(area=area, seed=seed, disable_mobs=True)
      plain = Crafter(area=area, seed=seed)
      plain.step(RESET)
      rng = np.random.RandomState(seed)
      env.step(RESET)
      assert (env.world_map == plain.world_map).all(), seed
      peaceful = [x for x in things(plain) if x[0] not in HOSTILE]
      assert things(env) == peaceful, seed
      met |= kinds(plain)
      for step in range(400):
        env.game.player.inventory['health'] = 9
        obs = act(env, rng)
        assert not kinds(env) & HOSTILE, (seed, step)
        assert not obs['is_last'] or obs['is_terminal'], step
      assert 'Cow' in kinds(env), seed
  assert {'Zombie', 'Skeleton'} <= met, met


def check_the_player_stays_in_the_world():
  env = Crafter(area=(16, 16), seed=2, fixed_seed=False)
  env.step(RESET)
  rng = np.random.RandomState(0)
  before = None
  for _ in range(1500):
    env.game.player.inventory['health'] = 9
    obs = act(env, rng)
    pos = obs['player_pos']
    assert (pos >= 0).all(), pos
    assert (pos < 16).all(), pos
    if before is not None and not obs['is_first']:
      assert np.abs(pos - before).sum() <= 1, (before, pos)
    before = pos


def check_chosen_actions_do_what_they_say():
  env = Crafter(area=SMALL, seed=0)
  obs = env.step(RESET)
  for name, way in (
    *(('move_right', (1, 0)), ('move_down', (0, 1))),
    *(('move_left', (-1, 0)), ('move_up', (0, -1))),
  ):
    target = obs['player_pos'] + way
    action = {'action': ACTIONS.index(name), 'reset': False}
    obs = env.step(action)
    facing = obs['log/player_facing_x'], obs['log/player_facing_y']
    assert facing == way, (name, facing)
    assert (obs['player_pos'] == target).all(), name


CHECKS = [x for name, x in sorted(globals().items()) if name[:6] == 'check_']


@pytest.mark.parametrize('check', CHECKS, ids=lambda check: check.__name__[6:])
def test_check(check):
  check()


BUGS = {
  'fixed_seed_repeats_the_world': (
    'from embodied.envs.crafter_game import Game\n'
    'import itertools\n'
    'count = itertools.count()\n'
    'Game.world_hash = lambda self, episode: next(count)\n'
  ),
  'no_mobs_from_the_first_step': (
    'from embodied.envs.crafter_game import Game\n'
    'init = Game.__init__\n'
    'Game.__init__ = lambda self, *args: init(self, *args[:4], False)\n'
  ),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(BUGS))
def test_the_script_fails_when_a_check_fails(name):
  """With a bug planted in the game the script exits with 1 and names it."""
  run = f'import runpy; runpy.run_path({__file__!r}, run_name="__main__")'
  done = script('-c', BUGS[name] + run)
  assert done.returncode == 1, done.stdout + done.stderr
  assert f'FAIL {name}' in done.stdout


@pytest.mark.slow
def test_the_script_passes_as_it_is():
  done = script(__file__)
  assert done.returncode == 0, done.stdout + done.stderr
  lines = done.stdout.splitlines()
  assert [line[:5] for line in lines] == ['ok   '] * len(CHECKS) + ['all c']


def script(*arguments):
  return subprocess.run(
    [sys.executable, *arguments],
    capture_output=True,
    text=True,
    check=False,
    cwd=pathlib.Path(__file__).resolve().parents[2],
    env={'PYTHONPATH': '.'},
  )


def main():
  """Run all checks, whatever happens to one of them; the exit code."""
  failed = 0
  for check in CHECKS:
    try:
      check()
    except (AssertionError, ValueError, KeyError, IndexError) as error:
      failed += 1
      where = traceback.extract_tb(error.__traceback__)[-1].lineno
      print(f'FAIL {check.__name__[6:]}: line {where}: {error}', flush=True)
    else:
      print(f'ok   {check.__name__[6:]}', flush=True)
  print(f'{failed} of {len(CHECKS)} checks failed' if failed else 'all checks passed')
  return 1 if failed else 0


if __name__ == '__main__':
  sys.exit(main())
