"""Recorders as processes: two in a folder, on a full disk, killed, and their memory."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest

from dreamerv3.base import unpickle
from dreamerv3.recording.recorder import Recorder
from tests.recording.recordings import COLUMNS, load, metadata

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_two_processes_do_not_share_a_folder(tmp_path):
  code = (
    'import sys; sys.path.insert(0, sys.argv[1])\n'
    'from dreamerv3.recording.recorder import Recorder\n'
    'from tests.recording.recordings import COLUMNS, metadata\n'
    'Recorder(sys.argv[2], metadata(), COLUMNS)\n'
  )
  with Recorder(tmp_path, metadata(), COLUMNS):
    done = subprocess.run(
      [sys.executable, '-c', code, str(ROOT), str(tmp_path)],
      capture_output=True,
      text=True,
    )
  assert 'Another process records into' in done.stderr


FULL = """
import resource, signal, sys, time
sys.path.insert(0, sys.argv[1])
from dreamerv3.recording.recorder import Recorder
from tests.recording.recordings import COLUMNS, metadata, play
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Recorder(sys.argv[2], metadata(), COLUMNS) as recorder:
  play(recorder, 1, 40)
  recorder.missing(range(1, 2))
  while recorder.missing(range(1, 2)):
    time.sleep(0.01)
  resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
  for number in range(2, 100):
    play(recorder, number, 400)
"""


def test_a_full_disk_leaves_whole_files_alone(tmp_path):
  done = subprocess.run(
    [sys.executable, '-c', FULL, str(ROOT), str(tmp_path)],
    capture_output=True,
    text=True,
  )
  assert done.returncode == 1
  assert 'Cannot write the recording (File too large)' in done.stderr
  names = {x.name for x in tmp_path.iterdir()}
  assert names == {'metadata.pkl', '.recording.lock', 'episode_001.pkl'}
  assert load(tmp_path / 'episode_001.pkl')['length'] == 40


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from dreamerv3.recording.recorder import Recorder
from tests.recording.recordings import COLUMNS, metadata, play
with Recorder(sys.argv[2], metadata(), COLUMNS) as recorder:
  missing = recorder.missing(range(1, 13))
  print(len(missing), flush=True)
  for number in missing:
    play(recorder, number, 100)
  recorder.flush()
  recorder.join()
"""


def test_a_killed_recording_goes_on_to_the_same_files(tmp_path):
  def start(folder):
    return subprocess.Popen(
      [sys.executable, '-c', KILLED, str(ROOT), str(folder)],
      stdout=subprocess.PIPE,
      text=True,
    )

  killed, straight = tmp_path / 'killed', tmp_path / 'straight'
  process = start(killed)
  while len(list(killed.glob('episode_*.pkl'))) < 2:
    assert process.poll() is None
    time.sleep(0.005)
  process.send_signal(signal.SIGKILL)
  process.communicate()
  there = len(list(killed.glob('episode_*.pkl')))
  assert 2 <= there < 12
  for path in killed.glob('episode_*.pkl'):
    assert unpickle.load(path)['length'] == 100
  process = start(killed)
  out, _ = process.communicate()
  assert int(out) == 12 - there
  start(straight).communicate()
  for path in sorted(straight.glob('*.pkl')):
    assert path.read_bytes() == (killed / path.name).read_bytes(), path.name


FLAT = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from dreamerv3.data.columns import Column
from dreamerv3.recording.recorder import Recorder
from tests.recording.recordings import HALF, metadata, step
wide = [Column('act/enc/cnn0', 'float16', 0, (30000,), HALF)]
numbers = range(1, int(sys.argv[3]) + 1)
with Recorder(sys.argv[2], metadata(), wide, memory=36e6) as recorder:
  writings = [recorder.begin(x) for x in numbers]
  values = step(1, 1)[1]
  for t in range(300):
    for writing in writings:
      writing.add({'float16': np.full(30000, t, HALF)}, values)
  for writing in writings:
    writing.end()
  recorder.flush()
  recorder.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_episodes(tmp_path):
  peaks = []
  for count in (2, 20):  # 18 MB each, all in progress at once
    done = subprocess.run(
      [sys.executable, '-c', FLAT, str(ROOT), str(tmp_path / str(count)), str(count)],
      capture_output=True,
      text=True,
      check=True,
    )
    peaks.append(int(done.stdout))
  assert peaks[1] - peaks[0] < 120, peaks
