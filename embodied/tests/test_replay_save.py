"""Saving a replay: exact, atomic, bounded on disk, readable by others."""

import pathlib
import pickle
import shutil
import unittest.mock
import weakref

import numpy as np
import pytest

from embodied.core.chunkfiles import names_of
from embodied.core.replay import Replay
from embodied.tests.counting import step_of
from embodied.tests.test_replay import check, fill, written

PRIO = {'initial': 1.0, 'zero_on_sample': True}


def make(path, length=5, chunksize=8, **kwargs):
  return Replay(length, directory=path, chunksize=chunksize, **kwargs)


def train(replay, start, stop, value=0):
  """What a run does: add, sample, write back."""
  seen = []
  for number in range(start, stop):
    fill(replay, 1, workers=2, start=number)
    if len(replay) > 10:
      batch = replay.sample(3)
      batch_id = batch.pop('stepid')
      seen.append(batch)
      latent = batch['latent'] + number
      priority = batch['latent'][..., 0]
      replay.update({'stepid': batch_id, 'latent': latent, 'priority': priority})
  return seen


def restart(replay, state, **kwargs):
  """A new process: only the files and the pickled state are left."""
  new = make(replay._files.directory, **kwargs)
  new.load(pickle.loads(pickle.dumps(state)))
  return new


def assert_equal(left, right):
  assert len(left) == len(right) > 0
  for a, b in zip(left, right, strict=True):
    assert a.keys() == b.keys()
    for key in a:
      assert np.array_equal(a[key], b[key]), key


def names(path):
  return sorted(str(x.relative_to(path)) for x in path.rglob('*') if x.is_file())


@pytest.mark.parametrize(
  'kwargs',
  [
    {},
    {'online': True},
    {'online': True, 'capacity': 30},
    {'fracs': {'recency': 1.0}},
    {'fracs': {'priority': 1.0}, 'prio': PRIO, 'capacity': 40},
    {'fracs': {'uniform': 0.5, 'priority': 0.5}, 'prio': PRIO},
  ],
  ids=['uniform', 'online', 'evicting', 'recency', 'priority', 'mixture'],
)
def test_resumed_is_the_same_as_uninterrupted(tmp_path, kwargs):
  whole = make(None, **kwargs)
  expected = train(whole, 0, 90)
  replay = make(tmp_path, **kwargs)
  seen = []
  for start in (0, 13, 16, 47, 48):  # within chunks, at borders, twice at once
    stop = {0: 13, 13: 16, 16: 47, 47: 48, 48: 90}[start]
    seen += train(replay, start, stop)
    state = replay.save()()
    replay = restart(replay, state, **kwargs)
  assert_equal(seen, expected)
  assert len(replay) == len(whole)
  assert replay.stats()['chunks'] == whole.stats()['chunks']
  assert_equal(
    [{k: v for k, v in replay.sample(50).items() if k != 'stepid'}],
    [{k: v for k, v in whole.sample(50).items() if k != 'stepid'}],
  )


def test_saving_changes_nothing_and_loading_twice_changes_nothing(tmp_path):
  replay = make(tmp_path, online=True, capacity=40)
  train(replay, 0, 50)
  state = replay.save()()
  other = restart(replay, state, online=True, capacity=40)
  memory = other.stats()['ram_gb']
  other.load(state)
  other.load(state)
  assert other.stats()['ram_gb'] == memory == replay.stats()['ram_gb']
  assert len(other) == len(replay)
  again = other.save()()
  assert again.keys() == state.keys()
  assert again['chunks'] == state['chunks']
  assert np.array_equal(again['items'], state['items'])
  for key in state.keys() - {'chunks', 'items', 'time'}:
    assert again[key] == state[key], key


def test_state_is_plain(tmp_path):
  replay = make(tmp_path, online=True, fracs={'priority': 1.0}, prio=PRIO)
  train(replay, 0, 30)

  def walk(value):
    if isinstance(value, dict):
      for key, inner in value.items():
        assert type(key) in (str, int), key
        walk(inner)
    elif isinstance(value, list):
      for inner in value:
        walk(inner)
    else:
      plain = (str, int, float, bool, type(None), np.ndarray)
      assert type(value) in plain, (type(value), value)

  walk(replay.save()())


def test_what_was_written_back_is_saved_without_rewriting_the_images(tmp_path):
  replay = make(tmp_path)
  fill(replay, 24)
  replay.save()()
  chunks = {x: x.stat().st_mtime_ns for x in tmp_path.glob('*.npz')}
  written(replay, replay.sample(300), 1000)
  state = replay.save()()
  assert {x: x.stat().st_mtime_ns for x in tmp_path.glob('*.npz')} == chunks
  patch = next(tmp_path.glob('updates/*.npz'))
  with np.load(patch) as file:
    assert file.files == ['latent']
  other = restart(replay, state)
  assert (other.sample(50)['latent'] >= 1000).all()
  # And once more, on top of a loaded patch.
  written(other, other.sample(300), 5000)
  third = restart(other, other.save()())
  assert (third.sample(50)['latent'] >= 5000).all()
  # Files without a state give the newest values, too.
  fourth = make(tmp_path)
  fourth.load(None)
  assert (fourth.sample(50)['latent'] >= 5000).all()


CHOICES: list[dict] = [
  {'uniform': 1.0},
  {'priority': 1.0},
  {'uniform': 0.5, 'priority': 0.5},
  {'priority': 0.5, 'recency': 0.5},
]


@pytest.mark.parametrize('old', CHOICES)
@pytest.mark.parametrize('new', CHOICES)
def test_the_choice_of_items_may_change_between_saves(tmp_path, old, new):
  replay = make(tmp_path, fracs=old)
  train(replay, 0, 30)
  other = restart(replay, replay.save()(), fracs=new)
  assert len(other) == len(replay)
  assert len(train(other, 30, 40)) == 10


def test_what_is_written_leaves_the_memory_before_the_save_ends(tmp_path):
  replay = make(tmp_path)
  train(replay, 0, 40)
  files = replay._files
  first = files.snapshot(replay._index.chunks.values())
  arrays = [weakref.ref(x.data['latent'].base) for x in first]
  train(replay, 40, 60)  # new latents for many of them: copies
  live = [x.data['latent'] for x in replay._index.chunks.values()]
  old = [x for x in arrays if not any(x() is y for y in live)]
  del live
  assert old
  left = []
  write = files._write_npz

  def tell(name, data):
    left.append(sum(x() is not None for x in old))
    write(name, data)

  files._write_npz = tell
  with unittest.mock.patch('embodied.core.chunkfiles.THREADS', 1):
    files.write(first)
  assert left == sorted(left, reverse=True)
  assert left[-1] <= 1
  assert not any(x() for x in old)


def test_a_snapshot_is_of_its_moment_whatever_is_written_later(tmp_path):
  replay = make(tmp_path, online=True)
  train(replay, 0, 30)
  twin = make(tmp_path / 'twin', online=True)
  train(twin, 0, 30)
  twin_state = twin.save()()
  finish = replay.save()
  train(replay, 30, 60)  # adds, samples and writes back before the disk does
  state = finish()
  left = train(restart(replay, state, online=True), 30, 50)
  right = train(restart(twin, twin_state, online=True), 30, 50)
  assert_equal(left, right)


def test_disk_use_is_bounded_and_open_chunks_leave_no_old_files(tmp_path):
  replay = make(tmp_path, capacity=40)
  for start in range(0, 200, 3):
    train(replay, start, start + 3)
    state = replay.save()()
    files = names(tmp_path)
    needed = names_of(state['chunks'])
    assert needed <= set(files)
    assert len(files) <= 2 * len(needed) + 8
  assert not [x for x in files if 'tmp' in x]


def test_the_save_before_is_intact_until_the_next_one_is_done(tmp_path):
  replay = make(tmp_path, capacity=60, online=True)
  train(replay, 0, 50)
  first = replay.save()()
  shutil.copytree(tmp_path, tmp_path / 'copy')
  reference = make(tmp_path / 'copy', capacity=60, online=True)
  reference.load(first)
  train(replay, 50, 120)
  replay.save()()  # complete, but its checkpoint is never finished
  train(replay, 120, 130)
  old = restart(replay, first, capacity=60, online=True)
  assert_equal(train(old, 50, 80), train(reference, 50, 80))


def test_leftovers_of_a_lost_future_are_removed(tmp_path):
  replay = make(tmp_path)
  fill(replay, 20)
  state = replay.save()()
  fill(replay, 100, start=20)
  written(replay, replay.sample(300), 1000)
  replay.save()()  # and then the machine dies, before the checkpoint is done
  other = restart(replay, state)
  assert len(other) == 16
  fill(other, 5, start=20)
  other.save()()
  other.save()()
  newest = make(tmp_path)
  newest.load(None)
  assert len(newest) == 21
  assert newest.sample(100)['latent'].max() < 1000


def test_other_steps_on_disk_are_refused_by_name(tmp_path):
  replay = make(tmp_path)
  fill(replay, 20)
  state = replay.save()()
  other = make(tmp_path)
  step = step_of(0, 0)
  other.add({**step, 'image': np.zeros((4, 4, 3), np.uint8)})
  with pytest.raises(ValueError, match=r'image is uint8\[2, 2, 3\].*4, 4'):
    other.load(state)


def test_another_length_keeps_the_steps(tmp_path, capsys):
  replay = make(tmp_path, length=5)
  fill(replay, 40, workers=2)
  state = replay.save()()
  other = make(tmp_path, length=9)
  other.load(state)
  assert '9 steps now, 5 before' in capsys.readouterr().err
  assert len(other) == 2 * 32
  check(other.sample(100), 9)


def test_a_smaller_capacity_and_chunksize_apply_on_resume(tmp_path):
  replay = make(tmp_path)
  fill(replay, 60, workers=2)
  state = replay.save()()
  other = restart(replay, state, capacity=20, chunksize=4)
  assert len(other) == 20
  fill(other, 30, workers=2, start=60)
  batch = other.sample(100)
  check(batch, 5)
  assert batch['number'].min() == 90 - 10 - 4


def test_an_unknown_format_is_refused(tmp_path):
  replay = make(tmp_path)
  with pytest.raises(ValueError, match='format 99'):
    replay.load({'format': 99})


def test_without_a_directory_nothing_is_saved(tmp_path):
  replay = Replay(3)
  fill(replay, 10)
  assert replay.save()() is None
  replay.load(None)
  assert len(replay) == 8
  assert not names(pathlib.Path(tmp_path))


def random_settings(rng):
  settings: dict = dict(
    length=int(rng.integers(1, 8)),
    chunksize=int(rng.integers(1, 12)),
    capacity=int(rng.integers(0, 40)),
    online=bool(rng.integers(2)),
  )
  if rng.integers(2):
    initial = float(rng.choice([1, np.inf]))
    settings['prio'] = {**PRIO, 'initial': initial}
    settings['fracs'] = {'priority': 0.5, 'recency': 0.2, 'uniform': 0.3}
  return settings


@pytest.mark.parametrize('seed', range(12))
def test_random_histories_with_restarts_equal_those_without(tmp_path, seed):
  rng = np.random.default_rng([7, seed])
  settings = random_settings(rng)
  whole, replay = make(None, **settings), make(tmp_path, **settings)
  numbers = [0] * int(rng.integers(1, 4))
  for kind in rng.integers(0, 8, 80):
    if kind < 4:
      worker = int(rng.integers(len(numbers)))
      for _ in range(int(rng.integers(1, 6))):
        for each in (whole, replay):
          each.add(step_of(worker, numbers[worker]), worker)
        numbers[worker] += 1
    elif kind < 7 and len(whole):
      batches = [whole.sample(4), replay.sample(4)]
      priority = rng.random((4, settings['length']))
      for each, batch in zip((whole, replay), batches, strict=True):
        check(batch, settings['length'])
        stepid, latent = batch.pop('stepid'), batch['latent'] + 1
        each.update({'stepid': stepid, 'latent': latent, 'priority': priority})
      assert_equal(batches[:1], batches[1:])
    elif kind == 7:
      replay = restart(replay, replay.save()(), **settings)
      assert len(replay) == len(whole)
      assert replay.stats()['chunks'] == whole.stats()['chunks']
