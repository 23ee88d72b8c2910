"""Threads: order, laziness, and an end without calls that live on."""

import threading
import time

import pytest

from dreamerv3.analysis.parallel import in_threads


@pytest.mark.parametrize('n_jobs', [1, 2, 3])
def test_results_come_in_the_order_of_the_items(n_jobs):
  def late(x, stop):
    time.sleep(0.02 * (5 - x))
    return x

  assert list(in_threads(late, range(5), n_jobs)) == list(range(5))


@pytest.mark.parametrize('n_jobs', [1, 2])
def test_items_are_made_when_a_thread_is_free(n_jobs):
  made = 0
  finished: list = []
  ahead: list = []

  def items():
    nonlocal made
    for i in range(8):
      made += 1
      ahead.append(made - len(finished))
      yield i

  def work(x, stop):
    time.sleep(0.01)
    finished.append(x)

  list(in_threads(work, items(), n_jobs))
  assert max(ahead) <= n_jobs


def test_calls_together_cost_no_more_than_allowed():
  running: list = []
  peaks: list = []
  lock = threading.Lock()

  def work(x, stop):
    with lock:
      running.append(x)
      peaks.append(sum(running))
    time.sleep(0.02)
    with lock:
      running.remove(x)
    return x

  costs = [3, 1, 1, 5, 2, 2, 9, 1]
  assert list(in_threads(work, costs, 4, float, 5)) == costs
  # One that costs more than all may is at work alone.
  assert sorted(peaks)[-1] == 9
  assert sorted(peaks)[-2] <= 5
  assert max(peaks[:3]) > 3, 'what fits runs together'


@pytest.mark.parametrize('end', ['close', 'error', 'error in an item'])
def test_calls_that_run_are_told_to_stop_and_waited_for(end):
  alive = threading.active_count()

  def work(x, stop):
    if x == 1 and end == 'error':
      raise OSError('in work')
    if x > 0:
      assert stop.wait(20)
    return x

  def items():
    yield from (0, 1, 2)
    if end == 'error in an item':
      raise OSError('in items')
    yield 3

  found = in_threads(work, items(), 3)
  assert next(found) == 0
  if end == 'close':
    found.close()
  else:
    with pytest.raises(OSError, match='in '):
      list(found)
  assert threading.active_count() == alive
