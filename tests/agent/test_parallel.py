"""Two devices, or two processes, train like one on the same global batch."""

import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).parent / 'distributed_agent.py'


def run(folder: pathlib.Path, replicas: int, devices: int) -> list[dict]:
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = str(free.getsockname()[1])
  outs = [folder / f'{replicas}-{devices}-{i}.npz' for i in range(replicas)]
  args = [
    [sys.executable, str(SCRIPT), port, str(i), str(replicas), str(devices)]
    for i in range(replicas)
  ]
  started = [subprocess.Popen([*a, str(o)]) for a, o in zip(args, outs, strict=True)]
  codes = [x.wait(timeout=900) for x in started]
  assert codes == [0] * replicas
  return [dict(np.load(x)) for x in outs]


@pytest.fixture(scope='module')
def one(tmp_path_factory):
  return run(tmp_path_factory.mktemp('one'), 1, 1)[0]


def agree(got: dict, want: dict) -> None:
  assert got.keys() == want.keys()
  for name, value in want.items():
    if name.startswith('replay/'):
      continue
    scale = max(float(np.abs(value).max()), 1e-6)
    error = float(np.abs(got[name] - value).max()) / scale
    # Moments are sums of squares of the gradients' rounding errors too.
    assert error <= (1e-4 if '/opt/state/' in name else 1e-5), (name, error)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_devices_in_one_process(one, tmp_path):
  (two,) = run(tmp_path, 1, 2)
  agree(two, one)
  np.testing.assert_array_equal(two['replay/stepid'], one['replay/stepid'])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_processes_on_loopback(one, tmp_path):
  both = run(tmp_path, 2, 1)
  for got in both:
    agree(got, one)
  joined = np.concatenate([x['replay/stepid'] for x in both])
  np.testing.assert_array_equal(joined, one['replay/stepid'])
