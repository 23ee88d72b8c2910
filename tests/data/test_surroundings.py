"""What is around the player: as recorded, or as far as the map tells."""

import numpy as np
import pytest

from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError
from dreamerv3.data.surroundings import crop
from dreamerv3.data.trajectories import Trajectories
from tests import synthetic

WALLS = ((3, 4), (7, 2))


@pytest.fixture
def folder(tmp_path):
  codes = {'dyn/deter': synthetic.one_hot_places}
  tiles = synthetic.world(walls=WALLS)
  return synthetic.record(tmp_path / 'run', codes, episodes=3, tiles=tiles)


def edit(path, change):
  content = unpickle.load(path)
  change(content)
  files.save_pickle(path, content)


def drop(episode):
  del episode['view_materials'], episode['view_objects']


def test_a_square_of_a_map_is_indexed_as_the_map():
  tiles = np.arange(1, 121, dtype=np.uint8).reshape(12, 10)
  pos = np.array([(0, 0), (5, 6), (11, 9)])
  found = crop(tiles, pos)
  assert found.dtype == np.uint8
  for square, (x, y) in zip(found, pos, strict=True):
    for i, j in np.ndindex(9, 9):
      a, b = x + i - 4, y + j - 4
      inside = 0 <= a < 12 and 0 <= b < 10
      assert square[i, j] == (tiles[a, b] if inside else 0)


def test_the_recorded_squares_are_in_step_with_the_track(folder):
  path = folder / 'episode_002.pkl'
  edit(path, lambda e: e['view_materials'].__setitem__((5, 5, 4), 6))
  data = Trajectories.open(folder)
  assert not data.lacks
  found, track = data.surroundings(), data.track()
  assert len(found) == len(track)
  assert found.recorded.all()
  assert found.objects is not None
  assert (found.objects[:, 4, 4] == 1).all()
  assert data.metadata.world_map is not None
  differs = (found.materials != crop(data.metadata.world_map, track.pos)).any((1, 2))
  (row,) = np.flatnonzero(differs)
  assert (track.episode[row], track.t[row]) == (1, 5)


def test_older_recordings_take_the_map_and_say_so(folder):
  edit(folder / 'episode_002.pkl', drop)
  data = Trajectories.open(folder)
  assert data.lacks == (
    'no surroundings (taken from the map as it began) in 1 of 3 files',
  )
  found, track = data.surroundings(), data.track()
  assert (found.recorded == (track.episode != 1)).all()
  assert found.objects is None
  assert data.metadata.world_map is not None
  assert (found.materials == crop(data.metadata.world_map, track.pos)).all()


def test_without_a_map_there_is_nothing_to_take(folder):
  relative = Trajectories.open(folder).relative_to_spawn()
  assert relative.surroundings().recorded.all()
  for path in folder.glob('episode_*.pkl'):
    edit(path, drop)
  relative = Trajectories.open(folder).relative_to_spawn()
  with pytest.raises(UserError, match='record it again'):
    relative.surroundings()


def test_squares_of_another_size_are_refused(folder):
  for path in folder.glob('episode_*.pkl'):
    edit(path, lambda e: e.update(view_materials=e['view_materials'][:, 1:]))
  data = Trajectories.open(folder)
  with pytest.raises(UserError, match=r'expected uint8 \(\d+, 9, 9\)'):
    data.surroundings()
