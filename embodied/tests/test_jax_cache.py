"""Compiled programs on disk: found again, and never in the way of a run."""

import pathlib
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

from embodied.jax import cache

_KEYS = (
  'jax_compilation_cache_dir',
  'jax_compilation_cache_max_size',
  'jax_persistent_cache_min_compile_time_secs',
)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
  """No cache before a test, and the suite's own one after it."""
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR', raising=False)
  before = {k: configured(k) for k in _KEYS}
  forget()
  yield
  for key, value in before.items():
    jax.config.update(key, value)
  forget()


def forget() -> None:
  """As after a restart of the process."""
  compilation_cache.reset_cache()
  jax.clear_caches()


def hits(call) -> int:
  """How many programs a call has read from the disk."""
  found = []

  def listen(event: str, **_) -> None:
    if event == '/jax/compilation_cache/cache_hits':
      found.append(event)

  jax.monitoring.register_event_listener(listen)
  try:
    call()
  finally:
    jax.monitoring.unregister_event_listener(listen)
  return len(found)


def compute() -> None:
  assert float(jax.jit(lambda x: x * 3 + 1)(jnp.float32(2))) == 7


def configured(key: str = _KEYS[0]) -> Any:
  """A setting of JAX, whose type mypy cannot see."""
  return getattr(jax.config, key)


def start(folder: pathlib.Path) -> pathlib.Path:
  found = cache.enable(str(folder))
  assert found is not None
  return found


def programs(folder: pathlib.Path) -> list[pathlib.Path]:
  return sorted(folder.glob('*-cache'))


def test_a_restart_finds_its_programs(tmp_path):
  folder = start(tmp_path)
  assert folder.parent == tmp_path
  assert folder.stat().st_mode & 0o077 == 0
  assert hits(compute) == 0
  assert programs(folder)
  forget()
  start(tmp_path)
  assert hits(compute) > 0


def test_half_written_programs_are_removed(tmp_path):
  folder = start(tmp_path)
  compute()
  torn, *others = programs(folder)
  torn.write_bytes(torn.read_bytes()[:-9])
  torn.with_name(torn.name.replace('-cache', '-atime')).unlink()
  forget()
  start(tmp_path)
  assert programs(folder) == others
  compute()
  assert torn in programs(folder)


def test_a_broken_program_is_compiled_anew(tmp_path):
  folder = start(tmp_path)
  compute()
  for entry in programs(folder):
    entry.write_bytes(b'?' * 100)
  forget()
  start(tmp_path)
  with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter('always')
    compute()
  assert any('compilation cache' in str(x.message) for x in said)


def test_a_folder_that_cannot_be_is_no_error(tmp_path, capsys):
  (tmp_path / 'file').write_text('')
  before = configured()
  assert cache.enable(str(tmp_path / 'file')) is None
  assert 'No cache of compiled programs' in capsys.readouterr().err
  assert configured() == before
  compute()


@pytest.mark.parametrize('where', ['', 'off', 'False'])
def test_off(where):
  assert cache.enable(where) is None


def test_the_users_own_folder_wins(tmp_path, monkeypatch):
  monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', str(tmp_path / 'mine'))
  assert cache.enable(str(tmp_path / 'ours')) is None
  assert not (tmp_path / 'ours').exists()


def test_default_place(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert cache.locate('auto') == tmp_path / 'dreamerv3'
  monkeypatch.delenv('XDG_CACHE_HOME')
  monkeypatch.setenv('HOME', str(tmp_path))
  assert cache.locate('auto') == tmp_path / '.cache' / 'dreamerv3'
