"""The whole program learns: acting, replay, world model, actor, critic."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from bench import learn

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_return_rises_from_chance_towards_the_best(tmp_path):
  done = subprocess.run(
    [
      sys.executable,
      str(ROOT / 'bench/learn.py'),
      '--seeds',
      '0',
      '--cells',
      '2',
      '--steps',
      '2400',
      '--bins',
      '4',
      '--logdir',
      str(tmp_path / 'learn'),
      '--figure',
      str(tmp_path / 'curve.png'),
    ],
    capture_output=True,
    text=True,
    timeout=850,
    check=True,
  )
  rows = {}
  for line in done.stdout.splitlines()[1:]:
    name, _, rest = line.strip().partition(':')
    rows[name] = [float(x) for x in rest.partition('(')[0].split()]
  assert all(4 < x < 8 for x in rows['random'])
  assert rows['0'][0] < 12
  assert rows['0'][-1] > 25  # of 37
  assert (tmp_path / 'curve.png').stat().st_size


def test_the_curve_is_the_mean_of_the_episodes_of_each_stretch():
  steps, scores = np.array([1, 5, 6, 20]), np.array([1.0, 3.0, 5.0, 7.0])
  found = learn.means(steps, scores, np.array([5, 10, 15, 20]))
  np.testing.assert_array_equal(found, [2, 5, np.nan, 7])


def test_the_straight_way_is_what_two_cells_allow():
  # One of the three other cells is two steps away: 50 / (4 / 3) = 37.5.
  assert 36 < learn.straight(cells=2, episodes=100) < 38.5
