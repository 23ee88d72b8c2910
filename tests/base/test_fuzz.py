"""Some seconds of bench/fuzz.py: wrong bytes open, or are refused in one line."""

import pathlib
import subprocess
import sys

FUZZ = pathlib.Path(__file__).parents[2] / 'bench' / 'fuzz.py'


def test_wrong_bytes_are_refused_or_harmless(tmp_path):
  # In a process of its own, since a wrong byte could crash one.
  code = [sys.executable, str(FUZZ), '--here', '--minutes', '0.1', '--seed', '1']
  done = subprocess.run(
    [*code, '--failures', str(tmp_path)], capture_output=True, text=True, timeout=300
  )
  kept = sorted(x.name for x in tmp_path.iterdir() if not x.name.endswith('-last'))
  assert done.returncode == 0, (kept, done.stdout[-500:], done.stderr[-1500:])
  lines = done.stdout.splitlines()
  assert len(lines) == 6
  for line in lines:
    kind, _, tried, _, refused, _, opened, _, failed = line.split()
    assert int(tried) == int(refused) + int(opened) > 5, line
    assert failed == '0', kind
