"""Where does numba keep its code if no folder of the user can be written?

For the package `embodied.envs`, before anything in it, or Crafter's noise
library, is compiled: numba refuses to import a function that it can cache
nowhere.

  settle()  # sets NUMBA_CACHE_DIR if there is no better place
"""

from __future__ import annotations

import os
import pathlib
import stat
import sys
import tempfile

_VARIABLE = 'NUMBA_CACHE_DIR'


def settle() -> None:
  """Points numba to a temporary folder of this user's if it needs one.

  Numba takes the folder beside a source file, else one in the user's cache
  folder; whether that can be written decides, since it serves every file.
  """
  if os.environ.get(_VARIABLE) or writable(user_folder()):
    return
  os.environ[_VARIABLE] = str(private_folder())
  if 'numba' in sys.modules:
    sys.modules['numba'].config.reload_config()


def user_folder() -> pathlib.Path:
  """Where numba keeps compiled code of this user."""
  base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return pathlib.Path(base).expanduser() / 'numba'


def writable(folder: pathlib.Path) -> bool:
  """Whether files could be written there, once it was made."""
  found = next(x for x in (folder, *folder.parents) if x.exists())
  return found.is_dir() and os.access(found, os.W_OK | os.X_OK)


def private_folder() -> pathlib.Path:
  """The same for all processes of a user, and for no one else.

  Numba runs what it finds there, so a folder that others made will not do.
  """
  user = os.getuid() if hasattr(os, 'getuid') else 'me'
  folder = pathlib.Path(tempfile.gettempdir()) / f'dreamerv3-numba-{user}'
  try:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    mine = not hasattr(os, 'getuid') or found.st_uid == os.getuid()
    if mine and stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077:
      return folder
  except OSError:
    pass
  return pathlib.Path(tempfile.mkdtemp(prefix='dreamerv3-numba-'))
