"""Pickles: safe, lazy, and equal to what was written."""

import collections
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from dreamerv3.base import unpickle
from dreamerv3.base.errors import UserError


def content(rng):
  big = rng.normal(size=(300, 40)).astype(np.float32)
  return {
    'big': big,
    'shared': big,
    'fortran': np.asfortranarray(rng.normal(size=(50, 60))),
    'small': np.arange(5, dtype=np.int32),
    'half': big.astype(np.float16),
    'empty': np.zeros((0, 2)),
    'scalar': np.float64(2.5),
    'zero_d': np.array(3),
    'text': np.array(['a', 'bcd']),
    'label': np.str_('x'),
    'no label': np.str_(''),
    'turned': np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2),
    'big turned': np.ones((20, 30, 40)).transpose(1, 0, 2),
    'big_endian': np.arange(9, dtype='>i4'),
    'set': {1, 'a'},
    'frozen': frozenset([2.5]),
    'queue': collections.deque([1, 2], 5),
    'long': 2**100,
    'negative': -(2**40),
    'bool': np.zeros(9000, bool),
    'nested': [{'x': np.ones(2000)}, (1, 'two', 3.0, None, True, b'bytes')],
    'ordered': collections.OrderedDict(a=1),
  }


def same(a, b):
  if isinstance(a, unpickle.LazyArray):
    a = a.read()
  if isinstance(b, np.ndarray):
    return a.dtype == b.dtype and np.array_equal(a, b)
  if isinstance(b, dict):
    return list(a) == list(b) and all(same(a[k], b[k]) for k in b)
  if isinstance(b, list | tuple):
    return len(a) == len(b) and all(map(same, a, b))
  return a == b


@pytest.mark.parametrize('protocol', [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize('read', [unpickle.load, unpickle.scan])
def test_round_trip(tmp_path, rng, protocol, read):
  value = content(rng)
  path = tmp_path / 'x.pkl'
  path.write_bytes(pickle.dumps(value, protocol=protocol))
  assert same(read(path), value)


def test_scan_leaves_large_arrays_on_disk(tmp_path, rng):
  path = tmp_path / 'x.pkl'
  value = {'a': rng.normal(size=(4000, 100)), 'b': np.arange(3)}
  path.write_bytes(pickle.dumps(value, protocol=4))
  got = unpickle.scan(path)
  assert isinstance(got['a'], unpickle.LazyArray)
  assert got['a'].nbytes == value['a'].nbytes
  assert isinstance(got['b'], np.ndarray)


def test_large_bytes_are_not_lost(tmp_path, rng):
  path = tmp_path / 'x.pkl'
  value = {'raw': os.urandom(300_000), 'a': rng.normal(size=(4000, 100))}
  path.write_bytes(pickle.dumps(value, protocol=4))
  assert same(unpickle.scan(path), value)


class Evil:
  def __init__(self, command):
    self.command = command

  def __reduce__(self):
    return os.system, (self.command,)


@pytest.mark.parametrize('read', [unpickle.load, unpickle.scan])
def test_foreign_code_does_not_run(tmp_path, read):
  witness = tmp_path / 'witness'
  path = tmp_path / 'evil.pkl'
  path.write_bytes(pickle.dumps({'player_pos': Evil(f'touch {witness}')}))
  with pytest.raises(UserError, match='evil.pkl holds posix.system'):
    read(path)
  assert not witness.exists()


def test_the_planted_code_would_run_elsewhere(tmp_path):
  witness = tmp_path / 'witness'
  path = tmp_path / 'evil.pkl'
  path.write_bytes(pickle.dumps(Evil(f'touch {witness}')))
  code = f'import pickle; pickle.load(open({str(path)!r}, "rb"))'
  subprocess.run([sys.executable, '-c', code], check=True)
  assert witness.exists()


@pytest.mark.parametrize('read', [unpickle.load, unpickle.scan])
@pytest.mark.parametrize('keep', [0, 1, 20, 0.3, 0.9, -1])
def test_truncated_files_say_so(tmp_path, rng, read, keep):
  raw = pickle.dumps(content(rng), protocol=4)
  size = int(len(raw) * keep) if isinstance(keep, float) else keep
  path = tmp_path / 'cut.pkl'
  path.write_bytes(raw[:size])
  with pytest.raises(UserError, match='cut.pkl is truncated'):
    read(path)


@pytest.mark.parametrize('raw', [b'hello world', b'\x80\x04.', b'\x00' * 50])
def test_no_pickle_at_all(tmp_path, raw):
  path = tmp_path / 'x.pkl'
  path.write_bytes(raw)
  with pytest.raises(UserError, match='truncated or not a pickle'):
    unpickle.load(path)


def test_missing_file(tmp_path):
  with pytest.raises(UserError, match='Cannot read'):
    unpickle.load(tmp_path / 'none.pkl')


def test_a_folder_lists_the_files_in_it(tmp_path):
  with pytest.raises(UserError, match=r'is a folder; expected a file\.'):
    unpickle.load(tmp_path)
  (tmp_path / 'classifier_deter.pkl').touch()
  with pytest.raises(UserError, match=r'in it, one of classifier_deter\.pkl\.'):
    unpickle.load(tmp_path)


def test_lazy_array_of_a_file_cut_later(tmp_path, rng):
  path = tmp_path / 'x.pkl'
  path.write_bytes(pickle.dumps(rng.normal(size=20_000), protocol=4))
  lazy = unpickle.scan(path)
  os.truncate(path, 1000)
  with pytest.raises(UserError, match='truncated'):
    lazy.read()
