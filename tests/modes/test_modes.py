"""A mode is no command of its own, and says which one it belongs to."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODES = {
  'modes/eval_trajectory.py': '--script eval_trajectory',
  'modes/dream_decode.py': '--script dream_decode',
  'modes/replay_activations.py': '--script replay_activations',
  'probing/player.py': 'docs/python.md',
  'recording/recorder.py': '--script eval_trajectory',
}


@pytest.mark.parametrize('path', MODES)
def test_a_file_run_as_a_command_names_the_right_one(path, tmp_path):
  done = subprocess.run(
    [sys.executable, str(ROOT / 'dreamerv3' / path), '--logdir', 'x'],
    capture_output=True,
    text=True,
    cwd=tmp_path,
  )
  assert done.returncode == 2
  (line,) = done.stderr.splitlines()
  assert 'no command' in line
  assert MODES[path] in line
