"""Runs and their curves in the browser, and episodes made to order, to look through.

The page is served on this machine alone; from elsewhere, forward the port by ssh.

  python dreamerv3/dashboard.py --logdir logdir
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import contextlib
import dataclasses
import importlib.util
import os
import socket
from collections.abc import Sequence

from dreamerv3.base import flags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import flag

HERE = pathlib.Path(__file__).resolve().parent
FOLDERS = ('logdir', 'agents')
OPTIONS = {
  'server.headless': 'true',  # a browser is opened by who wants one
  'server.address': 'localhost',
  'server.fileWatcherType': 'none',
  'browser.gatherUsageStats': 'false',
  'client.toolbarMode': 'minimal',
  'theme.light.primaryColor': '#0072b2',
  'theme.dark.primaryColor': '#56b4e9',
}


@dataclasses.dataclass(frozen=True)
class DashboardSettings:
  """Serves a page with runs and their curves, and makes episodes of them to order."""

  logdir: tuple[str, ...] = flag(FOLDERS, help='Runs, and folders of runs.')
  port: int = flag(8501, low=1, high=65535, help='Port on this machine.')


def main(argv: Sequence[str] | None = None) -> None:
  """Serves the page until it is interrupted; becomes the server, never returns."""
  args = flags.parse(DashboardSettings, argv)
  folders = places(args.logdir)
  if importlib.util.find_spec('streamlit') is None:
    raise UserError("The dashboard needs Streamlit; pip install '.[dashboard]'.")
  check_port(args.port)
  options = {**OPTIONS, 'server.port': str(args.port)}
  words = [
    sys.executable,
    '-m',
    'streamlit',
    'run',
    str(HERE / 'dashboard_page/app.py'),
  ]
  words += [f'--{k}={v}' for k, v in options.items()]
  path = os.pathsep.join([str(HERE.parent), os.environ.get('PYTHONPATH', '')])
  sys.stdout.flush()
  os.execve(
    words[0],
    [*words, '--', *map(str, folders)],
    {**os.environ, 'PYTHONPATH': path.rstrip(os.pathsep)},
  )


def places(given: Sequence[str]) -> list[pathlib.Path]:
  """The folders to look through; those of the default that are there.

  Raises:
    UserError: one that was given is none, or there is none of the default.
  """
  found = [pathlib.Path(x).expanduser() for x in given]
  if tuple(given) == FOLDERS:
    found = [x for x in found if x.is_dir()]
  for path in found:
    if not path.is_dir():
      raise UserError(f'{path} is no folder; give --logdir a run, or a folder of runs.')
  if not found:
    raise UserError(
      f'There is no {" and no ".join(FOLDERS)} here; give --logdir a folder of runs.'
    )
  return found


def check_port(port: int) -> None:
  """UserError if the port cannot be had."""
  with contextlib.closing(socket.socket()) as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
      probe.bind(('localhost', port))
    except OSError as e:
      raise UserError(
        f'--port {port} cannot be had ({e.strerror}); choose another.'
      ) from e


if __name__ == '__main__':
  flags.run(main)
