"""What is shown of an episode at each of its steps."""

import numpy as np
import pytest

from dreamerv3.base import files, unpickle
from dreamerv3.dashboard_page import episodes, worlds
from dreamerv3.dashboard_page.episodes import ShownEpisode
from dreamerv3.data.trajectories import Trajectories
from tests.dashboard_page import planted


@pytest.fixture
def data(tmp_path):
  return Trajectories.open(planted.recording(tmp_path / 'trajectories'))


def test_endings_are_told_as_far_as_they_are_known(data):
  rows = episodes.summaries(data)
  assert [x.ending for x in rows] == ['hunger and lava', 'alive', 'alive']
  assert rows[0].length == len(data.episodes[0])
  path = data.episodes[0].path
  for lost in ('injury', 'vital_health'):
    files.save_pickle(path, {k: v for k, v in unpickle.load(path).items() if k != lost})
    again = Trajectories.open(data.path)
    assert episodes.ending(again.episodes[0], again.metadata) == 'unknown'


def test_a_step_has_its_frame_its_map_and_its_words(data):
  episode = data.episodes[0]
  shown = ShownEpisode.of(episode, data.metadata)
  assert (shown.view(7) == episode.read('image')[7]).all()
  assert shown.map(0).shape == (10 * 32, 12 * 32, 3)
  assert (shown.map(1) != shown.map(20)).any()
  last = len(episode) - 1
  assert shown.action(last) == 'end of the episode'
  assert shown.action(0) == shown.actions[0]
  assert {'reward', 'value', 'health', 'food'} == shown.lines.keys()
  assert shown.unlocked == {'collect_wood': 20}


def test_without_a_map_tiles_are_plain(data):
  metadata = files_without_map(data.metadata)
  shown = ShownEpisode.of(data.episodes[0], metadata)
  assert len(np.unique(shown.scene.image)) == 2
  assert shown.scene.tiles == (12, 10)


def files_without_map(metadata):
  return type(metadata)(area=metadata.area)


def test_a_damaged_recording_is_listed_as_such(tmp_path):
  run = planted.run(tmp_path / 'run')
  folder = planted.recording(run / 'dashboard' / 'abc' / 'trajectories', 1)
  (folder / 'metadata.pkl').write_bytes(b'no pickle')
  planted.recording(run / 'trajectories', 2)
  found = episodes.recordings(run, worlds.own_settings(run))
  assert [x.label for x in found] == [
    'abc, damaged: 1 episodes',
    'trajectories: 2 episodes',
  ]
