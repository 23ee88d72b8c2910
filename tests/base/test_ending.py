"""What the machine does not give is one line; printing fails no command."""

import errno
import os
import pathlib
import subprocess
import sys

import pytest

from dreamerv3.base import ending, errors, files, flags

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = """
import os, sys
from dreamerv3.base import files, flags
def main(argv):
  print('caf\\xe9 \\u2192')
  with files.atomic(sys.argv[1]) as file: file.write(b'done')
  print(os.fstat(1).st_mode and 'last')
flags.run(main)
"""


def program(path, redirect, **names):
  """A command with its output redirected by a shell; (code, output, errors)."""
  line = f'exec "{sys.executable}" -c "$CODE" "{path}" {redirect}'
  names = {**os.environ, 'CODE': PROGRAM, 'PYTHONPATH': str(ROOT), **names}
  done = subprocess.run(['bash', '-c', line], env=names, capture_output=True)
  assert b'Traceback' not in done.stderr, done.stderr
  assert b'Exception ignored' not in done.stderr, done.stderr
  return done.returncode, done.stdout, done.stderr


def test_an_output_that_knows_ascii_alone(tmp_path):
  for names in ({'PYTHONIOENCODING': 'ascii'}, {'LC_ALL': 'C', 'PYTHONUTF8': '0'}):
    code, out, _ = program(tmp_path / 'x', '', **names)
    assert code == 0
    assert out.startswith(b'caf')
    assert out.endswith(b'last\n')


@pytest.mark.parametrize('closed', ['>&-', '2>&-', '>&- 2>&-', '<&- >&- 2>&-'])
def test_an_output_that_is_closed(tmp_path, closed):
  code, _, _ = program(tmp_path / 'x', closed)
  assert code == 0
  assert (tmp_path / 'x').read_bytes() == b'done'  # and nothing that was printed


def test_a_folder_that_is_gone(tmp_path):
  (tmp_path / 'here').mkdir()
  gone = f'cd {tmp_path}/here; rmdir {tmp_path}/here'
  line = f'{gone}; exec "{sys.executable}" -c "$CODE" x'
  names = {**os.environ, 'CODE': PROGRAM, 'PYTHONPATH': str(ROOT)}
  done = subprocess.run(['bash', '-c', line], env=names, capture_output=True, text=True)
  assert done.returncode == 2, done.stderr
  assert 'The folder that this was called in is gone' in done.stderr
  assert done.stderr.count('\n') == 1


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full')
def test_an_output_on_a_full_disk(tmp_path):
  code, _, err = program(tmp_path / 'x', '> /dev/full')
  assert code == 1
  (line,) = err.decode().splitlines()
  assert 'Cannot write standard output (No space left on device)' in line
  assert 'run the same command again' in line


def test_a_reader_that_is_done(tmp_path):
  code, _, err = program(tmp_path / 'x', '| true')
  assert not err or code == 141


@pytest.mark.parametrize('number', [errno.EDQUOT, errno.EROFS, errno.EIO])
def test_what_to_do_is_in_the_line(number):
  error = OSError(number, os.strerror(number), '/run/x.pkl')
  assert ending.lacking(error)
  line = ending.describe(error)
  assert os.strerror(number) in line
  assert '/run/x.pkl' in line
  assert '\n' not in line
  assert not ending.lacking(OSError(errno.ENOENT, 'none'))


class Library:
  """Writes to a file and reports failures in its own words."""

  def save(self, file):
    try:
      file.write(bytes(1 << 20))
      file.flush()
    except OSError:
      raise RuntimeError('encoder error -2') from None


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full')
def test_a_library_that_hides_a_full_disk(tmp_path, monkeypatch):
  (tmp_path / 'x.png').write_bytes(b'old')

  class Full(files._Raw):
    def __init__(self, path, mode):
      super().__init__('/dev/full', mode)

  monkeypatch.setattr(files, '_Raw', Full)
  with (
    pytest.raises(OSError, match='No space') as error,
    files.atomic(tmp_path / 'x.png') as file,
  ):
    Library().save(file)
  assert error.value.filename == str(tmp_path / 'x.png')
  assert (tmp_path / 'x.png').read_bytes() == b'old'


def test_memory_that_has_run_out_is_one_line_and_no_damaged_file(capsys, monkeypatch):
  def full(argv):
    with errors.reading('x.pkl', 'recording'):
      raise MemoryError('Unable to allocate 9.1 TiB for an array')

  monkeypatch.setattr(sys, 'argv', ['x.py'])
  with pytest.raises(SystemExit) as caught:
    flags.run(full)
  said = capsys.readouterr().err
  assert caught.value.code == 1
  assert said.count('\n') == 1
  assert said.startswith('x.py: error: Out of memory (Unable to allocate 9.1 TiB')
  assert 'No file is damaged' in said
