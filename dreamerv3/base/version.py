"""Which code is this? Its version, its commit, and the packages it runs with.

For provenance and for `--version`:

  print(version_line('decode_position.py'))
"""

import functools
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import tomllib
from typing import NamedTuple

NAME = 'dreamerv3-space'
PACKAGES = (
  'jax',
  'jaxlib',
  'elements',
  'ninjax',
  'optax',
  'crafter',
  'numpy',
  'scipy',
  'scikit-learn',
  'pynapple',
  'torch',
  'matplotlib',
)
HERE = pathlib.Path(__file__).resolve()
STAMP = HERE.with_name('git_sha.txt')  # written where a package is built


class Code(NamedTuple):
  """The state of the code that runs.

  Attributes:
    sha: short SHA of the commit, or 'unknown (why)'.
    dirty: whether tracked files differ from it; None where unknown.
  """

  sha: str
  dirty: bool | None


@functools.cache
def code() -> Code:
  """The commit whose tree holds this file, found once per process.

  A repository that only surrounds it, as one into which our zip was unpacked,
  says nothing about it, and neither do the GIT_* variables of the caller.
  """
  ours = _git('rev-parse', f'HEAD:./{HERE.name}')  # fails where HEAD lacks it
  if ours.returncode:
    return Code(_stamped() or f'unknown ({_why(ours.stderr)})', None)
  changes = _git('status', '--porcelain', '--untracked-files=no')
  dirty = None if changes.returncode else bool(changes.stdout.strip())
  return Code(_git('rev-parse', '--short', 'HEAD').stdout.strip(), dirty)


def version() -> str:
  """The version of the package, of the tree it runs in or as installed."""
  try:
    text = (HERE.parents[2] / 'pyproject.toml').read_text()
    project = tomllib.loads(text)['project']
    if project['name'] == NAME:
      return str(project['version'])
  except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError):
    pass
  try:
    return importlib.metadata.version(NAME)
  except importlib.metadata.PackageNotFoundError:
    return 'unknown'


def version_line(program: str = '') -> str:
  """'decode_position.py: dreamerv3-space 0.1.0, code 1a2b3c4', in one line."""
  sha, dirty = code()
  changed = ', with uncommitted changes' if dirty else ''
  before = f'{program}: ' if program else ''
  return f'{before}{NAME} {version()}, code {sha}{changed}'


def versions() -> dict[str, str]:
  """Versions of Python and of the main packages, without importing them."""
  found = {'python': platform.python_version()}
  for name in PACKAGES:
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return found


def _stamped() -> str:
  """The commit of a package that pip installed, where its build knew it."""
  if STAMP.is_file():
    return STAMP.read_text().strip()
  try:
    found = importlib.metadata.distribution(NAME)
    if HERE not in [pathlib.Path(str(found.locate_file(x))) for x in found.files or ()]:
      return ''
    origin = json.loads(found.read_text('direct_url.json') or '{}')
    return str(origin.get('vcs_info', {}).get('commit_id', ''))[:7]
  except (importlib.metadata.PackageNotFoundError, ValueError, AttributeError):
    return ''


def _why(stderr: str) -> str:
  """Why git knows no commit of ours, in a word or two."""
  if 'dubious ownership' in stderr:
    return 'git: dubious ownership of the checkout'
  if 'no git' in stderr:
    return 'no git'
  return 'not a checkout'


def _git(*args: str) -> 'subprocess.CompletedProcess[str]':
  env = {k: v for k, v in os.environ.items() if not k.startswith('GIT_')}
  command = ['git', '-C', str(HERE.parent), *args]
  try:
    return subprocess.run(
      command,
      capture_output=True,
      text=True,
      timeout=20,
      check=False,
      env={**env, 'LC_ALL': 'C', 'GIT_OPTIONAL_LOCKS': '0'},
    )
  except (OSError, subprocess.SubprocessError):
    return subprocess.CompletedProcess(command, 1, '', 'no git')
