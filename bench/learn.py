"""Does the agent learn? Return against steps on a task that a CPU can solve.

For whoever changed the agent. Trains several seeds through main.py, one after
the other, and prints the curves below that of a random agent. The task gives
1 for one of five actions, at each of 50 steps: random 10, best 50.

  python bench/learn.py --seeds 0 1 2 --logdir logdir/learn
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]

TASK = (
  '--task dummy_disc --env.dummy.size 16 16 --env.dummy.length 50 '
  '--run.envs 4 --batch_size 8 --batch_length 8 --report_length 8 '
  '--logger.outputs jsonl --run.usage.nvsmi False'
)  # fmt: skip
AGENT = (
  r'--configs size1m --agent.dyn.rssm.deter 64 --agent.dyn.rssm.blocks 4 '
  r'--agent.dyn.rssm.hidden 32 --agent.dyn.rssm.stoch 8 '
  r'--agent.dec.simple.bspace 4 --agent\..*\.units 32 --agent\..*\.depth 2 '
  r'--agent.imag_length 5 --agent.horizon 10 --agent.imag_loss.actent 1e-2 '
  r'--agent.opt.lr 1e-3 --agent.opt.warmup 50 --run.train_ratio 32 '
  r'--run.report_every 300 --run.log_every 20 --run.save_every 0'
)  # fmt: skip


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
  parser.add_argument('--steps', type=int, default=3000)
  parser.add_argument('--logdir', type=pathlib.Path, default='logdir/learn')
  parser.add_argument('--bins', type=int, default=6)
  args = parser.parse_args()
  ends = np.linspace(0, args.steps, args.bins + 1)[1:].astype(int)
  print('mean return per episode (random 10, best 50) up to step', *ends)
  for name in ('random', *args.seeds):
    random = name == 'random'
    began = time.monotonic()
    run(args.logdir / f'{name}', 0 if random else name, args.steps, random)
    curve = means(args.logdir / f'{name}' / 'scores.jsonl', ends)
    seconds = time.monotonic() - began
    text = ' '.join(f'{x:7.2f}' for x in curve)
    print(f'{name!s:>7}: {text}   ({seconds:.0f} s)', flush=True)


def run(logdir: pathlib.Path, seed: int, steps: int, random: bool) -> None:
  """Trains in a process of its own; an earlier run there is continued."""
  flags = f'{TASK} {AGENT} --run.steps {steps} --seed {seed}'.split()
  command = [sys.executable, str(ROOT / 'dreamerv3/main.py'), *flags]
  command += ['--logdir', str(logdir), '--random_agent', str(random)]
  with open_log(logdir) as log:
    subprocess.run(command, stdout=log, stderr=log, check=True)


def open_log(logdir: pathlib.Path):
  logdir.parent.mkdir(parents=True, exist_ok=True)
  return logdir.with_suffix('.log').open('a')


def means(path: pathlib.Path, ends: np.ndarray) -> list[float]:
  """Mean score of the episodes that ended in each stretch of steps."""
  lines = [json.loads(x) for x in path.read_text().splitlines()]
  steps = np.array([x['step'] for x in lines])
  scores = np.array([x['episode/score'] for x in lines])
  place = np.searchsorted(ends, steps)
  return [
    float(scores[place == i].mean()) if (place == i).any() else float('nan')
    for i in range(len(ends))
  ]


if __name__ == '__main__':
  main()
