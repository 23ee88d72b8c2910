"""Does one task of a study, and writes down how it goes.

  outcome = work(study, task, stop)

The command is a process of its own in a session of its own, so that Ctrl-C of a
terminal reaches us alone and is passed on once: training then saves and leaves.
"""

import contextlib
import dataclasses
import os
import pathlib
import shlex
import signal
import subprocess
import threading
import time
import uuid

from dreamerv3.base.errors import UserError
from dreamerv3.base.host import holder
from dreamerv3.base.host.locks import BEAT
from dreamerv3.data.metrics_log import last_step
from dreamerv3.run_info import Entry, read_run_info
from dreamerv3.studies import state, tasks
from dreamerv3.studies.state import Standing, TaskRecord
from dreamerv3.studies.study import Study
from dreamerv3.studies.tasks import Task

STOPPED = (75, 130, 143, -signal.SIGTERM, -signal.SIGINT)  # exit codes
POLL = 0.2  # seconds
SLACK = 2.0  # seconds: provenance knows whole ones


class Stop:
  """A wish to end, from a signal; the second Ctrl-C kills.

  Attributes:
    number: of the signal that came first; 0 before.
    kill: whether nobody waits for tasks to save any more.
  """

  def __init__(self) -> None:
    self.number, self.kill = 0, False

  def __call__(self, number: int, _: object = None) -> None:
    """Handler of signals."""
    # SLURM may warn more than once, and a save may need the time.
    self.kill |= bool(self.number) and number == signal.SIGINT
    self.number = self.number or number


def work(study: Study, task: Task, stop: Stop) -> Standing:
  """Does a task unless it is done; returns how it is with it afterwards.

  Never raises for what the command does: that is in its record and log.
  """
  with state.claiming(study):
    _take_over(study, task)
    known = state.standings(study, task.run)
    now = known[task.name]
    lacking = [x for x in task.needs if known[x].word != 'done']
    if now.word in ('done', 'stale') or lacking:
      return now if not lacking else Standing('blocked', now.record)
    if now.word != 'running':
      record = _begin(task, now, {x: known[x].record for x in task.needs})
      state.write(study, task, record)
  if now.word == 'running':
    _wait(study, task, stop)
    return work(study, task, stop) if not stop.number else now
  record = _run(study, task, record, stop)
  state.write(study, task, record)
  return Standing(record.word, record, record.error)


def _take_over(study: Study, task: Task) -> None:
  """Writes down that a task is done whose command outlived the one who began it.

  Its provenance says so: an entry of that very process that is done.
  """
  path = state.path_of(study, task)
  record = state.read(path)
  if record is None or record.word != 'running' or record.lives(state.age(path)):
    return
  entry = _noted(task, record)
  if entry is not None:
    ended = (entry.ended or entry.timestamp).timestamp()
    spent = record.seconds + ended - record.began
    done = dataclasses.replace(
      record, word='done', ended=ended, seconds=spent, holder=''
    )
    state.write(study, task, done)


def _noted(task: Task, record: TaskRecord) -> Entry | None:
  """The entry of the process that worked on a task, if it came to its end."""
  worker = holder.Holder.read(record.holder)
  with contextlib.suppress(UserError):  # a damaged run_info.json says nothing
    for entry in read_run_info(task.output) if worker else ():
      late = entry.timestamp.timestamp() > record.began - SLACK
      if worker and entry.values.get('pid') == worker.pid and late:
        return entry if entry.status == 'done' else None
  return None


def _begin(
  task: Task, now: Standing, before: dict[str, TaskRecord | None]
) -> TaskRecord:
  spent = now.record.seconds if now.record else 0.0
  return TaskRecord(
    'running',
    task.digest,
    task.flags,
    id=uuid.uuid4().hex[:12],
    read={k: v.id for k, v in before.items() if v},
    began=time.time(),
    seconds=spent,
    first=last_step(task.logdir) if task.stage == 'train' else 0,
    job=_job(),
    holder=holder.here().text(),
  )


def _job() -> str:
  array, number = (os.environ.get(f'SLURM_ARRAY_{x}_ID') for x in ('JOB', 'TASK'))
  return f'{array}_{number}' if array else os.environ.get('SLURM_JOB_ID', '')


def _run(study: Study, task: Task, record: TaskRecord, stop: Stop) -> TaskRecord:
  """The record of the finished command."""
  words = tasks.command(task, tasks.PROGRAMS)
  log = state.path_of(study, task, '.log')
  began = time.monotonic()
  with log.open('ab') as file:
    file.write(f'$ {shlex.join(words)}\n'.encode())
    file.flush()
    child = subprocess.Popen(
      words,
      stdin=subprocess.DEVNULL,
      stdout=file,
      stderr=subprocess.STDOUT,
      start_new_session=True,
      env={'MPLBACKEND': 'Agg', 'PYTHONUNBUFFERED': '1', **os.environ},
    )
    # Who was killed leaves the command at work; the next one waits for that.
    me = dataclasses.replace(
      holder.here(), pid=child.pid, started=holder.started(child.pid)
    )
    state.write(study, task, dataclasses.replace(record, holder=me.text()))
    code = _attend(study, task, child, stop)
  word = 'done' if not code else 'stopped' if _stopped(code, stop) else 'failed'
  if word == 'done' and not task.proof.exists():
    word, error = 'failed', f'ended well, but left no {task.proof}'
  else:
    error = last_line(log) if word == 'failed' else ''
  return dataclasses.replace(
    record,
    word=word,
    ended=time.time(),
    seconds=record.seconds + time.monotonic() - began,
    error=error,
    holder='',
  )


def _stopped(code: int, stop: Stop) -> bool:
  return code in STOPPED and bool(stop.number or code == STOPPED[0])


def _attend(
  study: Study, task: Task, child: subprocess.Popen[bytes], stop: Stop
) -> int:
  """Waits for the command, with signs of life; passes on a wish to end."""
  beat, told = time.monotonic(), False
  while child.poll() is None:
    with contextlib.suppress(ProcessLookupError):
      if stop.kill:
        os.killpg(child.pid, signal.SIGKILL)
      elif stop.number and not told:  # its own processes are its business
        told = True
        child.send_signal(signal.SIGTERM)
    if time.monotonic() - beat > BEAT:
      beat = time.monotonic()
      state.renew(study, task)
    with contextlib.suppress(subprocess.TimeoutExpired):
      child.wait(POLL)
  return child.returncode


def _wait(study: Study, task: Task, stop: Stop) -> None:
  """Until nobody works on a task any more."""
  print(f'{task.name}: is being worked on by another process; waiting.', flush=True)
  waiting = threading.Event()
  while (
    not stop.number and state.standings(study, task.run)[task.name].word == 'running'
  ):
    waiting.wait(5 * POLL)


def last_line(log: pathlib.Path) -> str:
  """What a command said last."""
  with log.open('rb') as file:
    file.seek(max(0, log.stat().st_size - 4096))
    lines = file.read().decode(errors='replace').splitlines()
  kept = [x.strip() for x in lines if x.strip() and not x.startswith('$ ')]
  return kept[-1][:300] if kept else 'it printed nothing'
