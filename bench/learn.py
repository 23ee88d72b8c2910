"""Does the agent learn? Return against steps on a task that a CPU can solve.

For whoever changed the agent. A room of 4 x 4 cells, seen as an image: each
goal that is reached gives 1 and moves elsewhere, for 50 steps. Chance and
blind habits get about 1; more takes a world model that sees where the goal is
and an actor that plans a few steps. Trains several seeds through main.py, one
after the other, between a random agent and one that walks straight to each
goal.

  python bench/learn.py --seeds 0 1 2 --figure docs/images/learning.png
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from embodied.envs.grid import GOAL, MOVES, PLAYER, GridWorld

LENGTH = 50
PIXELS = 2  # of a cell, across

TASK = (
  f'--task grid_goal --env.grid.length {LENGTH} --run.envs 4 --batch_size 8 '
  '--batch_length 16 --report_length 8 --logger.outputs jsonl '
  '--run.usage.nvsmi False'
)
# More entropy than by default (3e-4), so that the actor does not settle before
# the world model has seen goals; with the default it learns too, but later.
AGENT = (
  r'--configs size1m --agent.dyn.rssm.deter 128 --agent.dyn.rssm.blocks 4 '
  r'--agent.dyn.rssm.hidden 64 --agent.dyn.rssm.stoch 8 '
  r'--agent.dyn.rssm.classes 8 --agent.dec.simple.bspace 4 '
  r'--agent\..*\.units 64 --agent\..*\.depth 8 --agent\..*\.mults 2 3 '
  r'--agent.imag_length 10 --agent.horizon 20 --agent.imag_loss.actent 1e-2 '
  r'--agent.opt.lr 1e-3 --agent.opt.warmup 100 --run.train_ratio 32 '
  r'--run.report_every 0 --run.log_every 20 --run.save_every 0'
)

Curve = tuple[np.ndarray, np.ndarray]  # steps at ends of episodes, returns


def main() -> None:
  """Trains all seeds and prints what they learned."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
  parser.add_argument('--steps', type=int, default=10000)
  parser.add_argument('--cells', type=int, default=4, help='across the room')
  parser.add_argument('--logdir', type=pathlib.Path, default='logdir/learn')
  parser.add_argument('--bins', type=int, default=10)
  parser.add_argument('--figure', type=pathlib.Path, help='png to draw')
  args = parser.parse_args()
  best = straight(args.cells)
  ends = np.linspace(0, args.steps, args.bins + 1)[1:].astype(int)
  print(f'mean return per episode (straight {best:.1f}) up to step', *ends)
  curves: dict[str, Curve] = {}
  for name in ('random', *map(str, args.seeds)):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    curves[name] = run(args.logdir / name, name, args.steps, args.cells)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = sum(after[:2]) - sum(before[:2])
    text = ' '.join(f'{x:7.2f}' for x in means(*curves[name], ends))
    print(f'{name:>7}: {text}   ({seconds:.0f} s of CPU)', flush=True)
  if args.figure:
    draw(args.figure, curves, best)


def run(logdir: pathlib.Path, name: str, steps: int, cells: int) -> Curve:
  """Trains in a process of its own; an earlier run there is continued.

  Args:
    name: 'random', or the seed.
  """
  random = name == 'random'
  size = cells * PIXELS
  command = [
    sys.executable,
    str(ROOT / 'dreamerv3/main.py'),
    *TASK.split(),
    *AGENT.split(),
    '--run.steps',
    str(steps),
    '--env.grid.cells',
    str(cells),
    '--env.grid.size',
    str(size),
    str(size),
    '--logdir',
    str(logdir),
    '--seed',
    '0' if random else name,
    '--random_agent',
    str(random),
  ]
  logdir.parent.mkdir(parents=True, exist_ok=True)
  with logdir.with_suffix('.log').open('a') as log:
    subprocess.run(command, stdout=log, stderr=log, check=True)
  lines = (logdir / 'scores.jsonl').read_text().splitlines()
  found = [json.loads(x) for x in lines]
  return (
    np.array([x['step'] for x in found]),
    np.array([x['episode/score'] for x in found]),
  )


def means(steps: np.ndarray, scores: np.ndarray, ends: np.ndarray) -> list:
  """Mean score of the episodes that ended in each stretch of steps."""
  place = np.searchsorted(ends, steps)
  return [
    scores[place == i].mean() if (place == i).any() else float('nan')
    for i in range(len(ends))
  ]


def straight(cells: int, episodes: int = 500) -> float:
  """Mean return of walking straight to each goal, which is the most there is.

  What the image shows is read off, as the agent has to.
  """
  env = GridWorld(size=(cells * PIXELS,) * 2, cells=cells, length=LENGTH, seed=12345)
  total = 0.0
  for _ in range(episodes):
    obs = env.step({'action': 0, 'reset': True})
    while not obs['is_last']:
      image = obs['image'][::PIXELS, ::PIXELS]
      goal, player = (np.argwhere((image == x).all(-1))[0] for x in (GOAL, PLAYER))
      down, right = np.sign(goal - player)
      move = (right, 0) if right else (0, down)
      obs = env.step({'action': MOVES.index(move), 'reset': False})
      total += obs['reward']
  return total / episodes


def draw(path: pathlib.Path, curves: dict[str, Curve], best: float) -> None:
  """One line per seed: mean over the episodes of the last 1000 steps."""
  from dreamerv3.base import files
  from dreamerv3.plots import style

  figure, axes = style.new_figure(1, 1, 5.6, 3.6)
  ax = axes.flat[0]
  ax.axhline(best, color=style.BLACK, ls='--', label='straight to each goal')
  for name, (steps, scores) in curves.items():
    x = np.arange(200, steps.max() + 200, 200)
    y = [scores[(steps > i - 1000) & (steps <= i)] for i in x]
    color = style.GREY if name == 'random' else None
    label = 'random' if name == 'random' else f'seed {name}'
    line = [v.mean() if len(v) else np.nan for v in y]
    ax.plot(x, line, color=color, label=label)
  ax.set(xlabel='environment steps', ylabel='return of an episode')
  ax.set(xlim=0, ylim=(0, 1.1 * best))
  ax.legend(loc='upper left', bbox_to_anchor=(0, 0.93))
  files.save_figure(path, figure)


if __name__ == '__main__':
  main()
