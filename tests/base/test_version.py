"""Which code runs: its commit and no other's, in one line, on every command."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from dreamerv3.base import version

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _fresh():
  version.code.cache_clear()
  yield
  version.code.cache_clear()


def git(folder, *args):
  env = {k: v for k, v in os.environ.items() if not k.startswith('GIT_')}
  who = ('-c', 'user.name=x', '-c', 'user.email=x@x', '-c', 'commit.gpgsign=false')
  command = ['git', *who, '-C', str(folder), *args]
  done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
  return done.stdout.strip()


@pytest.fixture
def copied(tmp_path, monkeypatch):
  """Our file in a zip that was unpacked in another repository."""
  folder = tmp_path / 'other' / 'zip' / 'dreamerv3' / 'base'
  folder.mkdir(parents=True)
  path = pathlib.Path(shutil.copy(version.HERE, folder))
  git(tmp_path, 'init', '-q', 'other')
  (tmp_path / 'other' / 'theirs.py').touch()
  git(tmp_path / 'other', 'add', 'theirs.py')
  git(tmp_path / 'other', 'commit', '-qm', 'theirs')
  monkeypatch.setattr(version, 'HERE', path)
  return path


def test_a_commit_counts_if_its_tree_holds_our_file(copied):
  assert version.code() == ('unknown (not a checkout)', None)
  repository = copied.parents[3]
  git(repository, 'add', '.')
  version.code.cache_clear()
  assert version.code().sha == 'unknown (not a checkout)'
  git(repository, 'commit', '-qm', 'vendored')
  version.code.cache_clear()
  assert version.code() == (git(repository, 'rev-parse', '--short', 'HEAD'), False)
  copied.write_text('x = 1\n')
  version.code.cache_clear()
  assert version.code().dirty


def test_variables_of_git_do_not_lead_elsewhere(copied, monkeypatch):
  other = copied.parents[3]
  monkeypatch.undo()
  expected = version.code()
  monkeypatch.setenv('GIT_DIR', str(other / '.git'))
  monkeypatch.setenv('GIT_WORK_TREE', str(other))
  version.code.cache_clear()
  assert version.code() == expected


@pytest.mark.parametrize(
  ('stderr', 'why'),
  [
    ("fatal: detected dubious ownership in repository at '/x'\nmore", 'dubious'),
    ('fatal: not a git repository (or any of the parents): .git', 'not a checkout'),
    ('no git', 'no git'),
  ],
)
def test_why_no_commit_is_known_is_one_line(monkeypatch, stderr, why):
  failed = subprocess.CompletedProcess([], 128, '', stderr)
  monkeypatch.setattr(version, '_git', lambda *args: failed)
  line = version.version_line('x')
  assert re.search(rf'code unknown \(.*{why}', line)
  assert '\n' not in line


def test_a_package_says_the_commit_it_was_built_from(copied, monkeypatch):
  stamp = copied.with_name('git_sha.txt')
  monkeypatch.setattr(version, 'STAMP', stamp)
  stamp.write_text('abc1234\n')
  assert version.code().sha == 'abc1234'


@pytest.mark.parametrize('command', ['origin.py', 'main.py', '__main__.py'])
def test_every_command_tells_its_version(command):
  argv = [sys.executable, f'dreamerv3/{command}', '--version']
  done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
  assert re.fullmatch(
    r'\S+: dreamerv3-space \d+\.\d+\.\d+, code \w{7,}(, with uncommitted changes)?\n',
    done.stdout,
  )
