"""The thread that writes: it fails in front, and it holds back."""

import errno
import time

import pytest

from dreamerv3.recording.background import Writer


def test_a_failing_task_stops_the_writer():
  def fail():
    raise OSError(errno.ENOSPC, 'No space left on device')

  after = []
  writer = Writer()
  writer.submit(fail)
  deadline = time.monotonic() + 10
  while writer.busy == 0:
    assert time.monotonic() < deadline
  with pytest.raises(OSError, match='run the same command again'):
    writer.submit(lambda: after.append(1))
  writer.close(check=False)
  assert not after


def test_the_writer_holds_the_caller_back():
  writer = Writer()
  for _ in range(60):
    writer.submit(lambda: time.sleep(0.002))
  assert writer.waited > 0.01
  writer.close()
  assert writer.busy >= 60 * 0.002
