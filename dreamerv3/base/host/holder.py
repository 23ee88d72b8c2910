"""Who holds a lock, and is this process still alive?

  file.write(here().text())
  holder = Holder.read(text)  # None for an empty file, as a release leaves it
  if holder and holder.alive() is False: ...

For `locks`. A number of a process means something on its machine only,
and there only until the next boot.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import pathlib
import socket

PROC = pathlib.Path('/proc')


@dataclasses.dataclass(frozen=True)
class Holder:
  """A process, told apart from all others that will ever be.

  Attributes:
    host: name of the machine.
    boot: id of its boot, '' where it has none to tell.
    space: id of the container's numbering of processes, '' likewise.
    pid: number of the process.
    started: clock ticks from the boot to its start, '' likewise.
    job: SLURM job, '' outside of SLURM.
    restarts: how often that job was requeued.
    since: when the lock was taken, ISO 8601 with zone.
  """

  host: str
  boot: str
  space: str
  pid: int
  started: str
  job: str = ''
  restarts: int = 0
  since: str = ''

  @classmethod
  def read(cls, text: str) -> Holder | None:
    """The holder that a lock file names; None if it names none."""
    try:
      found = json.loads(text)
      words = {k: str(found[k]) for k in ('host', 'boot', 'space', 'started')}
      return cls(
        **words,
        pid=int(found['pid']),
        job=str(found['job']),
        restarts=int(found['restarts']),
        since=str(found['since']),
      )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
      return None

  def text(self) -> str:
    """What a lock file says, on one line."""
    return json.dumps(dataclasses.asdict(self)) + '\n'

  def alive(self) -> bool | None:
    """Whether it runs; None where this cannot be seen from here."""
    me = here()
    if self.host != me.host or self.space != me.space:
      # A job that was requeued is not running where it was before.
      requeued = bool(me.job) and self.job == me.job and self.restarts < me.restarts
      return False if requeued else None
    if self.boot != me.boot:
      return False
    return _runs(self.pid) and self.started in ('', started(self.pid))

  def __str__(self) -> str:
    job = f', SLURM job {self.job}' if self.job else ''
    return f'process {self.pid} on {self.host}{job}, since {self.since}'


def here() -> Holder:
  """This process."""
  now = datetime.datetime.now(datetime.UTC)
  restarts = os.environ.get('SLURM_RESTART_COUNT', '')
  return Holder(
    host=socket.gethostname(),
    boot=_text(PROC / 'sys/kernel/random/boot_id'),
    space=_space(),
    pid=os.getpid(),
    started=started(os.getpid()),
    job=os.environ.get('SLURM_JOB_ID', ''),
    restarts=int(restarts) if restarts.isdecimal() else 0,
    since=now.isoformat('T', 'seconds'),
  )


def started(pid: int) -> str:
  """Ticks from the boot to the start of a process; '' where not to be had."""
  # The name of the program, in parentheses, may hold spaces.
  fields = _text(PROC / str(pid) / 'stat').rpartition(')')[2].split()
  return fields[19] if len(fields) > 19 else ''


def _runs(pid: int) -> bool:
  try:
    os.kill(pid, 0)
  except (ProcessLookupError, OverflowError):
    return False
  except OSError:  # another user's
    return True
  # The parent of a killed process may not have taken note of its end yet.
  state = _text(PROC / str(pid) / 'stat').rpartition(')')[2].split()
  return state[:1] not in (['Z'], ['X'])


def _space() -> str:
  try:
    return str((PROC / 'self/ns/pid').readlink())
  except OSError:
    return ''


def _text(path: pathlib.Path) -> str:
  try:
    return path.read_text(errors='replace').strip()
  except OSError:
    return ''
