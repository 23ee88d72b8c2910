"""A study as the list of its tasks: each a command, what it reads and leaves.

  for task in tasks(study): print(task.name, shlex.join(command(task)))

Nothing here looks at a disk.
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence

from dreamerv3.studies.kinds import KINDS, StageKind
from dreamerv3.studies.study import Condition, Stage, Study, Words

PROGRAMS = pathlib.Path(__file__).resolve().parents[1]
# Flags that change no number, only how fast it comes.
NEUTRAL = ('n_jobs', 'eval_trajectory.envs', 'run.usage.psutil', 'run.usage.nvsmi')


@dataclasses.dataclass(frozen=True)
class Task:
  """One stage of one run.

  Attributes:
    run: label of the run, <condition>_seed<N>.
    index: of the run in the study.
    condition, seed, stage: which.
    flags: of the command; paths are seen from the folder of the run.
    logdir: folder of the run.
    needs: names of the tasks before it.
    digest: of what its results depend on, those of the tasks before it included.
  """

  run: str
  index: int
  condition: str
  seed: int
  stage: str
  flags: Mapping[str, Words]
  logdir: pathlib.Path
  needs: tuple[str, ...]
  digest: str

  @property
  def name(self) -> str:
    """'usual_seed0/decode'."""
    return f'{self.run}/{self.stage}'

  @property
  def kind(self) -> StageKind:
    """What its stage runs."""
    return KINDS[self.stage]

  @property
  def output(self) -> pathlib.Path:
    """Folder of its results."""
    return self.logdir / self.kind.folder

  @property
  def proof(self) -> pathlib.Path:
    """What is there once it is done."""
    return self.output / self.kind.proof


@functools.lru_cache(maxsize=8)
def tasks(study: Study) -> tuple[Task, ...]:
  """All tasks, each behind those that it needs: run by run, stage by stage."""
  found: list[Task] = []
  runs = [(c, s) for c in study.conditions for s in study.seeds]
  for index, (condition, seed) in enumerate(runs):
    digests: dict[str, str] = {}
    for stage in study.stages:
      task = _task(study, index, condition, seed, stage, digests)
      digests[stage.name] = task.digest
      found.append(task)
  return tuple(found)


def command(task: Task, programs: pathlib.Path = PROGRAMS) -> list[str]:
  """The words that do a task."""
  return [sys.executable, str(programs / f'{task.kind.program}.py'), *words(task)]


def words(task: Task) -> list[str]:
  """The flags of a task's command, its paths as they are from here."""
  kind = task.kind
  paths = {*kind.places, *(x for x, _ in kind.optional.values())}
  found = []
  for name, values in task.flags.items():
    if name in paths:
      found += [f'--{name}', str(task.logdir / values[0])]
    else:
      found += [*_flag(name, values, kind.program)]
  return found


def _flag(name: str, values: Sequence[str], program: str) -> Iterator[str]:
  """A flag with its values; a switch of the analyses is there or not."""
  if program == 'main' or list(values) not in (['True'], ['False']):
    yield from (f'--{name}', *values)
  else:
    yield f'--{name}' if values[0] == 'True' else f'--no-{name}'


def _task(
  study: Study,
  index: int,
  condition: Condition,
  seed: int,
  stage: Stage,
  digests: Mapping[str, str],
) -> Task:
  kind = KINDS[stage.name]
  run = f'{condition.name}_seed{seed}'
  read = {k: v for k, v in kind.optional.items() if k in digests}
  flags = _flags(kind, stage, condition, seed, dict(read.values()))
  before = (*kind.needs, *read)
  setting = {k: v for k, v in flags.items() if k not in NEUTRAL}
  facts = [kind.program, setting, {x: digests[x] for x in before}]
  text = json.dumps(facts, sort_keys=True)
  return Task(
    run=run,
    index=index,
    condition=condition.name,
    seed=seed,
    stage=stage.name,
    flags=flags,
    logdir=study.folder / run,
    needs=tuple(f'{run}/{x}' for x in before),
    digest=hashlib.sha256(text.encode()).hexdigest()[:16],
  )


def _flags(
  kind: StageKind,
  stage: Stage,
  condition: Condition,
  seed: int,
  read: Mapping[str, str],
) -> Mapping[str, Words]:
  """What the command is given; the condition's flags win over the stage's."""
  flags: dict[str, Words] = {}
  if kind.program == 'main':
    flags['script'] = (kind.script,)
  flags |= {k: (v,) for k, v in {**kind.places, **kind.fixed, **read}.items()}
  flags |= {k: (v,) for k, v in kind.usual.items()}
  flags |= {full_name(kind, k): v for k, v in stage.flags.items()}
  if kind.script == 'train':
    flags |= {'seed': (str(seed),), **condition.flags}
  return flags


def full_name(kind: StageKind, name: str) -> str:
  """A setting of a stage as the flag of its command: names of its own group first."""
  return f'{kind.block}.{name}' if kind.block and '.' not in name else name
