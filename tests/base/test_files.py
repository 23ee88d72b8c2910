"""Files are whole or absent."""

import csv
import errno
import json
import os
import pickle
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest

from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError


def test_a_failed_write_leaves_the_old_file(tmp_path):
  path = tmp_path / 'x.pkl'
  files.save_pickle(path, {'a': 1})
  with pytest.raises(AttributeError, match='pickle'):
    files.save_pickle(path, {'big': b'x' * 100_000, 'bad': lambda: None})
  assert unpickle.load(path) == {'a': 1}
  assert [x.name for x in tmp_path.iterdir()] == ['x.pkl']


def test_a_new_file_is_on_disk_before_it_takes_the_place_of_the_old_one(
  tmp_path, monkeypatch
):
  path, events = tmp_path / 'x.json', []
  files.save_json(path, 'old')
  opened = path.open()  # by a reader
  fsync = os.fsync

  def noted(handle):
    fsync(handle)
    events.append((os.fstat(handle).st_ino, path.read_text()))

  monkeypatch.setattr(os, 'fsync', noted)
  files.save_json(path, 'new')
  assert events == [(path.stat().st_ino, '"old"\n')]
  assert (opened.read(), path.read_text()) == ('"old"\n', '"new"\n')
  opened.close()


@pytest.mark.parametrize('write', [files.atomic, files.atomic_path])
def test_a_folder_in_the_place_of_a_file_is_named(tmp_path, write):
  def save():
    with write(path) as file:
      if write is files.atomic_path:
        file.write_bytes(b'new')

  path = tmp_path / 'x.png'
  path.mkdir()
  with pytest.raises(IsADirectoryError) as error:
    save()
  assert error.value.filename == str(path)
  assert [*tmp_path.iterdir()] == [path]


def test_large_arrays_are_written_without_a_copy_and_as_pickle_writes_them(tmp_path):
  big = np.arange(2**20, dtype=np.float32).reshape(512, 2, 1024)
  value = {
    'c': big,
    'again': big,
    'fortran': [big.T, np.arange(6.0)],
    'apart': (big[:, 0], big > 5, big[::2]),
    'small': {'n': 3, 'text': 'x' * 70_000, 'none': None, 'ids': list(range(3000))},
  }
  plain = pickle.dumps(value, protocol=files.PROTOCOL)
  assert files.save_pickle(tmp_path / 'x.pkl', value).read_bytes() == plain
  whole = {'c': big, 'fortran': big.T}
  tracemalloc.start()
  files.save_pickle(tmp_path / 'x.pkl', whole)
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak < big.nbytes / 4
  found = unpickle.load(tmp_path / 'x.pkl')
  np.testing.assert_array_equal(found['fortran'], big.T)


def test_names_that_are_no_utf8_are_escaped_in_text(tmp_path):
  path = files.save_csv(
    tmp_path / 'x.csv', [{'run': b'a\xff'.decode('utf-8', 'surrogateescape')}]
  )
  assert path.read_text() == 'run\na\\udcff\n'


def test_forms(tmp_path):
  rows: list[dict] = [{'a': 1, 'b': np.float32(1 / 3)}, {'a': 'x', 'b': None}]
  with open(files.save_csv(tmp_path / 'x.csv', rows)) as file:
    assert list(csv.reader(file)) == [['a', 'b'], ['1', '0.333333'], ['x', '']]
  path = files.save_json(tmp_path / 'x.json', {'a': [1]})
  assert json.loads(path.read_text()) == {'a': [1]}


def test_folders(tmp_path):
  assert files.make_folder(tmp_path / 'a' / 'b').is_dir()
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='choose another folder'):
    files.make_folder(tmp_path / 'file')


def test_what_the_dead_left_unfinished_goes_and_what_the_living_write_stays(tmp_path):
  dead = subprocess.Popen([sys.executable, '-c', ''])
  dead.wait()
  here, there = files._machine(), 'ff' if files._machine() != 'ff' else '00'
  hour, days = time.time() - 3600, time.time() - 3 * files.DAY
  ages = {
    f'.x.{here}{dead.pid:06x}.tmp': (hour, False),
    f'.x.{here}{os.getpid():06x}.tmp': (days, True),
    f'.x.{here}{1:06x}.tmp': (days, True),
    f'.x.{there}{dead.pid:06x}.tmp': (hour, True),
    f'.y.{there}{dead.pid:06x}.tmp': (days, False),
    '.of.another.program.tmp': (days, True),
  }
  for name, (age, _) in ages.items():
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (age, age))
  files.clear_unfinished(tmp_path)
  assert {x.name for x in tmp_path.iterdir()} == {k for k, v in ages.items() if v[1]}


def test_a_folder_is_known_to_be_writable_before_it_is_made(tmp_path, monkeypatch):
  files.check_writable(tmp_path / 'a' / 'b')
  assert not list(tmp_path.iterdir())

  def full(handle):
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(os, 'fsync', full)
  with pytest.raises(UserError, match=r'No space left.*free space, or choose'):
    files.make_folder(tmp_path / 'a')
  assert not list(tmp_path.iterdir())


def test_only_what_was_made_here_and_left_empty_is_unmade(tmp_path):
  others = tmp_path / 'others'
  others.mkdir()
  inner = files.make_folder(others / 'outer' / 'inner')
  used = files.make_folder(others / 'used' / 'inner')
  (used.parent / 'x').write_text('kept')
  for folder in (inner, used):
    files.unmake_folder(folder)
  assert [x.name for x in others.iterdir()] == ['used']
  assert [x.name for x in used.parent.iterdir()] == ['x']
  files.unmake_folder(tmp_path / 'empty')  # was never there
  (others / 'empty').mkdir()
  files.unmake_folder(others / 'empty')
  assert (others / 'empty').is_dir()
