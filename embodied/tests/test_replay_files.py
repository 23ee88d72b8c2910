"""Replay files: their names, foreign, lost and broken ones, a full disk."""

import resource
import unittest.mock

import elements
import numpy as np
import pytest

from embodied.tests.counting import step_of
from embodied.tests.test_replay import check, fill, written
from embodied.tests.test_replay_save import make, names, restart


def test_files_have_the_names_and_keys_others_expect(tmp_path):
  replay = make(tmp_path)
  fill(replay, 20, workers=2)
  replay.save()()
  files = sorted(tmp_path.glob('*.npz'))
  assert len(files) == 6
  succs = {}
  for path in files:
    time, uuid, succ, length = path.stem.split('-')
    assert len(time) == 22
    assert time[8] == 'T'
    assert time[15] == 'F'
    with np.load(path, allow_pickle=False) as file:
      assert set(file.files) == {*step_of(0, 0), 'stepid'}
      assert all(len(file[k]) == int(length) for k in file.files)
      number = file['number']
      want = elements.UUID(uuid).value
      assert (file['stepid'][:, :16] == np.frombuffer(want, np.uint8)).all()
    assert (np.diff(number) == 1).all()
    succs[uuid] = (succ, int(number[0]), int(length))
  for succ, start, length in succs.values():
    if start + length < 20:
      assert succs[succ][1] == start + length
    else:
      assert succ == '0' * 22


def foreign_chunks(path, lengths, drop_latents=False):
  """Chunk files as the published program leaves them: cut at each save."""
  uuids = [elements.UUID() for _ in lengths]
  number = 0
  for i, length in enumerate(lengths):
    steps = [step_of(0, number + j) for j in range(length)]
    data: dict = {k: np.stack([x[k] for x in steps]) for k in steps[0]}
    succ = uuids[i + 1] if i + 1 < len(lengths) else elements.UUID(0)
    index = np.arange(length, dtype='>u4').view(np.uint8).reshape(-1, 4)
    prefix = np.tile(np.frombuffer(uuids[i].value, np.uint8), (length, 1))
    data['stepid'] = np.concatenate([prefix, index], 1)
    time = f'20260525T1200{i:02d}F000000'
    np.savez_compressed(path / f'{time}-{uuids[i]}-{succ}-{length}.npz', **data)
    number += length


def test_files_of_the_published_program_load_without_a_state(tmp_path):
  foreign_chunks(tmp_path, [8, 3, 1, 8, 2])
  replay = make(tmp_path)
  replay.load(None)
  assert len(replay) == 22 - 4
  batch = replay.sample(300)
  check(batch, 5)
  assert set(batch['number'][:, 0]) == set(range(18))
  written(replay, batch, 500)
  assert (replay.sample(9)['latent'] >= 500).all()
  fill(replay, 300, start=1000)
  replay.capacity = 20
  fill(replay, 1, start=1300)
  assert replay.sample(100)['number'].min() > 1000


def test_only_the_newest_files_are_read_up_to_capacity(tmp_path):
  foreign_chunks(tmp_path, [8] * 20)
  replay = make(tmp_path, capacity=20)
  replay.load(None)
  assert len(replay) == 20
  assert replay.stats()['chunks'] <= 4
  assert replay.sample(200)['number'].max() == 159
  assert len(names(tmp_path)) == 20
  replay.save()()
  assert len(names(tmp_path)) == 20  # What was not ours is still there.


def test_unreadable_files_are_skipped_with_a_notice(tmp_path, capsys):
  foreign_chunks(tmp_path, [8, 8, 8])
  broken = sorted(tmp_path.glob('*.npz'))[1]
  broken.write_bytes(broken.read_bytes()[:300])
  (tmp_path / 'notes.npz').write_bytes(b'not ours')
  replay = make(tmp_path)
  replay.load(None)
  notice = capsys.readouterr().err
  assert broken.name in notice
  assert 'notes.npz' in notice
  batch = replay.sample(100)
  check(batch, 5)
  assert set(batch['number'][:, 0]) == {0, 1, 2, 3, 16, 17, 18, 19}


def test_a_lost_file_takes_only_its_sequences(tmp_path, capsys):
  replay = make(tmp_path, online=True)
  fill(replay, 60, workers=2)
  state = replay.save()()
  lost = state['chunks'][4]
  (tmp_path / lost['file']).unlink()
  other = restart(replay, state, online=True)
  assert lost['file'] in capsys.readouterr().err
  assert len(other) == len(replay) - 8 - 4
  for _ in range(4):
    check(other.sample(50), 5)
  fill(other, 50, workers=2, start=60)
  check(other.sample(100), 5)


def test_a_lost_patch_takes_only_the_updates(tmp_path, capsys):
  replay = make(tmp_path)
  fill(replay, 24)
  replay.save()()
  written(replay, replay.sample(300), 1000)
  state = replay.save()()
  for path in tmp_path.glob('updates/*'):
    path.unlink()
  other = restart(replay, state)
  assert 'updates' in capsys.readouterr().err
  assert len(other) == len(replay)
  check(other.sample(20), 5)


def full_disk(limit):
  """Every file above `limit` bytes fails, as on a full disk or quota."""
  resource.setrlimit(
    resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
  )


def test_a_full_disk_is_a_clear_error_and_keeps_the_last_save(tmp_path):
  replay = make(tmp_path)
  fill(replay, 20)
  state = replay.save()()
  before = names(tmp_path)
  fill(replay, 30, start=20)
  soft = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
  full_disk(100)
  try:
    with pytest.raises(OSError, match=r'Cannot save the replay.*intact.*Free'):
      replay.save()()
  finally:
    full_disk(soft)
  assert names(tmp_path) == before
  assert len(restart(replay, state)) == 16
  # With room again, the same process goes on.
  assert len(restart(replay, replay.save()())) == 46


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
  (tmp_path / 'file').write_text('in the way')
  replay = make(tmp_path / 'file' / 'replay')
  fill(replay, 20)
  with pytest.raises(OSError, match='Cannot save the replay'):
    replay.save()()


def test_a_file_that_is_not_whole_has_no_name(tmp_path):
  replay = make(tmp_path)
  fill(replay, 20)

  def fail(file, data):
    file.write(b'PK')
    raise OSError(28, 'No space left on device')

  with (
    unittest.mock.patch('dreamerv3.base.npz.save', fail),
    pytest.raises(OSError, match='Cannot save the replay'),
  ):
    replay.save()()
  assert names(tmp_path) == []
