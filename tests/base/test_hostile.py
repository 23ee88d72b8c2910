"""Files from others: refused in one line, whatever they try."""

import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from dreamerv3 import summarize
from dreamerv3.analysis.decoding import store
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.base import files, npz, regular, unpickle, yaml_file
from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid
from dreamerv3.data.metrics_log import MetricsLog
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.setup import config, rundir
from embodied.core.chunkfiles import ChunkFiles
from embodied.run import checkpoint

from . import hostile

HERE = pathlib.Path(__file__).parent


def test_hostile_pickles(tmp_path):
  # In a process of its own: the cases are made to crash one.
  code = [sys.executable, str(HERE / 'hostile.py'), str(tmp_path)]
  done = subprocess.run(code, capture_output=True, text=True, timeout=300)
  last = (tmp_path / 'last').read_text()
  assert done.returncode == 0, f'after {last}: {done.stderr[-2000:]}'
  results = json.loads(done.stdout)
  assert len(results) > 1000
  for case, found in results.items():
    harmless = case.startswith(hostile.HARMLESS)
    assert {*found} <= {'refused', *(['opened'] if harmless else [])}, (case, found)


def test_what_is_refused_is_not_built_by_numpy(tmp_path, monkeypatch):
  value = {'a': np.ones(2000), 'b': np.float32(1), 'c': np.arange(3)}
  path = files.save_pickle(tmp_path / 'x.pkl', value)

  def never(*args):
    raise AssertionError('called')

  monkeypatch.setattr('numpy._core.multiarray._reconstruct', never)
  monkeypatch.setattr('numpy._core.multiarray.scalar', never)
  assert unpickle.load(path)['b'] == 1


@pytest.mark.parametrize('shape', [(999, 8), (1001, 8), (8000,), (0,), (1000, -8)])
def test_scan_compares_a_large_array_with_its_shape_as_load_does(tmp_path, shape):
  code = hostile.array(
    hostile.number(shape), hostile.dtype(), hostile.raw_bytes(bytes(32_000))
  )
  path = tmp_path / 'x.pkl'
  path.write_bytes(hostile.whole(code))
  for read in (unpickle.load, unpickle.scan):
    if shape == (8000,):
      assert read(path).shape == shape
    else:
      with pytest.raises(UserError, match=r'x\.pkl is truncated or .* bytes|shape'):
        read(path)


def test_a_lack_of_memory_is_not_called_a_damaged_file(tmp_path, monkeypatch):
  path = files.save_pickle(tmp_path / 'x.pkl', {'a': np.ones(2000)})

  def full(*args):
    raise MemoryError

  monkeypatch.setattr(regular, 'fill', full)
  with pytest.raises(MemoryError):
    unpickle.load(path)


def special(folder, kind):
  """A path at which there is something else than a file."""
  path = folder / 'null.pkl'
  if kind == 'FIFO':
    os.mkfifo(path)
  elif kind == 'device':
    path.symlink_to('/dev/zero')
  elif kind == 'socket':
    with socket.socket(socket.AF_UNIX) as it:
      it.bind(str(path))
  elif kind == 'levels of symbolic links':
    path.symlink_to(path)
  else:
    path.mkdir()
  return path


@pytest.mark.parametrize(
  'read',
  [
    unpickle.load,
    unpickle.scan,
    npz.load,
    yaml_file.load,
    checkpoint.read,
    LinearDecoder.open,
    Results.open,
    store.load_decoders,
    Trajectories.open,
    lambda path: store.FitCheckpoint.resume(path, {}),
  ],
)
@pytest.mark.parametrize(
  'kind', ['FIFO', 'device', 'socket', 'levels of symbolic links', 'folder']
)
def test_what_is_no_file_is_refused_by_name_at_once(tmp_path, monkeypatch, read, kind):
  monkeypatch.chdir(tmp_path)  # a socket's path is short
  path = special(pathlib.Path(), kind)
  with pytest.raises((UserError, checkpoint.CheckpointError)) as error:
    read(path)
  assert 'null.pkl' in str(error.value)
  assert kind in str(error.value) or kind == 'folder'


def test_logs_that_are_no_files(tmp_path):
  os.mkfifo(tmp_path / 'metrics.jsonl')
  with pytest.raises(UserError, match='metrics.jsonl'):
    MetricsLog.open(tmp_path)
  with pytest.raises(UserError, match='no name of a file'):
    unpickle.load('a\0b')


def bomb(member, content, **changes):
  """An npz of one member, whose zip entry says something else."""
  raw = io.BytesIO()
  with zipfile.ZipFile(raw, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr(member, content)
    for key, value in changes.items():
      setattr(archive.filelist[0], key, value)
  return raw.getvalue()


def npy(header, data=b''):
  text = header.encode()
  return b'\x93NUMPY\x01\x00' + len(text).to_bytes(2, 'little') + text + data


def described(descr="'<f4'", shape='(2,)'):
  return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"


@pytest.mark.parametrize(
  ('raw', 'why'),
  [
    (b'', 'zip'),
    (b'PK\x03\x04' + bytes(100), 'zip'),
    (bomb('x.npy', b'', file_size=1 << 40), 'promises'),
    (bomb('x.npy', npy(described("'|O'"), bytes(16))), 'dtype'),
    (bomb('x.npy', npy(described("'|O8'"), bytes(16))), 'dtype'),
    (bomb('x.npy', npy(described("[('a', '<f4')]"), bytes(8))), 'header'),
    (bomb('x.npy', npy(described("('<f4', (2,))"), bytes(8))), 'header'),
    (bomb('x.npy', npy(described(shape='(1000, -8)'), bytes(8))), 'header'),
    (bomb('x.npy', npy(described(shape='(100000000000,)'), bytes(8))), 'needs'),
    (bomb('x.npy', npy(described(shape=f'({10**30}, 2)'), bytes(8))), 'shape'),
    (bomb('x.npy', npy(described(shape='(1,)'), bytes(8))), 'needs'),
    (bomb('x.npy', npy('(' * 3000)), 'header'),
    (bomb('x.npy', npy('__import__("os")')), 'header'),
    (bomb('x.npy', npy(described("'|b1'"), b'\2\3')), 'bool'),
    (bomb('x.npy', npy(described(), bytes(8)), flag_bits=1), 'no array'),
    (bomb('x.npy', npy(described(), bytes(8)), compress_type=14), 'packed'),
    (bomb('x.txt', b'text'), 'no array'),
  ],
)
def test_hostile_chunks(tmp_path, raw, why):
  path = tmp_path / 'x.npz'
  path.write_bytes(raw)
  with pytest.raises(UserError, match=rf'x\.npz \(.*{why}'):
    npz.load(path)


def test_a_chunk_is_opened_within_a_limit(tmp_path, monkeypatch):
  path = tmp_path / 'x.npz'
  np.savez_compressed(path, a=np.zeros(50_000), b=np.arange(3))
  assert npz.load(path)['b'].tolist() == [0, 1, 2]
  monkeypatch.setattr(npz, 'MOST_BYTES', 300_000)
  with pytest.raises(UserError, match='at most 300000'):
    npz.load(path)


@pytest.mark.parametrize(
  ('text', 'why'),
  [
    ('a: &a [x, x]\n' + ''.join(f'b{i}: *a\n' for i in range(2000)), 'aliases'),
    ('a: &a {b: 1}\nc:\n  <<: *a\n', 'merge key'),
    ('[' * 1000, 'levels|depth|Cannot read'),
    ('a: ' + 'x' * 20_000, 'characters'),
    ('a: 0x' + 'f' * 100, '64 bits'),
    ('a: !!python/object/apply:os.system [true]', 'Cannot read'),
    ('a: 2026-13-45', 'damaged'),
    ('a: &a [*a]', 'holds itself'),
    ('{a: 1, a: 2}', 'Cannot read'),
    ('a: 1\n---\nb: 2\n', 'Cannot read'),
    ('? [a, b]\n: 1\n? {c: d}\n: 2\n', 'damaged|Cannot read'),
    ('- a', 'expected the settings'),
    ('a: 1\n' * 300_000, 'more than'),
    ('a: \0', 'Cannot read'),
  ],
)
def test_hostile_settings(tmp_path, text, why):
  path = tmp_path / 'config.yaml'
  path.write_text(text)
  with pytest.raises(UserError, match=why) as error:
    rundir.read_saved(path)
  assert 'config.yaml' in str(error.value)
  assert '\n' not in str(error.value)


def test_billions_of_values_in_a_few_lines_of_settings(tmp_path):
  lines = ['a0: &a0 [x, x]']
  lines += [f'a{i}: &a{i} [*a{i - 1}, *a{i - 1}]' for i in range(1, 31)]
  (tmp_path / 'config.yaml').write_text('\n'.join(lines))
  with pytest.raises(UserError, match=r'config\.yaml .* shared so often'):
    rundir.read_saved(tmp_path / 'config.yaml')


def test_numbers_that_no_setting_has():
  for value in (float('inf'), float('nan'), 2.5, 'x', [1]):
    assert not rundir.fits(value, 3)
  assert not rundir.fits((1,), ())
  assert rundir.fits((), ())


@pytest.mark.parametrize(
  'name', ['../x.pkl', '/etc/passwd', 'a/b.pkl', '..', '', 'a\0b', 3, None]
)
def test_a_list_of_decoders_stays_in_its_folder(tmp_path, name):
  folder = files.make_folder(tmp_path / 'layer_decoders')
  made = LinearDecoder(np.zeros((3, 2), 'f4'), np.arange(2), Grid(4, 3), 'a')
  files.save_pickle(tmp_path / 'x.pkl', made.to_dict())
  files.save_pickle(folder / 'manifest.pkl', {'layer_files': {'a': name}})
  with pytest.raises(UserError, match=r'manifest\.pkl is damaged'):
    store.load_decoders(folder)


def test_a_decoder_of_a_world_that_fits_into_no_memory(tmp_path):
  made = LinearDecoder(np.zeros((3, 2), 'f4'), np.arange(2), Grid(4, 3), 'a')
  content = made.to_dict()
  content['metadata'] |= {'width': 10**9}
  path = files.save_pickle(tmp_path / 'x.pkl', content)
  with pytest.raises(UserError, match=r'x\.pkl'):
    LinearDecoder.open(path)


CHUNK = '20260101T000000F000000-' + 'a' * 22 + '-' + '0' * 22 + '-5.npz'


@pytest.mark.parametrize(
  'changes',
  [
    {'file': '../victim.npz'},
    {'file': '/victim.npz'},
    {'file': 'victim.npz'},
    {'patches': ['../victim.npz']},
    {'patches': ['updates/../../victim.npz']},
    {'length': 10**12},
  ],
)
def test_a_state_of_the_replay_names_files_of_the_replay_alone(tmp_path, changes):
  record = {'file': CHUNK, 'patches': [], 'length': 5, 'uuid': 'a' * 22}
  replay = ChunkFiles(tmp_path / 'replay')
  replay.adopt([record])
  with pytest.raises(ValueError, match='expected files of a replay'):
    replay.adopt([record | changes])


def test_leftovers_of_a_killed_save_go(tmp_path):
  replay = ChunkFiles(tmp_path / 'replay')
  for name in (f'.{CHUNK}.tmp', f'.{CHUNK}.0123abcd.tmp', 'updates/.x-3.npz.tmp'):
    path = tmp_path / 'replay' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'half')
  (tmp_path / 'replay' / '.notes.tmp').touch()
  replay.write([])
  left = [x.name for x in (tmp_path / 'replay').rglob('*') if x.is_file()]
  assert left == ['.notes.tmp']


def test_patches_of_another_chunk_are_left_out(tmp_path, capsys):
  replay = ChunkFiles(tmp_path)
  (tmp_path / 'updates').mkdir()
  patch = f'updates/{"a" * 22}-3.npz'
  np.savez(tmp_path / CHUNK, a=np.zeros((5, 2)), b=np.ones(5))
  np.savez(tmp_path / patch, a=np.zeros((5, 3)), c=np.ones(5))
  (data,) = replay.read([{'file': CHUNK, 'patches': [patch], 'length': 5}])
  assert data is not None
  assert sorted(data) == ['a', 'b']
  assert 'not of' in capsys.readouterr().err


@pytest.mark.parametrize('text', ['../elsewhere', '/', 'a/b', '..', ''])
def test_latest_names_a_folder_beside_it(tmp_path, text):
  (tmp_path / 'latest').write_text(text)
  with pytest.raises(checkpoint.CheckpointError, match='latest'):
    checkpoint.find(tmp_path)


@pytest.mark.parametrize('step', ['x', -3, [1], 1.5, None])
def test_steps_that_are_none(tmp_path, step):
  files.save_pickle(tmp_path / 'step.pkl', step)
  with pytest.raises(checkpoint.CheckpointError, match=r'step\.pkl'):
    checkpoint.step_of(tmp_path)


def test_settings_of_another_form_stop_a_resumed_run_in_one_line(tmp_path):
  settled = config.stack(config.read_blocks(), {'logdir': [str(tmp_path)]})
  rundir.save(tmp_path / 'config.yaml', settled.update({'replay_context': 1}))
  text = (tmp_path / 'config.yaml').read_text()
  changed = text.replace('replay_context: 1\n', 'replay_context: [x]\n')
  assert changed != text
  (tmp_path / 'config.yaml').write_text(changed)
  files.make_folder(tmp_path / 'ckpt')
  (tmp_path / 'ckpt' / 'latest').touch()
  with (
    pytest.raises(UserError, match=r'config\.yaml is damaged'),
    rundir.training(settled),
  ):
    pass


def test_tables_that_are_no_files(tmp_path):
  os.mkfifo(tmp_path / 'summary.csv')
  with pytest.raises(UserError, match='FIFO'):
    list(summarize.decoding(tmp_path / 'summary.csv'))
