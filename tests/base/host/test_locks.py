"""Locks: one process at a time, a dead one never in the way, never a traceback."""

import contextlib
import dataclasses
import errno
import os
import subprocess
import sys
import time

import pytest

from dreamerv3.base.host import locks
from dreamerv3.base.host.holder import Holder, here
from dreamerv3.base.host.locks import Busy, Lock
from tests import unlockable


@pytest.fixture
def unable(monkeypatch):
  """A file system that cannot lock."""

  def refuse(file, how):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

  monkeypatch.setattr('fcntl.flock', refuse)
  monkeypatch.setattr(locks, '_warned', set())


@pytest.fixture
def quick(monkeypatch):
  monkeypatch.setattr(locks, 'BEAT', 0.1)
  monkeypatch.setattr(locks, 'SILENT', 1.0)
  monkeypatch.setattr(locks, '_POLL', 0.05)


@pytest.fixture(params=[False, True], ids=['locks', 'cannot lock'])
def either(request, quick):
  if request.param:
    request.getfixturevalue('unable')


def lock(folder, **kwargs):
  return Lock(
    folder / '.lock', f'trains in {folder}', 'take another --logdir', **kwargs
  )


def test_the_second_is_told_who_and_what_to_do(tmp_path, either):
  with lock(tmp_path):
    with pytest.raises(Busy) as found:
      lock(tmp_path).acquire()
    line = str(found.value)
    assert f'Another process trains in {tmp_path}: process {os.getpid()} on' in line
    assert (
      f'take another --logdir; if you know that it is gone, delete {tmp_path}' in line
    )
    assert '\n' not in line
  assert (tmp_path / '.lock').read_text() == ''
  with lock(tmp_path), pytest.raises(Busy):  # a failure there has not let it go
    lock(tmp_path).acquire()


@pytest.mark.parametrize('text', ['', '{', '[]', '{"host": "x"}', '\0\0', '1e999'])
def test_a_file_that_names_nobody_is_held_by_nobody(tmp_path, either, text):
  (tmp_path / '.lock').write_text(text)
  with lock(tmp_path):
    pass


def test_a_short_lock_waits(tmp_path, quick):
  with lock(tmp_path, sign=False) as first:
    assert first.exclusive
    assert not (tmp_path / '.lock').read_text()
    began = time.monotonic()
    with pytest.raises(Busy):
      lock(tmp_path, wait=0.3, sign=False).acquire()
    assert time.monotonic() - began >= 0.3


def test_without_locks_there_is_one_line_for_a_folder(tmp_path, unable, quick, capsys):
  for _ in range(2):
    with lock(tmp_path) as x, lock(tmp_path, sign=False) as y:
      assert not x.exclusive
      assert not y.exclusive
  err = capsys.readouterr().err
  assert err.count('\n') == 1
  assert f'Cannot lock {tmp_path}/.lock (No locks available)' in err


DEAD = {
  'a killed process': {'pid': 2**22 + 1},
  'another process of that number': {'started': '1'},
  'a boot before': {'boot': 'another'},
}


@pytest.mark.parametrize('change', DEAD.values(), ids=DEAD)
def test_the_dead_of_this_machine_are_not_in_the_way(tmp_path, either, change, capsys):
  left = dataclasses.replace(here(), **change)
  (tmp_path / '.lock').write_text(left.text())
  with lock(tmp_path):
    pass
  assert f'left by {left}, which is gone: taken over' in capsys.readouterr().err


def test_a_job_that_was_requeued_is_not_where_it_was(tmp_path, either, monkeypatch):
  monkeypatch.setenv('SLURM_JOB_ID', '77')
  left = dataclasses.replace(here(), host='node01')
  monkeypatch.setenv('SLURM_RESTART_COUNT', '1')
  (tmp_path / '.lock').write_text(left.text())
  began = time.monotonic()
  with lock(tmp_path):
    pass
  assert time.monotonic() - began < 0.5


def test_of_another_machine_its_heart_decides(tmp_path, either, monkeypatch, capsys):
  path = tmp_path / '.lock'
  with monkeypatch.context() as patch:
    patch.setattr('socket.gethostname', lambda: 'node01')
    there = lock(tmp_path).acquire()
  if there.exclusive:  # where locks are those of one machine each
    text = path.read_text()
    there._write('')
    there._close()
    there._file = locks._open(path)
    there._write(text)
  with pytest.raises(Busy, match='on node01'):
    lock(tmp_path).acquire()
  there._over.set()  # killed
  there._heart.join()
  with lock(tmp_path):
    assert 'node01' in capsys.readouterr().err


def test_a_server_that_keeps_the_lock_of_a_broken_machine(tmp_path, quick, capsys):
  """Which is what a lock held under a name that gives no sign looks like."""
  left = dataclasses.replace(here(), host='node01')
  with lock(tmp_path, sign=False) as kept:
    kept._write(left.text())
    with lock(tmp_path) as mine:
      assert mine.exclusive
    assert 'taken over' in capsys.readouterr().err


def test_a_kill_lets_go_at_once(tmp_path):
  code = f"""
import time
from dreamerv3.base.host.locks import Lock
Lock({str(tmp_path / '.lock')!r}, 'trains').acquire()
print('held', flush=True)
time.sleep(60)
"""
  process = subprocess.Popen(
    [sys.executable, '-c', code], cwd=unlockable.ROOT, stdout=subprocess.PIPE
  )
  assert process.stdout is not None
  process.stdout.readline()
  with pytest.raises(Busy, match=f'process {process.pid} on'):
    lock(tmp_path).acquire()
  process.kill()
  process.wait()
  process.stdout.close()
  with lock(tmp_path) as mine:
    assert mine.exclusive


def test_a_lock_that_cannot_be_opened_is_an_error_of_the_folder(tmp_path):
  with pytest.raises(FileNotFoundError):
    lock(tmp_path / 'missing').acquire()


def test_reading_back():
  assert Holder.read(here().text()) == here()
  assert here().alive()
  assert dataclasses.replace(here(), host='x').alive() is None


EVERY = """
import os
from dreamerv3.base.host import locks
from dreamerv3.base.host.locks import Lock
locks._POLL = 0.01
for name, number in {errnos!r}.items():
  os.environ['LOCK_ERRNO'] = str(number)
  folder = os.path.join({folder!r}, name)
  os.mkdir(folder)
  open(folder + '/.lock', 'w').close()
  with Lock(folder + '/.lock', 'trains') as x:
    assert not x.exclusive
  with Lock(folder + '/.run_info.lock', 'writes', wait=60, sign=False) as x:
    assert not x.exclusive
"""


def test_every_way_in_which_locks_fail(tmp_path):
  library = unlockable.build(tmp_path)
  code = EVERY.format(errnos=unlockable.ERRNOS, folder=str(tmp_path))
  lines = unlockable.run(library, code).splitlines()
  assert len(lines) == len(unlockable.ERRNOS)
  for line, name in zip(lines, unlockable.ERRNOS, strict=True):
    assert line.startswith(f'Cannot lock {tmp_path}/{name}/.lock (')


def test_holders_that_a_file_cannot_name():
  with contextlib.suppress(RecursionError):
    assert Holder.read('[' * 10_000) is None
  huge = dataclasses.replace(here(), pid=10**30)
  assert huge.alive() is False
