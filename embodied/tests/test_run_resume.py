"""Processes of one run continue from the same step, or say that they cannot."""

import concurrent.futures
import threading

import pytest

from embodied.run import checkpoint, resume
from embodied.run.checkpoint import CheckpointError
from embodied.tests.folders import save


def together(folders):
  """resume.common in as many threads as processes."""
  barrier = threading.Barrier(len(folders))
  wishes: dict = {}

  def find(index):
    def agree(mine):
      wishes[index] = mine
      barrier.wait(10)
      most = [max(x) for x in zip(*wishes.values(), strict=True)]
      barrier.wait(10)
      return most

    return resume.common(folders[index], agree)

  with concurrent.futures.ThreadPoolExecutor(len(folders)) as pool:
    return [x and checkpoint.step_of(x) for x in pool.map(find, range(2))]


@pytest.mark.parametrize(
  ('steps', 'expected'),
  [
    (((1, 2), (1, 2)), 2),
    (((1, 2), (1,)), 1),
    (((1, 2, 3), (1, 2)), 2),
    (((0,), ()), None),
    (((), ()), None),
  ],
)
def test_processes_continue_from_the_same_step(tmp_path, steps, expected):
  folders = [tmp_path / 'a', tmp_path / 'b']
  for folder, mine in zip(folders, steps, strict=True):
    for step in mine:
      save(folder, step, keep=(-1,))
  assert together(folders) == [expected] * 2


@pytest.mark.parametrize('steps', [((1, 2), ()), ((1, 2), (3, 4))])
def test_nothing_in_common_is_refused(tmp_path, steps):
  folders = [tmp_path / 'a', tmp_path / 'b']
  for folder, mine in zip(folders, steps, strict=True):
    for step in mine:
      save(folder, step, keep=(-1,))
  with pytest.raises(CheckpointError, match='no checkpoint in common'):
    together(folders)
