"""Makes of a training run a folder to ship: what inference needs, and its logs.

  python agents/pack.py --logdir logdir/run --save agents/name --steps 30000 110000 0

Keeps the networks of some checkpoints in float32, without optimizer, slow critic and
replay, the logs thinned to `--records` lines, config.yaml and run_info.json. Write the
MODEL_CARD.md beside them: it marks the folder as finished.
"""

import json
import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from dreamerv3.base import files, flags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import flag
from embodied.run import checkpoint

NETWORKS = ('enc/', 'dyn/', 'dec/', 'rew/', 'con/', 'pol/', 'val/')
LOGS = ('metrics.jsonl', 'scores.jsonl')
LEFT = ('timer/', 'usage/', 'fps/')  # of the machine that trained


@dataclasses.dataclass(frozen=True)
class PackSettings:
  """Packs a training run, or several that continued each other, to ship."""

  logdir: tuple[str, ...] = flag(
    help='Folders of the run and of those that went on from its end, in order.'
  )
  save: str = flag(help='Folder to make.')
  steps: tuple[int, ...] = flag(
    (0,), low=0, help='Checkpoints nearest to these steps; 0 for the newest.'
  )
  records: int = flag(600, low=1, help='Lines of each log that stay, about.')


def main(argv: Sequence[str] | None = None) -> None:
  """Packs the runs that were asked for, and says what came of it."""
  args = flags.parse(PackSettings, argv)
  runs, save = [pathlib.Path(x) for x in args.logdir], pathlib.Path(args.save)
  if save.exists():
    raise UserError(f'{save} is there already; name a new folder.')
  found, starts = {}, []
  for run in runs:
    starts.append(max(found.values(), default=0))
    there = checkpoint.complete(run / 'ckpt')
    if not there:
      raise UserError(f'{run} holds no complete checkpoint.')
    lacks = [
      x for x in (*LOGS, 'config.yaml', 'run_info.json') if not (run / x).exists()
    ]
    if lacks:
      raise UserError(f'{run} lacks {", ".join(lacks)}; expected a whole training run.')
    found |= {x: starts[-1] + checkpoint.step_of(x) for x in there}
  newest = max(found, key=lambda x: (found[x], x.name))
  chosen = {
    min(found, key=lambda x: abs(found[x] - step)) if step else newest
    for step in args.steps
  }
  for path in sorted(chosen):
    pack(path, save / 'ckpt' / path.name, found[path])
  (save / 'ckpt' / 'latest').write_text(newest.name)
  config = (runs[-1] / 'config.yaml').read_text()
  entries = [json.loads((run / 'run_info.json').read_text()) for run in runs]
  provenance = json.dumps([x for run in entries for x in run], indent=2)
  (save / 'config.yaml').write_text(anonymous(config, runs))
  (save / 'run_info.json').write_text(anonymous(provenance, runs) + '\n')
  for name in LOGS:
    records = [
      shifted(x, start)
      for run, start in zip(runs, starts, strict=True)
      for x in (run / name).read_text().splitlines()
    ]
    # Episodes are in scores.jsonl; what was learned is in the other records.
    if name == 'metrics.jsonl':
      records = [x for x in records if any(k.startswith('train/') for k in x)]
    every = max(len(records) // args.records, 1)
    kept = records[:-1:every] + records[-1:]
    text = '\n'.join(json.dumps(x, separators=(',', ':')) for x in kept)
    (save / name).write_text(text + '\n')
  size = sum(x.stat().st_size for x in save.rglob('*') if x.is_file())
  print(f'{save}: steps {sorted(found[x] for x in chosen)}, {size / 1e6:.1f} MB')


def pack(source: pathlib.Path, target: pathlib.Path, step: int) -> None:
  """The networks of a checkpoint, as a checkpoint."""
  data = checkpoint.read(source / 'agent.pkl')
  networks = {
    k: np.asarray(v, np.float32)
    for k, v in data['params'].items()
    if k.startswith(NETWORKS)
  }
  target.mkdir(parents=True)
  content = {'params': networks, 'counters': data['counters']}
  files.save_pickle(target / 'agent.pkl', content)
  files.save_pickle(target / 'step.pkl', step)
  (target / 'done').touch()


def shifted(line: str, start: int) -> dict[str, float]:
  """A record at its step since the first run began, with six digits."""
  record = json.loads(line)
  record['step'] += start
  short = {k: float(f'{v:.6g}') for k, v in record.items() if not k.startswith(LEFT)}
  return {k: int(v) if v == int(v) else v for k, v in short.items()}


def anonymous(text: str, runs: Sequence[pathlib.Path]) -> str:
  """A text without the folders of the machine that trained."""
  for run in runs:
    text = text.replace(str(run.absolute()), f'logdir/{run.name}')
  return re.sub(r'(?<![\w.])/(?:[\w.~+-]+/)+', '', text)


if __name__ == '__main__':
  flags.run(main)
