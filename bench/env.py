"""How fast is our Crafter beside the one that pip installs?

  python bench/env.py                 # four settings, about five minutes
  python bench/env.py --seconds 5 --settings 32fixed 32fresh
  python bench/env.py --profile       # where our time goes

Both play the same random actions, resets included, each in a process of its
own, one after the other, in turns; medians of the rounds are compared. Stock
Crafter runs in the same interpreter with the same numpy and Pillow. `pip
install crafter` does not bring numba, so the stock process cannot import it;
the column `+numba` is stock Crafter in an environment that happens to have it
(it then compiles its noise). Rates are per second of CPU time. Compilation
and imports are not counted; they are shown as `first call`.
"""

import argparse
import cProfile
import json
import pathlib
import pstats
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

SETTINGS = {
  '64fixed': ((64, 64), True),
  '64fresh': ((64, 64), False),
  '32fixed': ((32, 32), True),
  '32fresh': ((32, 32), False),
}
ASKED = {'64fixed': 10, '64fresh': 5, '32fixed': 4, '32fresh': 4}
PLAYERS = ('stock', 'stock+numba', 'ours')
SEED = 1
Area = tuple[int, int]
# reset, and step: action -> whether an episode ended
Player = tuple[Callable[[], None], Callable[[int], bool]]


def stock(area: Area, fixed: bool) -> Player:
  """Stock Crafter with the loop that a user writes around it."""
  import crafter

  env = crafter.Env(area=area, seed=SEED)

  def reset() -> None:
    if fixed:
      env._episode = 0  # the only way to make it repeat a world
    env.reset()

  def step(action: int) -> bool:
    if env.step(action)[2]:
      reset()
      return True
    return False

  return reset, step


def ours(area: Area, fixed: bool) -> Player:
  """Our environment with all its observation keys."""
  from embodied.envs.crafter import Crafter

  env = Crafter(area=area, seed=SEED, fixed_seed=fixed)

  def reset() -> None:
    env.step({'action': 0, 'reset': True})

  def step(action: int) -> bool:
    obs = env.step({'action': action, 'reset': False})
    if obs['is_last']:
      reset()
    return bool(obs['is_last'])

  return reset, step


def play(player: str, setting: str, seconds: float) -> dict[str, float]:
  """Steps per second of random play in this process.

  Measures whole episodes, at least one, until the time is over.
  """
  if player == 'stock':
    sys.modules['numba'] = None  # type: ignore[assignment]
  area, fixed = SETTINGS[setting]
  begin = time.perf_counter()
  reset, step = (ours if player == 'ours' else stock)(area, fixed)
  reset()
  step(0)
  first = time.perf_counter() - begin
  rng = np.random.RandomState(0)
  reset()
  # CPU time: both players keep one core busy, and neighbours do not count.
  begin = time.process_time()
  steps = episodes = 0
  while True:
    steps += 1
    if step(int(rng.randint(17))):
      episodes += 1
      if time.process_time() - begin > seconds:
        break
  return {
    'rate': steps / (time.process_time() - begin),
    'first': first,
    'steps': steps,
    'episodes': episodes,
  }


def compare(settings: Iterable[str], seconds: float, rounds: int) -> None:
  """Run the players in turns; print a line per setting."""
  print(
    f'{"setting":8} {"stock":>8} {"+numba":>8} {"ours":>8} [steps/s]'
    f' {"ratio":>7} {"asked":>6} {"to numba":>9}   first call [s]'
  )
  for setting in settings:
    results: dict[str, list[dict]] = {player: [] for player in PLAYERS}
    for _ in range(rounds):
      for player in PLAYERS:
        results[player].append(in_a_process(player, setting, seconds))
    rate = {
      player: statistics.median(x['rate'] for x in found)
      for player, found in results.items()
    }
    first = {player: found[-1]['first'] for player, found in results.items()}
    print(
      f'{setting:8} {rate["stock"]:8.0f} {rate["stock+numba"]:8.0f} '
      f'{rate["ours"]:8.0f}           {rate["ours"] / rate["stock"]:6.1f}x '
      f'{ASKED[setting]:5}x {rate["ours"] / rate["stock+numba"]:8.1f}x   '
      + ' '.join(f'{player} {value:.1f}' for player, value in first.items()),
      flush=True,
    )


def in_a_process(player: str, setting: str, seconds: float) -> dict[str, float]:
  """Steps per second of one player in a process of its own."""
  command = [sys.executable, __file__, '--play', player, setting]
  done = subprocess.run(
    [*command, '--seconds', str(seconds)],
    stdout=subprocess.PIPE,
    text=True,
    check=True,
  )
  return json.loads(done.stdout)


PARTS = {
  'reset: generate world': 'crafter_worldgen.py:generate',
  'reset: rest': 'crafter_game.py:reset',
  'rules: player and creatures': 'crafter_game.py:_update',
  'rules: balance of chunks': 'crafter_game.py:_balance',
  'image: tiles': 'crafter_render.py:tile_ids',
  'image: light': 'crafter_light.py:paint',
  'image: noise': 'crafter_light.py:night_noise',
  'image: inventory': 'crafter_render.py:_place_strip',
}


def profile(setting: str, seconds: float) -> None:
  """Print the share of each part of our environment."""
  play('ours', setting, 0.1)
  profiler = cProfile.Profile()
  profiler.enable()
  play('ours', setting, seconds)
  profiler.disable()
  stats = pstats.Stats(profiler)
  entries = stats.stats  # type: ignore[attr-defined]
  total = {}
  for (file, _, name), (_, _, _, cumulative, _) in entries.items():
    total[f'{pathlib.Path(file).name}:{name}'] = cumulative
  whole = total['crafter.py:step']
  print(f'{setting}: share of the time in step() [%], under a profiler')
  rest = whole
  for part, place in PARTS.items():
    seconds = total.get(place, 0.0)
    if place.endswith(':reset'):
      seconds -= total.get(PARTS['reset: generate world'], 0.0)
    rest -= seconds
    print(f'  {part:30} {100 * seconds / whole:5.1f}')
  print(f'  {"observation dict and calls":30} {100 * rest / whole:5.1f}')


def main() -> None:
  """Times all players in turn and prints steps per second."""
  parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
  parser.add_argument('--seconds', type=float, default=10, help='per process')
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--settings', nargs='+', choices=SETTINGS, default=[*SETTINGS])
  parser.add_argument('--profile', action='store_true')
  parser.add_argument('--play', nargs=2, help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.play:
    player, setting = args.play
    print(json.dumps(play(player, setting, args.seconds)))
  elif args.profile:
    for setting in args.settings:
      profile(setting, args.seconds)
  else:
    compare(args.settings, args.seconds, args.rounds)


if __name__ == '__main__':
  main()
