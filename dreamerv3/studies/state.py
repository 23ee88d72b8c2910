"""What is known of each task, from files alone: STUDY/tasks/<run>.<stage>.json.

  for task in tasks(study): print(task.name, standing(study, task).word)

A record is written whole or not at all. Whoever works on a task renews the time of
its record, so that one elsewhere that fell silent is not waited for.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

from dreamerv3.base import files, regular
from dreamerv3.base.errors import reading
from dreamerv3.base.host.holder import Holder
from dreamerv3.base.host.locks import SILENT, Lock
from dreamerv3.studies.study import Study
from dreamerv3.studies.tasks import Task, tasks

WAIT = 60.0  # seconds for which another one that looks at the records is waited for
WORDS = ('done', 'running', 'queued', 'stopped', 'failed', 'stale', 'missing')


@dataclasses.dataclass(frozen=True)
class TaskRecord:
  """The last that happened to a task.

  Attributes:
    word: 'queued', 'running', 'done', 'failed' or 'stopped'.
    digest: of the task as it was then; see `Task.digest`.
    flags: of its command, to tell what has changed since.
    id: of this piece of work; those that read its results keep it.
    read: {task before it: id}.
    began, ended: seconds since the epoch; 0 where it did not.
    seconds: of work in all, those before a stop included.
    first: environment steps of the run when this piece of work began.
    error: last line of what it printed, if it failed.
    job: of SLURM, '12_3'; '' outside.
    holder: the process that works, as `Holder.text` has it.
  """

  word: str
  digest: str
  flags: Mapping[str, tuple[str, ...]]
  id: str = ''
  read: Mapping[str, str] = dataclasses.field(default_factory=dict)
  began: float = 0.0
  ended: float = 0.0
  seconds: float = 0.0
  first: int = 0
  error: str = ''
  job: str = ''
  holder: str = ''

  @classmethod
  def of(cls, values: Mapping[str, Any]) -> Self:
    """A record as its file has it; raises TypeError for another form."""
    flags = {k: tuple(v) for k, v in values['flags'].items()}
    return cls(**{**values, 'flags': flags})

  def lives(self, age: float) -> bool:
    """Whether somebody works on it.

    Args:
      age: seconds since the time of the record was renewed.
    """
    holder = Holder.read(self.holder)
    alive = holder.alive() if holder else None
    return age < SILENT if alive is None else alive


@dataclasses.dataclass(frozen=True)
class Standing:
  """How it is with a task now.

  Attributes:
    word: one of WORDS, or 'blocked' by one before it that failed.
    record: what was last written of it; None if it never began.
    why: of stale and failed ones, in one line.
  """

  word: str
  record: TaskRecord | None = None
  why: str = ''


def folder_of(study: Study) -> pathlib.Path:
  """Where records and logs of tasks are."""
  return study.folder / 'tasks'


def path_of(study: Study, task: Task, suffix: str = '.json') -> pathlib.Path:
  """The record of a task, or its log ('.log')."""
  return folder_of(study) / f'{task.run}.{task.stage}{suffix}'


def read(path: pathlib.Path) -> TaskRecord | None:
  """The record in a file; None if there is none.

  Raises:
    UserError: something else lies there.
  """
  if not path.exists():
    return None
  with reading(path, 'record of a task; delete it to do the task again'):
    return TaskRecord.of(json.loads(regular.read_text(path, 1 << 20)))


def write(study: Study, task: Task, record: TaskRecord) -> None:
  """Replaces the record of a task."""
  files.save_json(path_of(study, task), dataclasses.asdict(record))


@contextlib.contextmanager
def claiming(study: Study) -> Iterator[None]:
  """Nobody else decides meanwhile what to begin."""
  folder = files.make_folder(folder_of(study))
  with Lock(folder / '.lock', 'begins tasks of this study', wait=WAIT, sign=False):
    yield


def renew(study: Study, task: Task) -> None:
  """A sign of life, every `locks.BEAT` seconds."""
  with contextlib.suppress(OSError):
    os.utime(path_of(study, task))


def standings(study: Study, run: str = '') -> dict[str, Standing]:
  """{name: how it is with it} of all tasks, or of those of one run, in their order."""
  found: dict[str, Standing] = {}
  chosen = [x for x in tasks(study) if run in ('', x.run)]
  for task in chosen:
    found[task.name] = _standing(study, task, found)
  read_by_others = {y for x in chosen for y in x.needs}
  wanted = {y for x in chosen if found[x.name].word != 'done' for y in x.needs}
  for task in reversed(chosen):
    lost = found[task.name].word == 'done' and not task.proof.exists()
    # Recordings are large: what nobody will read may be deleted.
    if lost and (task.name in wanted or task.name not in read_by_others):
      found[task.name] = Standing('missing', None, f'{task.proof} is gone')
      wanted |= {*task.needs}
  return found


def _standing(study: Study, task: Task, before: Mapping[str, Standing]) -> Standing:
  path = path_of(study, task)
  record = read(path)
  blocked = any(before[x].word in ('failed', 'blocked') for x in task.needs)
  if record is None:
    return Standing('blocked' if blocked else 'missing')
  if record.word == 'running' and record.lives(age(path)):
    return Standing('running', record)
  if record.word == 'queued' and record.digest == task.digest:
    return Standing('blocked' if blocked else 'queued', record)
  if record.digest != task.digest and record.word != 'queued':
    return Standing('stale', record, difference(record.flags, task.flags))
  if record.word == 'running':
    return Standing('stopped', record, 'was killed')
  if record.word == 'done':
    return _done(task, record, before)
  if record.word == 'queued':
    return Standing('missing')
  return Standing(record.word, record, record.error)


def _done(task: Task, record: TaskRecord, before: Mapping[str, Standing]) -> Standing:
  for name in task.needs if task.proof.exists() else ():
    made = before[name].record
    if before[name].word == 'done' and made and made.id != record.read.get(name):
      return Standing('stale', record, f'{name} was done again since')
  return Standing('done', record)


def difference(
  then: Mapping[str, tuple[str, ...]], now: Mapping[str, tuple[str, ...]]
) -> str:
  """'run.steps 400, now 600', or that an earlier stage changed."""
  changed = [
    f'{k} {_value(then.get(k))}, now {_value(now.get(k))}'
    for k in [*now, *(x for x in then if x not in now)]
    if then.get(k) != now.get(k)
  ]
  return '; '.join(changed) or 'a stage before it has changed'


def _value(words: tuple[str, ...] | None) -> str:
  return 'unset' if words is None else ' '.join(words)


def age(path: pathlib.Path) -> float:
  """Seconds since the last sign of life of a record."""
  try:
    return time.time() - path.stat().st_mtime
  except OSError:
    return 0.0
