"""Checkpoint folders: whole or absent, found by any of their names."""

import os
import pathlib
import pickle
import resource
import shutil
import signal
import threading

import numpy as np
import pytest

from embodied.run import checkpoint
from embodied.run.checkpoint import CheckpointError, Keep
from embodied.tests.folders import Box, make, save


def test_form_on_disk(tmp_path):
  path = save(tmp_path / 'ckpt', 7, {'params': {'a': np.ones(3)}})
  assert {x.name for x in path.iterdir()} == {'step.pkl', 'agent.pkl', 'done'}
  assert (tmp_path / 'ckpt/latest').read_text() == path.name
  assert (path / 'done').read_bytes() == b''
  assert pickle.loads((path / 'step.pkl').read_bytes()) == 7
  # YYYYMMDDTHHMMSSFmicros
  day, _, rest = path.name.partition('T')
  assert len(day) == 8
  assert rest[6] == 'F'
  assert len(rest) == 13


def test_round_trip_of_arrays_and_scalars(tmp_path):
  params = {'a/b': np.arange(6.0).reshape(2, 3), 'c': np.int32(4)}
  value = {
    'params': params,
    'zero': np.zeros((), np.float32),
    'set': {1, 2},
    'empty': np.zeros((0, 3)),
    'text': np.array(['x', 'yy']),
  }
  save(tmp_path, 3, value)
  it = make(tmp_path)
  assert it.load_latest() is not None
  assert it.parts['step'].value == 3
  found = it.parts['agent'].value
  np.testing.assert_array_equal(found['params']['a/b'], params['a/b'])
  assert found['params']['c'] == 4
  assert found['zero'].shape == ()
  assert found['set'] == {1, 2}
  assert found['empty'].shape == (0, 3)
  assert list(found['text']) == ['x', 'yy']


def test_nothing_to_load(tmp_path):
  assert make(tmp_path).load_latest() is None


def test_newest_replaces_the_older_ones(tmp_path):
  paths = [save(tmp_path, i) for i in range(3)]
  assert [x.exists() for x in paths] == [False, False, True]
  assert checkpoint.find(tmp_path) == paths[-1]


@pytest.mark.parametrize(
  ('keep', 'expected'),
  [
    ((0,), [50]),
    ((-1,), [0, 5, 10, 25, 30, 50]),
    ((10,), [10, 25, 30, 50]),
    ((5, 28), [5, 30, 50]),
  ],
)
def test_schedule(tmp_path, keep, expected):
  # Each save by a process of its own, as if the run was killed in between.
  for step in (0, 5, 10, 25, 30, 50):
    save(tmp_path, step, keep=keep)
  found = [checkpoint.step_of(x) for x in checkpoint.complete(tmp_path)]
  assert found == expected


def test_schedule_says_when_a_save_is_due():
  keep = Keep((10,))
  due = []
  for step in range(0, 35, 3):
    if keep.due(step):
      due.append(step)
      keep.add(step)
  assert due == [12, 21, 30]
  assert not Keep((0,)).due(10**9)
  with pytest.raises(ValueError, match='above 0'):
    Keep((5, -1))


def test_every_name_of_a_checkpoint_is_understood(tmp_path):
  path = save(tmp_path / 'ckpt', 1)
  for name in (path, path.parent, path.parent / 'latest', tmp_path):
    assert checkpoint.find(name) == path
    assert checkpoint.find(str(name)) == path


def test_incomplete_and_missing_are_refused(tmp_path):
  path = save(tmp_path / 'ckpt', 1)
  with pytest.raises(CheckpointError, match='There is no'):
    checkpoint.find(tmp_path / 'nowhere')
  (tmp_path / 'other').mkdir()
  with pytest.raises(CheckpointError, match='holds no checkpoint'):
    checkpoint.find(tmp_path / 'other')
  (path / 'done').unlink()
  for name in (path, tmp_path):
    with pytest.raises(CheckpointError, match='not complete'):
      checkpoint.find(name)


def test_code_in_a_pickle_does_not_run(tmp_path):
  path = save(tmp_path, 1)
  mark = tmp_path / 'ran'

  class Planted:
    def __reduce__(self):
      return os.mkdir, (str(mark),)

  (path / 'agent.pkl').write_bytes(pickle.dumps(Planted()))
  with pytest.raises(CheckpointError, match='mkdir'):
    make(tmp_path).load_latest()
  assert not mark.exists()


def test_truncated_pickle_is_named(tmp_path):
  path = save(tmp_path, 1, np.ones(1000))
  data = (path / 'agent.pkl').read_bytes()
  (path / 'agent.pkl').write_bytes(data[: len(data) // 2])
  with pytest.raises(CheckpointError, match=r'agent\.pkl cannot be read'):
    make(tmp_path).load_latest()


def test_a_damaged_pickle_is_read_or_named(tmp_path):
  # Without arrays: numpy's own code does not survive everything.
  value = {'params': {'a/b': [1.5, 2]}, 'n': 3, 's': {1}, 't': ('x', None)}
  path = save(tmp_path, 1, value) / 'agent.pkl'
  whole = path.read_bytes()
  rng = np.random.default_rng(0)
  refused = 0
  for _ in range(2000):
    data = bytearray(whole)
    for at in rng.integers(0, len(data), 2):
      data[at] = rng.integers(256)
    path.write_bytes(data)
    try:
      checkpoint.read(path)
    except CheckpointError:
      refused += 1
  assert refused > 200


def test_numpy_1_pickles_are_read(tmp_path):
  path = save(tmp_path, 1, np.ones(3))
  data = (path / 'agent.pkl').read_bytes()
  # Protocol 4 frames a short string by one byte of length.
  old, new = b'numpy._core.multiarray', b'numpy.core.multiarray'
  assert data.count(old) == 1
  data = data.replace(bytes([len(old)]) + old, bytes([len(new)]) + new)
  body = data[11:]
  framed = data[:3] + (len(body)).to_bytes(8, 'little') + body
  (path / 'agent.pkl').write_bytes(framed)
  np.testing.assert_array_equal(checkpoint.read(path / 'agent.pkl'), np.ones(3))


def test_a_mismatch_of_the_agent_names_the_file(tmp_path):
  path = save(tmp_path, 1)

  class Misfit:
    def load(self, data, regex=None):
      raise ValueError('missing: enc/cnn0/kernel')

  with pytest.raises(CheckpointError, match=r'agent\.pkl: missing: enc'):
    checkpoint.load_agent(Misfit(), path)


def test_the_snapshot_is_taken_now_and_written_later(tmp_path):
  gate = threading.Event()
  it = make(tmp_path, before_done=lambda: gate.wait(30) or None)
  state = np.zeros(3)
  it.parts['agent'].save = lambda: state.copy()
  it.parts['replay'] = Box()
  it.parts['replay'].save = lambda: lambda: gate.wait(30)  # the slow part
  path = it.save(0)
  assert it.busy()  # and we are already here
  state[:] = 1
  assert not (path / 'done').exists()
  gate.set()
  it.wait()
  assert not it.busy()
  np.testing.assert_array_equal(checkpoint.read(path / 'agent.pkl'), 0)
  assert checkpoint.read(path / 'replay.pkl') is True


def test_all_is_on_disk_before_a_checkpoint_counts_and_none_goes_in_parts(
  tmp_path, monkeypatch
):
  first, events, left = save(tmp_path, 1), [], []
  fsync, rmtree = os.fsync, shutil.rmtree

  def note(name):
    events.append((name, [x.parent for x in tmp_path.glob('*/done')] != [first]))

  def noted(handle):
    fsync(handle)
    note(os.fstat(handle).st_ino)

  def removed(path, **options):
    left.append((path / 'done').exists())
    rmtree(path, **options)

  monkeypatch.setattr(os, 'fsync', noted)
  monkeypatch.setattr(shutil, 'rmtree', removed)
  it = make(tmp_path, before_done=lambda: note('logs'))
  path = it.save(2)
  it.close()
  places = (path, path / 'step.pkl', path / 'agent.pkl', tmp_path / 'latest')
  names = {x.stat().st_ino: x.name for x in places}
  assert [(names.get(x, x), done) for x, done in events] == [
    ('step.pkl', False),
    ('agent.pkl', False),
    ('logs', False),
    (path.name, False),
    (path.name, True),
    ('latest', True),
  ]
  assert left == [False]  # a kill in between leaves no false checkpoint


def test_a_kill_in_the_middle_leaves_the_older_one(tmp_path):
  first = save(tmp_path, 1, 'first')
  child = os.fork()
  if not child:
    it = make(tmp_path, 'second', 2)
    it.before_done = lambda: os.kill(os.getpid(), signal.SIGKILL)
    it.save(2)
    it.wait()
    os._exit(0)
  _, status = os.waitpid(child, 0)
  assert os.WTERMSIG(status) == signal.SIGKILL
  assert checkpoint.find(tmp_path) == first
  it = make(tmp_path)
  it.load_latest()
  assert it.parts['agent'].value == 'first'
  third = save(tmp_path, 3)
  folders = [x for x in tmp_path.iterdir() if x.is_dir()]
  assert folders == [third]  # what the kill left behind is cleaned up


def test_a_full_disk_says_so_and_keeps_the_older_one(tmp_path):
  first = save(tmp_path, 1, 'first')
  child = os.fork()
  if not child:
    # A quota: no file of this process may grow over 100 kB.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    code = 9
    try:
      it = make(tmp_path, np.ones(100_000), 2)
      it.save(2)
      it.wait()
    except OSError as e:
      code = 'intact' in str(e) and 'Free space' in str(e)
    os._exit(code)
  _, status = os.waitpid(child, 0)
  assert os.waitstatus_to_exitcode(status) == 1
  assert [x for x in tmp_path.iterdir() if x.is_dir()] == [first]
  it = make(tmp_path)
  it.load_latest()
  assert it.parts['agent'].value == 'first'


def test_failures_in_the_background_come_back(tmp_path):
  it = make(tmp_path)
  it.parts['agent'].save = lambda: lambda: 1 / 0
  it.save(1)
  with pytest.raises(ZeroDivisionError):
    it.wait()
  assert not (pathlib.Path(tmp_path) / 'latest').exists()


def test_folders_of_others_stay(tmp_path):
  path = save(tmp_path, 1)
  mine = tmp_path / 'best'
  shutil.copytree(path, mine)
  (tmp_path / 'notes').mkdir()
  save(tmp_path, 2)
  assert not path.exists()
  assert (mine / 'done').exists()
  assert (tmp_path / 'notes').exists()
  assert mine not in checkpoint.complete(tmp_path)


def test_a_spare_is_the_one_before(tmp_path):
  paths = []
  for step in (1, 2, 3):
    it = make(tmp_path, spare=True)
    it.load_latest()
    it.parts['step'].value = step
    paths.append(it.save(step))
    it.close()
  assert [x.exists() for x in paths] == [False, True, True]


def test_a_future_that_is_given_up_goes_at_the_next_save(tmp_path):
  paths = [save(tmp_path, x, keep=(10,)) for x in (10, 20)]
  it = make(tmp_path, keep=(10,))
  it.load(paths[0])
  assert it.keep.steps == {10}
  third = it.save(15)
  it.close()
  assert checkpoint.complete(tmp_path) == [paths[0], third]
