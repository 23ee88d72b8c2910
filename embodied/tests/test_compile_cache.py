"""Crafter starts where neither home nor checkout can be written."""

import os
import pathlib
import subprocess
import sys

import pytest

from embodied.envs import compile_cache

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = """
import importlib.util, sys
import embodied.envs
spec = importlib.util.spec_from_file_location('found', sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.double(2))
"""
MODULE = """
import numba
@numba.njit(cache=True)
def double(x):
  return 2 * x
"""


@pytest.fixture
def nowhere(tmp_path):
  """Environment of a process that can write to its temporary folder alone.

  Files stand where folders would have to be, which stops even root.
  """
  (tmp_path / 'home').touch()
  (tmp_path / 'temp').mkdir()
  env = {**os.environ, 'HOME': str(tmp_path / 'home'), 'PYTHONPATH': str(ROOT)}
  for name in ('XDG_CACHE_HOME', 'NUMBA_CACHE_DIR'):
    env.pop(name, None)
  return {**env, 'TMPDIR': str(tmp_path / 'temp')}


def test_compiled_code_goes_to_a_folder_of_the_user(nowhere, tmp_path):
  (tmp_path / '__pycache__').touch()
  source = tmp_path / 'module.py'
  source.write_text(MODULE)
  done = subprocess.run(
    [sys.executable, '-B', '-c', CODE, str(source)],
    env=nowhere,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout == '4\n'
  (folder,) = (tmp_path / 'temp').iterdir()
  assert folder.name == f'dreamerv3-numba-{os.getuid()}'
  assert folder.stat().st_mode & 0o777 == 0o700
  assert list(folder.rglob('*.nbi'))


def test_a_folder_of_someone_else_is_not_used(tmp_path, monkeypatch):
  monkeypatch.setattr(compile_cache.tempfile, 'tempdir', str(tmp_path))
  mine = compile_cache.private_folder()
  assert compile_cache.private_folder() == mine
  mine.chmod(0o777)
  assert compile_cache.private_folder() != mine


def test_a_home_that_can_be_written_is_left_alone(tmp_path, monkeypatch):
  monkeypatch.delenv('NUMBA_CACHE_DIR', raising=False)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'new'))
  compile_cache.settle()
  assert 'NUMBA_CACHE_DIR' not in os.environ
  assert not list(tmp_path.iterdir())
