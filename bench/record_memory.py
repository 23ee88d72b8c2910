"""Does the memory of a recording stay flat, whatever its length?

For whoever changed the recorder. Records untrained agents with all layers
through main.py, each number of episodes in a process of its own, and prints
its peak memory. An untrained agent dies after some 200 steps; here the world
is Crafter with a player that does not die, so that every episode has the asked
number of steps.

  python bench/record_memory.py --episodes 3 16 30 --length 500
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dreamerv3 import main as program
from embodied.envs import crafter, crafter_game

PEAK = 'peak kB: '


class Undying(crafter_game.Game):
  """Crafter in which whoever dies is healthy again."""

  def step(self, action: str) -> tuple[float, bool]:
    """The usual step, without deaths."""
    reward, dead = super().step(action)
    if dead:
      self.player.inventory.update(dict.fromkeys(crafter.VITALS, 9))
    return reward, False


def child(length: int, argv: list[str]) -> None:
  """The whole program in this process, in the world that nobody leaves."""
  crafter_game.LENGTH = length
  crafter_game.Game = Undying  # type: ignore[misc]
  program.main(argv)
  status = pathlib.Path('/proc/self/status').read_text()
  (peak,) = (x for x in status.splitlines() if x.startswith('VmHWM'))
  print(f'{PEAK}{peak.split()[1]}')


def measure(args: argparse.Namespace, episodes: int) -> tuple[float, float]:
  """Peak memory [MB] and size of the recording [MB]."""
  with tempfile.TemporaryDirectory(dir=args.folder) as folder:
    logdir = pathlib.Path(folder) / 'run'
    logdir.mkdir()
    flags = (
      f'--configs crafter_small {args.preset} --script eval_trajectory '
      '--eval_trajectory.load_checkpoint False '
      f'--eval_trajectory.num_episodes {episodes} '
      f'--eval_trajectory.envs {args.envs} --logdir {logdir}'
    )
    command = [sys.executable, __file__, '--child', '--length', str(args.length)]
    write_config(logdir, args.preset)
    done = subprocess.run([*command, *flags.split()], capture_output=True, text=True)
    if done.returncode:
      sys.exit(done.stdout + done.stderr)
    files = list((logdir / 'trajectories_untrained').glob('episode_*.pkl'))
    assert len(files) == episodes, done.stdout
    size = sum(x.stat().st_size for x in files) / 1e6
  peak = done.stdout.partition(PEAK)[2].split()[0]
  return int(peak) / 1e3, size


def write_config(logdir: pathlib.Path, preset: str) -> None:
  """What a training run leaves for the scripts that look at it."""
  from dreamerv3.setup import config, rundir

  flags = config.parse_flags(['--configs', 'crafter_small', preset])
  settled = config.stack(config.read_blocks(), flags)
  rundir.save(logdir / 'config.yaml', settled)


def main() -> None:
  """Prints the peak of memory for each number of episodes."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--episodes', type=int, nargs='+', default=[3, 16, 30])
  parser.add_argument('--length', type=int, default=500, help='steps of each')
  parser.add_argument('--envs', type=int, default=16)
  parser.add_argument('--preset', default='size1m')
  parser.add_argument('--folder', help='for the recordings; they are removed')
  parser.add_argument('--child', action='store_true', help=argparse.SUPPRESS)
  args, rest = parser.parse_known_args()
  if args.child:
    return child(args.length, rest)
  print(f'{args.preset}, episodes of {args.length} steps, envs {args.envs}')
  for episodes in args.episodes:
    peak, size = measure(args, episodes)
    print(
      f'{episodes:4d} episodes, {size:6.0f} MB: peak memory {peak:.0f} MB',
      flush=True,
    )
  return None


if __name__ == '__main__':
  main()
