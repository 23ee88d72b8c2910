"""Does the tasks of a study on this machine, some at a time.

  outcome = run(study, chosen, jobs=2)
  sys.exit(outcome.code)

The pool is that of concurrent.futures; each of its threads waits for a command.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import signal
import time
from collections.abc import Iterator, Sequence

from dreamerv3.base.progress import duration
from dreamerv3.studies import state
from dreamerv3.studies.state import Standing
from dreamerv3.studies.study import Study
from dreamerv3.studies.tasks import Task
from dreamerv3.studies.working import Stop, work

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@dataclasses.dataclass(frozen=True)
class Outcome:
  """How it is with the chosen tasks in the end.

  Attributes:
    words: {task: done, failed, blocked, stopped, ...}.
    number: of the signal that ended it; 0 if none did.
  """

  words: dict[str, str]
  number: int = 0

  @property
  def code(self) -> int:
    """0 if all are done; 130 after Ctrl-C, 75 to be sent again, 1 else."""
    if all(x == 'done' for x in self.words.values()):
      return 0
    if self.number or 'stopped' in self.words.values():
      return 130 if self.number == signal.SIGINT else 75
    return 1


def run(study: Study, chosen: Sequence[Task], jobs: int) -> Outcome:
  """Works through tasks; a failure leaves those that do not need it going."""
  known = state.standings(study)
  todo = [x for x in chosen if known[x.name].word != 'done']
  with (
    _obeying() as stop,
    concurrent.futures.ThreadPoolExecutor(jobs) as pool,
  ):
    working: dict[concurrent.futures.Future[Standing], Task] = {}
    settled = {k: v.word for k, v in known.items()} | {x.name: '' for x in todo}
    while todo or working:
      for task in _ready(todo, settled) if not stop.number else ():
        if len(working) >= jobs:
          break
        todo.remove(task)
        _tell(task, 'begins')
        working[pool.submit(work, study, task, stop)] = task
      if not working:
        break
      for future in _ended(working):
        task = working.pop(future)
        found = future.result()
        settled[task.name] = found.word
        _tell(task, _how(found))
  known = state.standings(study)
  return Outcome({x.name: known[x.name].word for x in chosen}, stop.number)


def _ready(todo: Sequence[Task], settled: dict[str, str]) -> list[Task]:
  """What can begin; runs that are further on first, so that they are whole soon."""
  found = [x for x in todo if all(settled[y] == 'done' for y in x.needs)]
  left = collections.Counter(x.run for x in todo)
  return sorted(found, key=lambda x: left[x.run])


def _ended(
  working: dict[concurrent.futures.Future[Standing], Task],
) -> list[concurrent.futures.Future[Standing]]:
  first = concurrent.futures.FIRST_COMPLETED
  # With a limit, so that signals are heard on every system.
  done, _ = concurrent.futures.wait([*working], 1.0, first)
  return [*done]


def _how(found: Standing) -> str:
  spent = f' after {duration(found.record.seconds)}' if found.record else ''
  why = f': {found.why}' if found.why else ''
  return f'{found.word}{spent}{why}'


def _tell(task: Task, text: str) -> None:
  print(f'{time.strftime("%H:%M:%S")} {task.name} {text}', flush=True)


@contextlib.contextmanager
def _obeying() -> Iterator[Stop]:
  stop = Stop()
  before = {x: signal.signal(x, stop) for x in SIGNALS}
  try:
    yield stop
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
