"""The one command of the agent: train it, evaluate it, look inside it.

python dreamerv3/main.py --configs crafter_small size25m --logdir RUN
python dreamerv3/main.py --logdir RUN --script eval_trajectory
python dreamerv3/main.py --help          # or a part of it: --help env
"""

import contextlib
import dataclasses
import importlib
import os
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Any

if __name__ == '__main__':  # the repository, not this folder, on the path
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import elements

from dreamerv3.base import ending
from dreamerv3.base import flags as settings
from dreamerv3.base.errors import UserError, one_line
from dreamerv3.run_info import Note, noting, version_line
from dreamerv3.setup import config, rules, rundir
from dreamerv3.setup import help as flags_help
from embodied.run.checkpoint import CheckpointError, find
from embodied.run.signals import Signals


@dataclasses.dataclass(frozen=True)
class Script:
  """A value of --script.

  Attributes:
    target: 'module:function', imported when it is asked for. It is called
      with one factory per need, by the name make_<need>, and with `args` (the
      settings of `run` with the common ones, flat) or `config` (all of them);
      it returns an exit code or None.
    needs: Names of factories in dreamerv3.setup.make.
    help: One line.
    trains: Owns the logdir; else inherits its settings and never writes them.
    gives: 'args' or 'config'.
  """

  target: str
  needs: tuple[str, ...]
  help: str
  trains: bool = False
  gives: str = 'args'

  def resolve(self) -> Any:
    """The function itself; imports its module."""
    module, _, name = self.target.partition(':')
    return getattr(importlib.import_module(module), name)


TRAIN = ('agent', 'replay', 'env', 'stream', 'logger')

SCRIPTS = {
  'train': Script('embodied.run.train:train', TRAIN, 'Trains an agent.', trains=True),
  'train_eval': Script(
    'embodied.run.train_eval:train_eval',
    TRAIN,
    'Trains, and evaluates in environments of its own.',
    trains=True,
  ),
  'eval_only': Script(
    'embodied.run.eval_only:eval_only',
    ('agent', 'env', 'logger'),
    'Acts with a trained agent and logs scores.',
  ),
  'eval_trajectory': Script(
    'dreamerv3.modes.eval_trajectory:run',
    ('agent',),
    'Records positions and activations of a trained agent.',
    gives='config',
  ),
  'replay_activations': Script(
    'dreamerv3.modes.replay_activations:run',
    ('agent',),
    'Leads an agent along a recording and records its layers there.',
    gives='config',
  ),
  'dream_decode': Script(
    'dreamerv3.modes.dream_decode:run',
    ('agent',),
    'Decodes positions from imagined trajectories.',
    gives='config',
  ),
}


def main(argv: Sequence[str] | None = None) -> None:
  """Runs a script; leaves with its exit code if that is not 0."""
  words = sys.argv[1:] if argv is None else argv
  if not words:
    print(flags_help.SHORT, file=sys.stderr)
    sys.exit(2)
  flags = config.parse_flags(words)
  if 'version' in flags:
    print(version_line('main.py'))
    return
  blocks = config.read_blocks()
  if 'help' in flags:
    scripts = {k: v.help for k, v in SCRIPTS.items()}
    text, topics = config.CONFIGS.read_text(), config.split(flags['help'])
    print(flags_help.help_text(text, scripts, blocks, topics))
    return
  settled, notes = resolve(flags, blocks)
  for note in notes:
    print(note)
  code = attempt(settled)
  if code:
    sys.exit(code)


def attempt(settled: elements.Config) -> int:
  """Runs the script; the exit code, with one line for what is no bug of ours."""
  try:
    return launch(SCRIPTS[settled.script], settled)
  except CheckpointError as e:
    raise UserError('; '.join(str(e).splitlines())) from e
  except FloatingPointError as e:
    if settled.jax.debug:  # where it is from is what was asked for
      raise
    line = f'{e}. {_advice(settled)}'
  except RuntimeError as e:
    if 'RESOURCE_EXHAUSTED' not in str(e):  # as JAX says it, of GPUs and hosts
      raise
    line = f'{str(e).partition(chr(10))[0]} {_smaller(settled)}'
  except OSError as e:
    if not ending.lacking(e):
      raise
    line = str(e)
    if 'run the same command' not in line:  # such as that of a log
      line += (
        f'. What was complete in {settled.logdir} is intact; mend this and '
        'run the same command again.'
      )
  print(f'{sys.argv[0]}: error: {one_line(line)}', file=sys.stderr)
  return 1


def _smaller(settled: elements.Config) -> str:
  """What to do when the memory of the device is used up."""
  less = f'a smaller --batch_size (now {settled.batch_size}) or size in --configs'
  if not SCRIPTS[settled.script].trains:
    less = 'fewer environments or dreams at a time, or --jax.platform cpu'
  return f'No file is damaged; run it with {less}, or on a device with more memory.'


def _advice(settled: elements.Config) -> str:
  """What to do when a number is not finite."""
  if not SCRIPTS[settled.script].trains:
    return (
      'The agent of this checkpoint does not compute numbers; give an earlier one '
      'as --run.from_checkpoint, or try --jax.compute_dtype float32.'
    )
  return (
    'Training has diverged; nothing was saved since. The checkpoint in '
    f'{pathlib.Path(settled.logdir) / "ckpt"} is whole: go on from it with a lower '
    f'--agent.opt.lr (now {settled.agent.opt.lr:g}) or --jax.compute_dtype float32 '
    '(if that diverges at once, from an older one or anew), or find the first such '
    'number with --jax.debug True.'
  )


def resolve(
  flags: config.Flags, blocks: config.Blocks
) -> tuple[elements.Config, list[str]]:
  """All settings of this command, and what the user should know of them."""
  settled = config.fill_logdir(config.stack(blocks, flags))
  if settled.script not in SCRIPTS:
    near = config.nearest(settled.script, SCRIPTS)
    raise UserError(
      f"Unknown --script '{settled.script}'{near}; known: {', '.join(SCRIPTS)}."
    )
  notes: list[str] = []
  if not SCRIPTS[settled.script].trains:
    settled, notes = rundir.inherit(settled, blocks, flags)
  settled = place_replica(settled, flags)
  rules.check(settled)
  return settled, notes


def place_replica(settled: elements.Config, flags: config.Flags) -> elements.Config:
  """Which of the processes of a run this is; all but the first have folders
  of their own below the logdir."""
  if settled.replicas > 1 and 'replica' not in flags:
    for name in ('JOB_COMPLETION_INDEX', 'SLURM_PROCID'):
      if value := os.environ.get(name):
        if not re.fullmatch('[0-9]{1,9}', value):
          raise UserError(f"{name} is '{value}', expected a number; give --replica.")
        settled = settled.update(replica=int(value))
        break
  if settled.replica:
    logdir = pathlib.Path(settled.logdir) / f'replica_{settled.replica}'
    settled = settled.update(logdir=str(logdir))
  return settled


def launch(script: Script, settled: elements.Config) -> int:
  """Runs a script with its factories; returns the exit code."""
  with contextlib.ExitStack() as stack:
    if script.trains:
      stack.enter_context(Signals(begun=False))
    return _launch(script, settled, stack)


def _launch(
  script: Script, settled: elements.Config, stack: contextlib.ExitStack
) -> int:
  # Not at the top: --help and wrong flags should not wait for JAX.
  make = importlib.import_module('dreamerv3.setup.make')
  make.check(settled)  # before anything is written
  settled = make.platform(settled)
  note: Note | None = None
  if script.trains:
    need = make.check_agent(settled)
    changed = stack.enter_context(rundir.training(settled))
    for key, (then, now) in changed.items():
      print(f'Changed since this run began: {key} {then} -> {now}')
    note = stack.enter_context(_noting(settled, changed))
    if need:
      make.tell_memory(settled, need)
  elif script.gives == 'args':  # others note themselves, when they know what they do
    note = stack.enter_context(_noting_evaluation(settled))
  factories = [make.factory(name, settled) for name in script.needs]
  last = settled if script.gives == 'config' else make.run_args(settled)
  code = script.resolve()(*factories, last) or 0
  if note and code:
    note.status = 'stopped'
  return code


def _noting(
  settled: elements.Config, changed: rundir.Changes
) -> contextlib.AbstractContextManager[Note]:
  """Provenance of a training run, from here to its end."""
  return noting(
    settled.logdir,
    settled.script,
    settled.flat,
    {'run.from_checkpoint': settled.run.from_checkpoint},
    outputs=_outputs(settled),
    extra={'changed': changed},
  )


def _noting_evaluation(
  settled: elements.Config,
) -> contextlib.AbstractContextManager[Note]:
  """Provenance of what a script writes into its own folder of a run."""
  folder = pathlib.Path(settled.logdir, settled.script)
  checkpoint = find(settled.run.from_checkpoint or settled.logdir)
  return noting(
    folder,
    settled.script,
    settled.flat,
    {'checkpoint': checkpoint},
    outputs=[folder / x for x in _logs(settled)],
  )


def _outputs(settled: elements.Config) -> list[pathlib.Path]:
  """Files that a training run writes and keeps."""
  names = ['config.yaml', 'ckpt', 'replay', 'report', *_logs(settled)]
  return [pathlib.Path(settled.logdir, x) for x in names]


def _logs(settled: elements.Config) -> list[str]:
  jsonl = 'jsonl' in settled.logger.outputs
  return ['metrics.jsonl', 'scores.jsonl'] if jsonl else []


if __name__ == '__main__':
  settings.run(main)
