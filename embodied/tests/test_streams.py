"""Streams: what comes out, in which order, and that they can be continued."""

import pickle
import threading

import numpy as np
import pytest

from embodied.core import base, streams
from embodied.core.replay import Replay
from embodied.tests.counting import step_of


class Count(base.Stream):
  """Batches (2, 9) that say which batch and which step they are."""

  def __init__(self, steps=9, fail_at=None):
    self.steps = steps
    self.fail_at = fail_at
    self.number = 0

  def __next__(self):
    if self.number == self.fail_at:
      raise ZeroDivisionError(f'planted at batch {self.number}')
    number, self.number = self.number, self.number + 1
    return {
      'batch': np.full((2, self.steps), number),
      'step': np.tile(np.arange(self.steps), (2, 1)),
    }

  def save(self):
    return self.number

  def load(self, data):
    self.number = data


def take(stream, count, key='batch'):
  return [next(stream)[key][0].tolist() for _ in range(count)]


def double(batch):
  return {k: 2 * v for k, v in batch.items()}


def test_consec_cuts_with_overlapping_context():
  stream = streams.Consec(Count(), length=3, consec=2, prefix=1)
  got = [next(stream) for _ in range(3)]
  assert [x['step'][0].tolist() for x in got] == [
    [0, 1, 2, 3],
    [3, 4, 5, 6],
    [0, 1, 2, 3],
  ]
  assert [int(x['consec'][0, 0]) for x in got] == [0, 1, 0]
  assert [int(x['batch'][0, 0]) for x in got] == [0, 0, 1]
  assert got[0]['consec'].dtype == np.int32
  assert got[0]['consec'].shape == (2, 4)


def test_consec_takes_the_first_steps_of_longer_sequences():
  stream = streams.Consec(Count(), length=4)
  assert take(stream, 2, 'step') == [[0, 1, 2, 3]] * 2


def test_consec_refuses_sequences_that_are_too_short():
  stream = streams.Consec(Count(), length=4, consec=2, prefix=2)
  with pytest.raises(ValueError, match=r'9 steps.*2 \+ 2 x 4'):
    next(stream)


def test_prefetch_works_ahead_in_order_in_another_thread():
  threads = []

  def transform(batch):
    threads.append(threading.get_ident())
    return double(batch)

  source = Count()
  stream = streams.Prefetch(source, transform, amount=2)
  assert take(stream, 5) == [[2 * i] * 9 for i in range(5)]
  stream.save()
  assert source.number == 7
  assert len(set(threads)) == 1
  assert threading.get_ident() not in threads
  stream.close()


def test_a_batch_can_be_taken_before_the_next_one_is_chosen():
  source = Count()
  stream = streams.Prefetch(source, double, amount=2)
  assert len(stream) == 0
  with pytest.raises(IndexError):
    stream.take()
  assert take(stream, 1) == [[0] * 9]
  assert stream.take()['batch'][0, 0] == 2
  stream.save()  # what was chosen is built
  assert (len(stream), source.number) == (1, 3)
  stream.fill()
  stream.save()
  assert (len(stream), source.number) == (2, 4)
  assert take(stream, 1) == [[4] * 9]
  stream.close()


@pytest.mark.parametrize('where', ['source', 'transform'])
def test_prefetch_raises_what_the_thread_ran_into(where):
  def transform(batch):
    assert where == 'source' or batch['batch'][0, 0] < 2, 'planted at batch 2'
    return batch

  fail_at = 2 if where == 'source' else None
  stream = streams.Prefetch(Count(fail_at=fail_at), transform)
  next(stream)
  next(stream)
  with pytest.raises((ZeroDivisionError, AssertionError), match='batch 2'):
    next(stream)
  stream.close()


def test_prefetch_of_nothing_is_refused():
  with pytest.raises(ValueError, match='at least 1'):
    streams.Prefetch(Count(), amount=0)


STREAMS = {
  'consec': lambda: streams.Consec(Count(), 3, 2, 1),
  'prefetch': lambda: streams.Prefetch(Count(), double, amount=3),
  'all': lambda: streams.Prefetch(streams.Consec(Count(), 3, 2, 1), double),
}


@pytest.mark.parametrize('name', sorted(STREAMS))
@pytest.mark.parametrize('before', [0, 1, 4, 5])
def test_streams_continue_where_they_were_saved(name, before):
  make = STREAMS[name]
  whole, first, second = make(), make(), make()
  expected = take(whole, before + 6, 'step')
  got = take(first, before, 'step')
  second.load(pickle.loads(pickle.dumps(first.save())))
  got += take(second, 6, 'step')
  assert got == expected


def pipeline(replay, amount):
  batches = streams.Replayed(replay, batch=3)
  pieces = streams.Consec(batches, length=2, consec=2, prefix=1)
  return streams.Prefetch(pieces, lambda x: {**x, 'twice': 2 * x['latent']}, amount)


def train(replay, stream, start, stop):
  """Updates between additions, with a batch ahead in the thread."""
  seen = []
  for number in range(start, stop):
    replay.add(step_of(0, number))
    if len(replay) >= 5:
      batch = next(stream)
      seen.append((batch['number'].tolist(), batch['twice'].tolist()))
      latent = batch['latent'] + number
      replay.update({'stepid': batch['stepid'], 'latent': latent})
  return seen


@pytest.mark.parametrize('amount', [1, 2])
def test_a_run_with_prefetch_continues_exactly(tmp_path, amount):
  def make(path):
    replay = Replay(5, directory=path, chunksize=8, online=True)
    return replay, pipeline(replay, amount)

  replay, stream = make(None)
  expected = train(replay, stream, 0, 80)
  seen = []
  replay, stream = make(tmp_path)
  for start, stop in ((0, 3), (3, 20), (20, 21), (21, 50), (50, 80)):
    seen += train(replay, stream, start, stop)
    state = pickle.dumps((replay.save()(), stream.save()))
    stream.close()
    replay, stream = make(tmp_path)
    for part, saved in zip((replay, stream), pickle.loads(state), strict=True):
      part.load(saved)
  assert seen == expected


@pytest.mark.parametrize(
  ('batch', 'length', 'consec', 'kept'),
  [(2, 4, 2, True), (3, 4, 2, False), (2, 3, 2, False), (2, 8, 1, False)],
)
def test_batches_of_another_form_are_dropped(batch, length, consec, kept):
  replay = Replay(9, chunksize=8)
  for i in range(30):
    replay.add(step_of(0, i))

  def make(batch, length, consec):
    source = streams.Replayed(replay, batch)
    return streams.Prefetch(streams.Consec(source, length, consec, prefix=1))

  old, new = make(2, 4, 2), make(batch, length, consec)
  next(old)  # the second half of the sequences is ahead
  replay.sample(1)
  new.load(pickle.loads(pickle.dumps(old.save())))
  got = [next(new) for _ in range(3)]
  form = (batch, 1 + length)
  assert [x['consec'].shape for x in got] == [form] * 3
  assert got[0]['consec'][0, 0] == kept
  for stream in (old, new):
    stream.close()
