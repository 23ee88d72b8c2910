"""Running decode_position.py in tests, as its last line runs it."""

import pathlib
import sys

from dreamerv3 import decode_position
from dreamerv3.base import files, unpickle
from tests import cli

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPT = [sys.executable, str(ROOT / 'dreamerv3' / 'decode_position.py')]
BRIEF = ['--n_iters', '100', '--n_boot', '50']
QUICK = [*BRIEF, '--no-perception']


def words(text):
  """A command's words."""
  return text.split()


def run(*args, fails=False):
  """The script in this process, as its last line runs it; what it printed."""
  done = cli.inside(decode_position.main, *args)
  if not fails:
    assert not done.returncode, done.stderr
    return done.stdout
  assert done.returncode == 2, done.stderr
  # What a recording lacks may be said before; the mistake is the last line.
  lines = done.stderr.strip().splitlines()
  assert [': error: ' in x for x in lines].index(True) == len(lines) - 1, lines
  assert 'Traceback' not in done.stderr
  return lines[-1]


def names(folder):
  return {
    x.relative_to(folder).as_posix()
    for x in folder.rglob('*')
    if x.is_file() and not x.name.startswith('.')
  }


def damaged(folder, recording, change):
  """A copy of the recording whose episodes went through `change`."""
  folder.mkdir()
  for path in sorted(recording.glob('*.pkl')):
    content = unpickle.load(path)
    if path.name != 'metadata.pkl':
      change(content)
    files.save_pickle(folder / path.name, content)
  return folder
