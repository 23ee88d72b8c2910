"""Compiled programs kept on disk, so that the next start finds them.

For `setup`, once per process, before anything is compiled. Programs are kept
under what they compute, so a change of code, settings or library is a new
program, and old ones fall out when the folder is full.

  enable('auto')  # ~/.cache/dreamerv3/<machine>
"""

from __future__ import annotations

import os
import pathlib
import platform
import sys
import zlib

import jax

from dreamerv3.base.host.locks import Busy, Lock

LIMIT = 2 * 1024**3  # bytes; a program takes up to some MB
OFF = ('', 'off', 'False')
_VARIABLE = 'JAX_COMPILATION_CACHE_DIR'
_PATIENCE = 10  # seconds for other processes to let go of the folder


def enable(where: str) -> pathlib.Path | None:
  """Let JAX keep its programs in a folder, and return that folder.

  A folder that cannot be written or locked costs a line on stderr and the
  cache, never the run; so does what is broken inside it. If the user has set
  JAX_COMPILATION_CACHE_DIR, JAX follows that and nothing is done here.

  Args:
    where: a folder; 'auto' is dreamerv3 in $XDG_CACHE_HOME, by default
      ~/.cache; '', 'off' or 'False' is none.
  """
  if where in OFF or _VARIABLE in os.environ:
    return None
  try:
    folder = locate(where) / machine()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    repair(folder)
  except (OSError, RuntimeError, Busy) as error:
    print(f'No cache of compiled programs: {error}', file=sys.stderr)
    return None
  jax.config.update('jax_compilation_cache_dir', str(folder))
  jax.config.update('jax_compilation_cache_max_size', LIMIT)
  # Small programs too: there are dozens, and each takes longer to compile
  # than to read.
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
  return folder


def locate(where: str) -> pathlib.Path:
  """The folder that `where` means; RuntimeError if there is no home."""
  if where != 'auto':
    return pathlib.Path(where).expanduser()
  base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return pathlib.Path(base).expanduser() / 'dreamerv3'


def machine() -> str:
  """A name for this kind of processor, e.g. x86_64-1f0c9a3e.

  Programs hold machine code, and nodes that share a home may differ.
  """
  kind = [platform.machine(), platform.processor()]
  info = pathlib.Path('/proc/cpuinfo')
  if info.exists():
    lines = info.read_text().splitlines()
    kind += [x for x in lines if x.startswith(('model name', 'flags'))][:2]
  return f'{kind[0]}-{zlib.crc32(repr(kind).encode()):08x}'


def repair(folder: pathlib.Path) -> None:
  """Remove programs that a killed process may have left half-written.

  JAX writes a program, then the time of its use; what lacks the second would
  be read, and complained about, for ever. OSError if the folder is not ours
  to write, or locked for long.
  """
  path = folder / '.lockfile'  # that of JAX
  lock = Lock(path, f'writes to {folder}', wait=_PATIENCE, sign=False)
  with lock:
    if lock.failed:  # JAX would wait for it at each program
      raise OSError(f'{path} cannot be locked ({lock.failed})')
    for entry in folder.glob('*-cache'):
      used = entry.with_name(entry.name.removesuffix('-cache') + '-atime')
      if not used.exists() or used.stat().st_size != 8:
        entry.unlink()
        used.unlink(missing_ok=True)
