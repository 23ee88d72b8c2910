"""The whole program learns: acting, replay, world model, actor, critic."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_return_rises_from_chance_to_the_best(tmp_path):
  done = subprocess.run(
    [
      sys.executable, str(ROOT / 'bench/learn.py'), '--seeds', '0',
      '--steps', '2400', '--bins', '4', '--logdir', str(tmp_path / 'learn'),
    ],
    capture_output=True, text=True, timeout=850, check=True,
  )  # fmt: skip
  rows = {}
  for line in done.stdout.splitlines()[1:]:
    name, _, rest = line.strip().partition(':')
    rows[name] = [float(x) for x in rest.partition('(')[0].split()]
  assert all(7 < x < 13 for x in rows['random'])  # one action of five
  assert rows['0'][0] < 20
  assert rows['0'][-1] > 45  # of 50
