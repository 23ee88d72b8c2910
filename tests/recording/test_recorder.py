"""Recordings: whole or not there, continued, never mixed."""

import dataclasses

import numpy as np
import pytest

from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.recording import pickle_stream
from dreamerv3.recording.recorder import VALUES, Recorder
from tests.recording.recordings import COLUMNS, load, metadata, play, step

EPISODES = {1: 40, 2: 1, 3: 25}  # number: length


@pytest.fixture
def folder(tmp_path):
  """A recording of three episodes."""
  folder = tmp_path / 'trajectories'
  with Recorder(folder, metadata(), COLUMNS) as recorder:
    for number, length in EPISODES.items():
      play(recorder, number, length)
    recorder.flush()
    recorder.join()
  return folder


def test_keys_dtypes_and_shapes(folder):
  episode = load(folder / 'episode_001.pkl')
  T = EPISODES[1]
  shapes = {
    k: (v.dtype.name, v.shape) for k, v in episode.items() if isinstance(v, np.ndarray)
  }
  expected = {k: (dtype, (T, *shape)) for k, (dtype, shape) in VALUES.items()}
  expected |= {
    'image': ('uint8', (T, 4, 4, 3)),
    'act/enc/cnn0': ('float16', (T, 30)),
    'act/dyn/deter': ('float16', (T, 8)),
    'act/dyn/stoch': ('float16', (T, 6)),
    'act/val/value': ('float32', (T, 1)),
    'deter': ('float16', (T, 8)),
    'stoch': ('float16', (T, 2, 3)),
  }
  assert shapes == expected
  assert episode['deter'] is episode['act/dyn/deter']
  assert episode['length'] == T
  assert episode['episode'] == 1
  assert episode['total_reward'] == T - 1
  assert episode['seed'] == 0
  assert episode['final_achievements'] == {'wood': 3, 'drink': 0}
  assert [x['wood'] for x in episode['achievements'][8:12]] == [0, 0, 1, 1]
  names = ['dyn/deter', 'dyn/stoch', 'enc/cnn0', 'val/value']
  assert episode['layer_names'] == names


@pytest.mark.parametrize('number', EPISODES)
def test_values_are_those_given(folder, number):
  episode = load(folder / f'episode_{number:03d}.pkl')
  for t in range(EPISODES[number]):
    rows, values = step(number, t)
    half = rows['float16']
    assert (episode['image'][t] == rows['image']).all()
    assert (episode['act/enc/cnn0'][t] == half[:30]).all()
    assert (episode['act/dyn/deter'][t] == half[30:38]).all()
    assert (episode['stoch'][t].ravel() == half[38:]).all()
    assert (episode['act/val/value'][t] == rows['float32']).all()
    assert tuple(episode['player_pos'][t]) == values['player_pos']
    last = t == EPISODES[number] - 1
    assert episode['action'][t] == (0 if last else values['action'])


def test_the_reader_reads_both_forms(folder):
  alone = Trajectories.open(folder)
  joined = Trajectories.open(folder / 'all_episodes.pkl')
  assert alone.layers() == joined.layers()
  assert [len(x) for x in alone.episodes] == list(EPISODES.values())
  for name in alone.layers():
    assert (alone.layer(name).X == joined.layer(name).X).all()
  assert joined.metadata.area == (12, 10)


def test_continues_with_what_is_missing(folder):
  (folder / 'episode_002.pkl').unlink()
  before = (folder / 'episode_001.pkl').stat().st_mtime_ns
  stale = folder / '.episode_002.pkl.0123abcd.tmp'
  stale.write_bytes(b'half')
  with Recorder(folder, metadata(), COLUMNS) as recorder:
    assert recorder.missing(range(1, 5)) == [2, 4]
    assert not stale.exists()
    play(recorder, 2, 5)
    recorder.flush()
    recorder.join()
  assert (folder / 'episode_001.pkl').stat().st_mtime_ns == before
  joined = load(folder / 'all_episodes.pkl')['episodes']
  assert [x['length'] for x in joined] == [40, 5, 25]


def test_an_unfinished_recording_is_told_apart(tmp_path):
  def begin(count, first=1):
    asked = {'num_episodes': count, 'first_episode': first}
    known = metadata()
    known = dataclasses.replace(known, settings={'eval_trajectory': asked})
    with Recorder(tmp_path, known, COLUMNS) as recorder:
      for number in set(recorder.missing(range(first, first + 2))):
        play(recorder, number, 3)
    return Trajectories.open(tmp_path, max_episodes=1).lacks

  (line,) = (x for x in begin(60) if 'of 60' in x)
  assert line.startswith('2 of 60 episodes; the short ones come first')
  assert not any('episodes;' in x for x in begin(2))
  assert not any('episodes;' in x for x in begin(2, first=1001))
  assert any(x.startswith('2 of 3 episodes;') for x in begin(3, first=1001))


def test_numbers_may_begin_anywhere(folder):
  with Recorder(folder, metadata(), COLUMNS) as recorder:
    assert recorder.missing(range(3, 6)) == [4, 5]
    assert recorder.missing(range(1001, 1003)) == [1001, 1002]
    play(recorder, 1001, 5)
    recorder.flush()
    assert recorder.missing(range(1001, 1003)) == [1002]
    recorder.join()
  joined = load(folder / 'all_episodes.pkl')['episodes']
  assert [x['episode'] for x in joined] == [1, 2, 3, 1001]


def test_nothing_is_rewritten_when_nothing_is_missing(folder):
  times = {x: x.stat().st_mtime_ns for x in folder.glob('*.pkl')}
  with Recorder(folder, metadata(), COLUMNS) as recorder:
    assert recorder.missing(range(1, 4)) == []
    recorder.flush()
    recorder.join()
  assert times == {x: x.stat().st_mtime_ns for x in folder.glob('*.pkl')}


def test_a_folder_says_what_is_in_it_before_an_episode_is(tmp_path, monkeypatch):
  there, write = [], pickle_stream.write_dict

  def watched(file, items):
    there.append([x.name for x in tmp_path.glob('*.pkl')])
    write(file, items)

  monkeypatch.setattr(pickle_stream, 'write_dict', watched)
  with Recorder(tmp_path, metadata(), COLUMNS) as recorder:
    play(recorder, 1, 3)
  assert there == [['metadata.pkl']]


def test_unfinished_episodes_leave_nothing(tmp_path):
  with Recorder(tmp_path / 'r', metadata(), COLUMNS) as recorder:
    writing = recorder.begin(1)
    writing.add(*step(1, 0))
  assert not (tmp_path / 'r').exists()


def test_what_was_begun_without_an_episode_is_in_nobodys_way(tmp_path):
  with Recorder(tmp_path, metadata(), COLUMNS) as recorder:
    recorder.begin(1).add(*step(1, 0))  # killed before its end
    assert not (tmp_path / 'metadata.pkl').exists()
  # As programs before this one left it.
  files.save_pickle(tmp_path / 'metadata.pkl', metadata().to_dict())
  with Recorder(tmp_path, metadata(seed=3), COLUMNS) as recorder:
    play(recorder, 1, 3)
    recorder.flush()
    assert load(tmp_path / 'metadata.pkl')['fingerprint']['seed'] == 3
  with pytest.raises(UserError, match='seed 3 there'):
    Recorder(tmp_path, metadata(), COLUMNS)


def test_another_recording_is_refused_with_the_difference(folder):
  before = {x.name: x.read_bytes() for x in folder.iterdir()}
  with pytest.raises(UserError, match='seed 0 there, 3 now') as error:
    Recorder(folder, metadata(seed=3, extra=True), COLUMNS)
  assert 'extra None there, True now' in str(error.value)
  assert 'weights' not in str(error.value)
  assert before == {x.name: x.read_bytes() for x in folder.iterdir()}


def test_a_recording_of_an_earlier_checkpoint_says_so(tmp_path):
  def at(step, **changes):
    known = metadata(**changes)
    extra = {**known.extra, 'checkpoint_step': step}
    return dataclasses.replace(known, extra=extra)

  with Recorder(tmp_path, at(900), COLUMNS) as recorder:
    play(recorder, 1, 3)
  with pytest.raises(UserError, match='at step 900 .* run is at step 1308 now'):
    Recorder(tmp_path, at(1308, weights='new'), COLUMNS)
  for other in (at(900, weights='new'), at(1308, weights='new', seed=3)):
    with pytest.raises(UserError, match='weights abc there, new now'):
      Recorder(tmp_path, other, COLUMNS)


def test_a_replay_and_a_recording_never_share_a_folder(folder):
  replay = metadata(**{'replay_activations.source': 'abc'})
  with pytest.raises(UserError, match='acts itself, and this is a replay'):
    Recorder(folder, replay, COLUMNS)


@pytest.mark.parametrize('content', [{'area': (3, 3)}, [1]])
def test_a_foreign_recording_is_refused(tmp_path, content):
  files.save_pickle(tmp_path / 'metadata.pkl', content)
  with pytest.raises(UserError, match='another program'):
    Recorder(tmp_path, metadata(), COLUMNS)


def test_episodes_without_metadata_are_refused(folder):
  (folder / 'metadata.pkl').unlink()
  with pytest.raises(UserError, match='without metadata'):
    Recorder(folder, metadata(), COLUMNS)


def test_a_damaged_episode_is_named(folder):
  path = folder / 'episode_003.pkl'
  path.write_bytes(path.read_bytes()[:-50])
  with (
    Recorder(folder, metadata(), COLUMNS) as recorder,
    pytest.raises(UserError, match=r'episode_003\.pkl is truncated'),
  ):
    recorder.missing(range(1, 4))
