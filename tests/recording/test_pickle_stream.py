"""Pickles written piece by piece are ordinary pickles."""

import pickle

import numpy as np
import pytest

from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError
from dreamerv3.recording import pickle_stream
from dreamerv3.recording.pickle_stream import Again, ArrayPieces, Joined


def write(path, items):
  with files.atomic(path) as file:
    pickle_stream.write_dict(file, items)
  return path


def streamed(values, parts=3):
  pieces = np.array_split(values, parts)
  return ArrayPieces(values.dtype, values.shape, lambda: (x.tobytes() for x in pieces))


@pytest.fixture
def values(rng):
  return {
    'length': 7,
    'score': 0.5,
    'names': ['a', 'b'],
    'nested': {'x': (1, 2), 'y': None, 'z': True},
    'small': rng.normal(size=(3, 2)),
    'counts': [{'wood': 1}] * 4,
  }


def same(a, b):
  if isinstance(b, np.ndarray):
    return a.dtype == b.dtype and a.shape == b.shape and (a == b).all()
  return a == b


def plain(path):
  with open(path, 'rb') as file:
    return pickle.load(file)


@pytest.mark.parametrize('read', [plain, unpickle.load])
def test_reads_as_what_was_written(tmp_path, values, rng, read):
  large = rng.normal(size=(500, 40)).astype(np.float16)
  empty = np.zeros((0, 5), np.uint8)
  items = [*values.items(), ('large', streamed(large)), ('e', streamed(empty))]
  found = read(write(tmp_path / 'x.pkl', items))
  assert list(found) == [k for k, _ in items]
  for key, value in {**values, 'large': large, 'e': empty}.items():
    assert same(found[key], value), key


def test_pure_python_unpickler_reads_it(tmp_path, values):
  path = write(tmp_path / 'x.pkl', values.items())
  with open(path, 'rb') as file:
    found = pickle._Unpickler(file).load()
  assert found['nested'] == values['nested']


def test_again_is_the_same_object_and_costs_nothing(tmp_path, rng):
  large = rng.normal(size=(200, 40))
  once = write(tmp_path / 'a.pkl', [('x', streamed(large))])
  items = [('n', 1), ('x', streamed(large)), ('y', Again()), ('z', [1])]
  twice = write(tmp_path / 'b.pkl', items)
  found = plain(twice)
  assert found['y'] is found['x']
  assert found['z'] == [1]
  assert twice.stat().st_size < once.stat().st_size + 200


def test_large_arrays_stay_on_disk_when_scanned(tmp_path, rng):
  large = rng.normal(size=(500, 40))
  path = write(tmp_path / 'x.pkl', [('x', streamed(large)), ('y', Again())])
  found = unpickle.scan(path)
  assert isinstance(found['x'], unpickle.LazyArray)
  assert (found['x'].read() == large).all()
  assert found['y'] is found['x']


def test_joined_files_keep_apart_what_they_share(tmp_path):
  paths = []
  for k in range(3):
    x = np.full((900, 4), k, np.float32)
    items = [
      ('k', k),
      ('x', streamed(x)),
      ('y', Again()),
      ('l', [{'a': k}] * 3),
    ]
    paths.append(write(tmp_path / f'{k}.pkl', items))
  whole = write(
    tmp_path / 'all.pkl', [('area', (3, 4)), ('list', Joined(paths)), ('z', 9)]
  )
  found = plain(whole)
  assert found['area'] == (3, 4)
  assert found['z'] == 9
  for k, entry in enumerate(found['list']):
    assert entry['k'] == k
    assert entry['y'] is entry['x']
    assert (entry['x'] == k).all()
    assert entry['l'] == [{'a': k}] * 3
  lazy = unpickle.scan(whole)['list']
  assert [x['x'].read()[0, 0] for x in lazy] == [0, 1, 2]


def test_no_files_join_to_an_empty_list(tmp_path):
  assert plain(write(tmp_path / 'x.pkl', [('l', Joined([]))])) == {'l': []}


@pytest.mark.parametrize('damage', ['foreign', 'cut'])
def test_other_files_are_not_joined(tmp_path, damage):
  path = write(tmp_path / 'a.pkl', [('x', streamed(np.zeros((900, 4))))])
  if damage == 'foreign':
    files.save_pickle(path, {'x': 1})
  else:
    path.write_bytes(path.read_bytes()[:-100])
  with pytest.raises(UserError, match=r'a\.pkl is damaged'):
    write(tmp_path / 'all.pkl', [('list', Joined([path]))])
  assert not (tmp_path / 'all.pkl').exists()
