"""One process at a time in a folder, also where the file system cannot lock.

  with Lock('RUN/.lock', 'trains in RUN', 'take another --logdir'):
    ...                            # Busy (a UserError) if another one does
  with Lock('RUN/.run_info.lock', 'writes RUN/run_info.json', wait=60, sign=False) as x:
    if x.failed: ...               # write elsewhere, nothing keeps others out

The kernel locks (flock), and its word is enough on one machine. Some file
systems of clusters answer that they cannot; that costs a line on stderr, never
the work. Then, and against processes of other machines, the file itself says
who holds it, and its time of change is renewed as long as they live:

  a holder on this machine     lives if its process does
  a holder elsewhere           lives if it renewed the time in the last SILENT s;
                               a requeued job has left its former machine
  an empty or strange file     is held by nobody
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pathlib
import sys
import tempfile
import threading
import time
from typing import Self

from dreamerv3.base.errors import UserError
from dreamerv3.base.host.holder import Holder, here

HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
BEAT = 15.0  # seconds between two signs of life
SILENT = 120.0  # seconds without one after which a holder elsewhere is gone
_POLL = 0.5
# What an open says where locks cannot be had; other errors are the folder's.
_STRANGE = (errno.ENOLCK, errno.ENOTSUP, 524, errno.ENOSYS, errno.ESTALE, errno.EINVAL)

_warned: set[pathlib.Path] = set()


class Busy(UserError):
  """Another process holds a lock: who, since when, and what to do."""


class Lock:
  """Holds a file from `with` or `acquire` to `release`.

  Args:
    path: the lock file; its folder exists. The file stays, empty.
    doing: what the holder does, for 'Another process <doing>'.
    instead: what a user can do who finds it held, besides waiting.
    wait: how long to wait for a holder [s].
    sign: whether to say in the file who holds it, and on stderr if nobody can;
      else only the kernel counts, and the caller looks at `failed`.

  Attributes:
    exclusive: whether the kernel holds it for us.
    failed: why it does not, '' if it does.
  """

  def __init__(
    self,
    path: str | os.PathLike[str],
    doing: str,
    instead: str = '',
    wait: float = 0,
    sign: bool = True,
  ):
    self.path = pathlib.Path(path)
    self.doing, self.instead, self.wait, self.sign = doing, instead, wait, sign
    self.exclusive = False
    self.failed = ''
    self._file: int | None = None
    self._text = ''  # what we have written there
    self._over = threading.Event()
    self._heart: threading.Thread | None = None

  def __enter__(self) -> Self:
    return self.acquire()

  def __exit__(self, *error: object) -> None:
    self.release()

  def acquire(self) -> Self:
    """Takes the lock.

    Raises:
      Busy: another process that lives holds it, and did so for `wait` seconds.
      OSError: the file cannot be opened.
    """
    end = time.monotonic() + self.wait
    try:
      while not self._take():
        if time.monotonic() >= end:
          raise Busy(self._busy())
        time.sleep(_POLL)
      if self.sign and self._file is not None:
        self._sign()
    except BaseException:
      self._close()
      raise
    return self

  def release(self) -> None:
    """Lets others in; does nothing if it is not held."""
    self._over.set()  # it is not taken twice
    if self._heart:
      self._heart.join()
      self._heart = None
      if self._read() == self._text:
        self._write('')
    self._close()

  def _take(self) -> bool:
    """One try. False: another one holds it, in the eyes of the kernel."""
    self._close()
    try:
      self._file = _open(self.path)
      taken = self._flock()
    except OSError as e:
      if self._file is None and e.errno not in _STRANGE:
        raise
      self.failed = e.strerror or str(e)
      if self.sign and self.path.parent not in _warned:
        _warned.add(self.path.parent)
        print(
          f'Cannot lock {self.path} ({e.strerror}): this file system lacks it. '
          'The work goes on; start nothing else that writes to this folder.',
          file=sys.stderr,
        )
      return True
    if not taken:
      if not self.sign or not self._left():
        return False
      self.path.unlink(missing_ok=True)
      return self._take()
    if not _same(self._file, self.path):  # deleted since we opened it
      return self._take()
    self.exclusive = True
    return True

  def _flock(self) -> bool:
    assert self._file is not None
    try:
      fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
      if e.errno in HELD:
        return False
      raise
    return True

  def _left(self) -> bool:
    """Whether a server keeps the lock of a machine that broke down."""
    text = self._read()
    if self._lives() is not False:
      return False
    time.sleep(2 * _POLL)
    if self._read() != text:  # somebody else has come and signed meanwhile
      return False
    self._tell()
    return True

  def _sign(self) -> None:
    """Puts our name into the file, unless a holder that lives is in it.

    Where locks are those of one machine each, the kernel has let us in.
    """
    if self._lives():
      raise Busy(self._busy())
    if self._holder():
      self._tell()
    self._text = here().text()
    self._write(self._text)
    if not self.exclusive:  # two may have come at once; the last one has it
      time.sleep(_POLL)
    if self._read() not in (self._text, ''):
      raise Busy(self._busy())
    self._heart = threading.Thread(target=self._beat, name='lock', daemon=True)
    self._heart.start()

  def _beat(self) -> None:
    while not self._over.wait(BEAT):
      if self._file is not None:
        with contextlib.suppress(OSError):
          os.utime(self._file)

  def _lives(self) -> bool | None:
    """Whether the holder in the file lives; None if the file names none."""
    holder = self._holder()
    if holder is None:
      return None
    alive = holder.alive()
    if alive is not None:
      return alive
    # Seen from elsewhere: it may give a sign while we look.
    left = SILENT - self._age()
    if left > 0:
      print(
        f'{self.path} is held by {holder}; looking for a sign of life for up to '
        f'{left:.0f} s ...',
        file=sys.stderr,
      )
    first, end = self._changed(), time.monotonic() + left
    while time.monotonic() < end:
      time.sleep(_POLL)
      if self._changed() != first:
        return self._holder() is not None
    return False

  def _tell(self) -> None:
    print(
      f'{self.path} was left by {self._holder()}, which is gone: taken over.',
      file=sys.stderr,
    )

  def _busy(self) -> str:
    holder = self._holder()
    who = f': {holder}, last sign of life {self._age():.0f} s ago' if holder else ''
    what = f' or {self.instead}' if self.instead else ''
    return (
      f'Another process {self.doing}{who}. Wait for it{what}; if you know that '
      f'it is gone, delete {self.path}.'
    )

  def _holder(self) -> Holder | None:
    return Holder.read(self._read())

  def _read(self) -> str:
    """The file as it is now; opened anew, which NFS asks the server for."""
    try:
      return self.path.read_text(errors='replace')
    except OSError:
      return ''

  def _write(self, text: str) -> None:
    """Its name is a help, so that a full disk is no failure here."""
    if self._file is not None:
      with contextlib.suppress(OSError):
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text.encode(), 0)
        os.fsync(self._file)

  def _changed(self) -> float:
    try:
      with self.path.open('rb') as file:
        return os.fstat(file.fileno()).st_mtime
    except OSError:
      return 0.0

  def _age(self) -> float:
    """Seconds since the last sign of life, by the clock of the file system."""
    try:
      with tempfile.TemporaryFile(dir=self.path.parent) as file:
        os.utime(file.fileno())
        now = os.fstat(file.fileno()).st_mtime
    except OSError:
      now = time.time()
    return max(0.0, now - self._changed())

  def _close(self) -> None:
    """Closing the file lets the kernel's lock go."""
    self.exclusive = False
    if self._file is not None:
      os.close(self._file)
      self._file = None


def _open(path: pathlib.Path) -> int:
  flags = os.O_RDWR | os.O_CREAT | getattr(os, 'O_CLOEXEC', 0)
  try:
    return os.open(path, flags, 0o666)
  except PermissionError:  # another user's, in a shared folder
    return os.open(path, os.O_RDONLY)


def _same(file: int, path: pathlib.Path) -> bool:
  try:
    return os.path.samestat(os.fstat(file), path.stat())
  except OSError:
    return False
