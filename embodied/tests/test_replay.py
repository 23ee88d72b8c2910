"""The replay: what is sampled, what is kept, what is written back."""

import collections
import threading

import numpy as np
import pytest

from embodied.core.chunk import memory_estimate
from embodied.core.replay import Replay
from embodied.tests.counting import step_of


def fill(replay, steps, workers=1, start=0, **kwargs):
  for number in range(start, start + steps):
    for worker in range(workers):
      replay.add(step_of(worker, number, **kwargs), worker)


def check(batch, length):
  """Rows are consecutive steps of one worker, all keys of the same step."""
  number, worker = batch['number'], batch['worker']
  assert number.shape[1] == length
  assert (np.diff(number, axis=1) == 1).all()
  assert (worker == worker[:, :1]).all()
  assert (batch['image'] == (number % 256)[..., None, None, None]).all()
  for row in batch['stepid']:
    index = row[:, 16:].copy().view('>u4')[:, 0].astype(int)
    same = (row[1:, :16] == row[:-1, :16]).all(1)
    assert (np.diff(index)[same] == 1).all()
    assert (index[1:][~same] == 0).all()


@pytest.mark.parametrize('chunksize', [3, 8, 10, 64, 1024])
@pytest.mark.parametrize('length', [1, 5, 9])
def test_sequences_are_consecutive_over_chunks_and_episodes(length, chunksize):
  replay = Replay(length, chunksize=chunksize)
  fill(replay, 50, workers=3)
  assert len(replay) == 3 * (50 - length + 1)
  batch = replay.sample(200)
  check(batch, length)
  starts = collections.Counter(
    zip(batch['worker'][:, 0], batch['number'][:, 0], strict=True)
  )
  assert len(starts) > 60
  dtypes = {k: v.dtype for k, v in batch.items()}
  assert dtypes['image'] == np.uint8
  assert dtypes['is_first'] == np.bool_
  assert dtypes['latent'] == np.float32
  assert dtypes['number'] == np.int32


def test_logs_are_not_stored():
  replay = Replay(1)
  replay.add({'reward': 1.0, 'count': 3, 'log/text': 'any'})
  batch = replay.sample(1)
  assert set(batch) == {'reward', 'count', 'stepid'}
  assert batch['reward'].dtype == np.float32
  assert batch['count'].dtype == np.int32


def test_first_step_of_a_row_is_first_and_cut_episodes_are_last():
  replay = Replay(4)
  for number in range(4):
    replay.add(step_of(0, number, length=99))
  for number in range(4):  # The run was interrupted: a new episode begins.
    replay.add(step_of(0, number, length=99))
  batch = replay.sample(100)
  assert batch['is_first'][:, 0].all()
  first = batch['number'] == 0
  assert (batch['is_first'][:, 1:] == first[:, 1:]).all()
  assert (batch['is_last'][:, :-1] == first[:, 1:]).all()
  assert first[:, 1:].any()


def test_sampling_is_uniform_over_items():
  replay = Replay(5, capacity=40, chunksize=8)
  fill(replay, 60, workers=2)
  counts: collections.Counter = collections.Counter()
  for _ in range(100):
    batch = replay.sample(100)
    counts.update(
      zip(
        batch['worker'][:, 0].tolist(),
        batch['number'][:, 0].tolist(),
        strict=True,
      )
    )
  assert len(counts) == 40
  expected = 10_000 / 40
  chi2 = sum((x - expected) ** 2 / expected for x in counts.values())
  assert chi2 < 72.1  # 99.9th percentile of chi2 with 39 degrees of freedom


def test_same_seed_same_samples_and_modes_do_not_disturb_each_other():
  def numbers(seed, reports):
    replay = Replay(3, seed=seed)
    fill(replay, 100)
    result = []
    for _ in range(5):
      result.append(replay.sample(8)['number'][:, 0])
      for _ in range(reports):
        replay.sample(4, mode='report')
    return np.concatenate(result).tolist()

  assert numbers(0, 0) == numbers(0, 3)
  assert numbers(0, 0) != numbers(1, 0)
  replay = Replay(3)
  fill(replay, 100)
  train, report = (replay.sample(8, mode=x)['number'] for x in ('train', 'report'))
  assert (train != report).any()


def test_online_queue_gives_each_stretch_once_in_order():
  replay = Replay(5, online=True)
  fill(replay, 25, workers=2)
  batch = replay.sample(10)
  check(batch, 5)
  starts = list(zip(batch['number'][:, 0], batch['worker'][:, 0], strict=True))
  assert starts == [(i, w) for i in range(0, 25, 5) for w in (0, 1)]
  rest = replay.sample(50)['number'][:, 0]
  assert (rest % 5 != 0).any()


def test_reports_leave_the_online_queue_alone():
  replay = Replay(5, online=True)
  fill(replay, 25)
  replay.sample(10, mode='report')
  starts = replay.sample(5)['number'][:, 0]
  assert starts.tolist() == [0, 5, 10, 15, 20]


def test_evicted_items_leave_the_online_queue():
  replay = Replay(5, capacity=10, online=True)
  fill(replay, 100)
  assert len(replay._queue) == 2
  assert replay.sample(2)['number'][:, 0].tolist() == [90, 95]


def test_capacity_drops_the_oldest_and_frees_chunks():
  replay = Replay(5, capacity=30, chunksize=8)
  most = 0.0
  for number in range(500):
    fill(replay, 1, workers=3, start=number)
    stats = replay.stats()
    most = max(most, stats['chunks'])
    assert len(replay) <= 30
  assert most <= 3 * 4
  batch = replay.sample(300)
  check(batch, 5)
  assert batch['number'].min() == 500 - 10 - 4
  assert set(batch['number'][:, 0]) == set(range(486, 496))


@pytest.mark.parametrize(('capacity', 'chunksize'), [(1, 4), (3, 1), (2, 64)])
def test_tiny_capacities_free_everything_else(capacity, chunksize):
  replay = Replay(2, capacity=capacity, chunksize=chunksize)
  fill(replay, 300)
  assert len(replay) == capacity
  assert replay.stats()['chunks'] <= capacity + 3
  check(replay.sample(20), 2)


def test_a_silent_worker_keeps_its_steps_until_they_are_evicted():
  replay = Replay(3, capacity=20, chunksize=4)
  fill(replay, 10, workers=2)
  for number in range(10, 300):
    replay.add(step_of(1, number), 1)
  batch = replay.sample(200)
  check(batch, 3)
  assert set(batch['worker'].ravel()) == {1}
  replay.add(step_of(0, 10), 0)
  assert len(replay) == 20
  assert 0 in replay.sample(300)['worker']


def written(replay, batch, value):
  """Write `value` + step number over the latents of a batch."""
  latent = value + batch['number'][..., None] + np.zeros(3)
  replay.update({'stepid': batch['stepid'], 'latent': latent})


def test_latents_written_back_are_read_back_over_chunk_borders():
  replay = Replay(6, chunksize=4)
  fill(replay, 40, workers=2)
  batch = replay.sample(5)
  part = {k: v[:, 1:] for k, v in batch.items()}  # without the context step
  written(replay, part, 1000)
  changed = set(zip(part['worker'].ravel(), part['number'].ravel(), strict=True))
  seen = set()
  for _ in range(20):
    again = replay.sample(50)
    new = again['latent'][..., 0] == 1000 + again['number']
    old = again['latent'][..., 0] == again['number']
    assert (new | old).all()
    steps = zip(again['worker'].ravel(), again['number'].ravel(), strict=True)
    for step, is_new in zip(steps, new.ravel(), strict=True):
      assert is_new == (step in changed), step
      seen.add(step)
  assert changed <= seen


def test_batches_own_their_memory():
  replay = Replay(4)
  fill(replay, 20)
  batch = replay.sample(30)
  before = batch['latent'].copy()
  written(replay, batch, 7)
  assert (batch['latent'] == before).all()
  batch['latent'][:] = -1
  assert (replay.sample(30)['latent'] >= 0).all()


def test_updates_of_evicted_steps_are_skipped():
  replay = Replay(4, capacity=5, chunksize=4)
  fill(replay, 10)
  batch = replay.sample(8)
  fill(replay, 100, start=10)
  written(replay, batch, 1000)
  assert (replay.sample(50)['latent'] < 500).all()


@pytest.mark.parametrize(
  ('change', 'text'),
  [
    ({'unknown': np.zeros((2, 4))}, 'unknown.*not stored'),
    ({'latent': np.zeros((2, 4, 5))}, r'latent.*\(2, 4, 5\)'),
    ({'latent': np.zeros((2, 3, 3))}, r'latent.*\(2, 3, 3\)'),
    ({'stepid': np.zeros((2, 4), np.uint8)}, 'stepid'),
  ],
)
def test_wrong_updates_are_named(change, text):
  replay = Replay(4)
  fill(replay, 20)
  stepid = replay.sample(2)['stepid']
  with pytest.raises(ValueError, match=text):
    replay.update({'stepid': stepid, **change})


@pytest.mark.parametrize(
  ('change', 'text'),
  [
    ({'image': np.zeros((3, 2, 3), np.uint8)}, 'image'),
    ({'image': np.zeros((), np.uint8)}, 'image'),
    ({'extra': np.float32(1)}, 'extra.*not there'),
  ],
)
def test_steps_that_differ_are_named(change, text):
  replay = Replay(4)
  fill(replay, 3)
  with pytest.raises(ValueError, match=text):
    replay.add({**step_of(0, 3), **change})


def test_an_empty_replay_says_so():
  replay = Replay(4)
  fill(replay, 3)
  with pytest.raises(ValueError, match='no sequence of 4 steps yet, only 3'):
    replay.sample(2)


@pytest.mark.parametrize('kwargs', [{'length': 0}, {'length': 3, 'chunksize': 0}])
def test_bad_arguments_are_named(kwargs):
  with pytest.raises(ValueError, match='expected >= 1'):
    Replay(**kwargs)


def test_stats_count_since_the_last_call():
  replay = Replay(5, chunksize=8)
  fill(replay, 30, workers=2)
  replay.update({'stepid': replay.sample(4)['stepid']})
  stats = replay.stats()
  assert stats['items'] == 52
  assert stats['chunks'] == 8
  assert stats['streams'] == 2
  assert (stats['inserts'], stats['samples'], stats['updates']) == (60, 4, 4)
  assert stats['replay_ratio'] == 5 * 4 / 60
  assert replay.stats()['inserts'] == 0


@pytest.mark.parametrize(('capacity', 'workers'), [(0, 1), (0, 3), (500, 2)])
def test_memory_estimate_bounds_what_is_used(capacity, workers):
  replay = Replay(5, capacity=capacity, chunksize=64)
  fill(replay, 2000, workers=workers)
  used = replay.stats()['ram_gb'] * 1024**3
  estimate = memory_estimate(
    {**step_of(0, 0), 'log/x': np.float32(0)},
    2000 * workers,
    capacity,
    workers,
    length=5,
    chunksize=64,
  )
  assert used <= estimate <= 1.5 * used


def test_adding_sampling_and_updating_from_threads():
  replay = Replay(6, capacity=400, chunksize=16, online=True)
  fill(replay, 50, workers=2)
  done = threading.Event()
  errors = []

  def sample():
    try:
      while not done.is_set():
        batch = replay.sample(8)
        check(batch, 6)
        # A row is read before or after an update, never in between.
        value = batch['latent'] - batch['number'][..., None]
        assert (value == value[..., :1]).all()
        assert (value >= 0).all()
    except AssertionError as error:
      errors.append(error)

  def update():
    for value in range(200):
      written(replay, replay.sample(8), value)

  threads = [threading.Thread(target=sample) for _ in range(3)]
  writer = threading.Thread(target=update)
  for thread in (*threads, writer):
    thread.start()
  fill(replay, 2000, workers=2, start=50)
  writer.join()
  done.set()
  for thread in threads:
    thread.join()
  assert not errors, errors[0]
  assert replay._copies == 0


def test_updates_wait_for_batches_that_are_chosen():
  replay = Replay(4)
  fill(replay, 20)
  stepid = replay.sample(2)['stepid']
  build = replay.defer(50)
  thread = threading.Thread(
    target=replay.update,
    args=[{'stepid': stepid, 'latent': np.full((2, 4, 3), 1e6)}],
  )
  thread.start()
  thread.join(0.05)
  assert thread.is_alive()
  assert (build()['latent'] < 1e6).all()
  thread.join(5)
  assert not thread.is_alive()
  assert (replay.sample(50)['latent'] == 1e6).any()
