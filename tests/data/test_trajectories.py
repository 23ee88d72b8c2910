"""Trajectories: what they hold, what they refuse, what they cost."""

import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.data.trajectories import Trajectories
from tests import synthetic

OLD = pathlib.Path(__file__).parents[1] / 'fixtures' / 'recordings'


def edit(path, change):
  with open(path, 'rb') as file:
    content = pickle.load(file)
  change(content)
  files.save_pickle(path, content)


@pytest.fixture
def folder(tmp_path):
  codes = {'dyn/deter': synthetic.one_hot_places, 'enc/cnn0': synthetic.noise}
  return synthetic.record(tmp_path / 'run', codes, episodes=3)


def test_layers_and_rows_agree_with_the_files(recording):
  data = Trajectories.open(recording)
  assert list(data.layers().items()) == [
    ('enc/cnn0', 40),
    ('dyn/stoch', 12),
    ('dyn/deter', 120),
    ('pol/mlp/linear0', 6),
  ]
  samples = data.layer('dyn/deter')
  expected = []
  for path in sorted(recording.glob('episode_*.pkl')):
    with open(path, 'rb') as file:
      expected.append(pickle.load(file)['act/dyn/deter'][1:])
  assert np.array_equal(samples.X, np.concatenate(expected))
  assert samples.X.dtype == np.float32
  # One unit per tile: the activation says where the agent is.
  assert (samples.X.argmax(1) == data.grid.to_class(samples.pos)).all()
  assert samples.track.t.min() == 1


def test_a_notebook_shows_a_line_and_not_all_numbers(recording):
  data = Trajectories.open(recording)
  episode = data.episodes[0]
  assert repr(data) == (
    f'Trajectories({recording}: {len(data.episodes)} episodes, '
    f'{sum(map(len, data.episodes))} timesteps, 4 layers)'
  )
  assert repr(episode).startswith(f'Episode({episode.number} of {episode.path}: ')
  assert len(repr(data.metadata)) < 2000


def test_combined_is_deter_then_stoch(recording):
  data = Trajectories.open(recording)
  both = data.layer('combined').X
  parts = [data.layer(x).X for x in ('deter', 'stoch')]
  assert np.array_equal(both, np.concatenate(parts, 1))


def test_one_file_of_all_episodes_reads_the_same(recording, tmp_path):
  episodes = []
  for path in sorted(recording.glob('episode_*.pkl')):
    with open(path, 'rb') as file:
      episodes.append(pickle.load(file))
  with open(recording / 'metadata.pkl', 'rb') as file:
    metadata = pickle.load(file)
  whole = tmp_path / 'all_episodes.pkl'
  files.save_pickle(whole, {**metadata, 'episodes': episodes[::-1]})
  a, b = Trajectories.open(recording), Trajectories.open(tmp_path)
  for name in ('pol/mlp/linear0', 'dyn/deter'):
    assert np.array_equal(a.layer(name).X, b.layer(name).X)
  assert b.metadata.world_map is not None
  # Bare lists are the oldest form; they have no metadata.
  files.save_pickle(whole, episodes)
  with pytest.raises(UserError, match='give --area'):
    Trajectories.open(tmp_path)
  assert len(Trajectories.open(whole, area=(12, 10))) == len(a)


def test_old_recordings_open_and_say_what_they_lack():
  data = Trajectories.open(OLD, area=(64, 64))
  assert [x.number for x in data.episodes] == [1, 10]
  assert data.layers() == {'dyn/stoch': 128, 'dyn/deter': 512}
  text = '; '.join(data.lacks)
  for word in ('metadata', 'facing', 'achievements', 'only the layers'):
    assert word in text
  assert data.layer('stoch').X.sum(1).tolist() == [32.0] * len(data.track())
  with pytest.raises(UserError, match='give --area W H'):
    Trajectories.open(OLD)


def test_gaps_in_the_numbering_are_fine(folder):
  (folder / 'episode_002.pkl').unlink()
  assert [x.number for x in Trajectories.open(folder).episodes] == [1, 3]
  # The first ones are so by their numbers, beyond three digits too.
  (folder / 'episode_001.pkl').rename(folder / 'episode_999.pkl')
  (folder / 'episode_003.pkl').rename(folder / 'episode_1000.pkl')
  (first,) = Trajectories.open(folder, max_episodes=1).episodes
  assert first.path.name == 'episode_999.pkl'


def test_keep(folder):
  data = Trajectories.open(folder)
  sizes = [np.ptp(x.pos, 0).prod() for x in data.episodes]
  assert len(data.keep(sorted(sizes)[1])) == 2
  assert len(Trajectories.open(folder, max_episodes=1)) == 1
  with pytest.raises(UserError, match=r'--min_bbox 1000 leaves none of 3'):
    data.keep(1000)


def test_relative_to_spawn(folder):
  data = Trajectories.open(folder).relative_to_spawn()
  assert data.grid.shape == (23, 19)
  for episode in data.episodes:
    assert episode.pos[0].tolist() == [11, 9]
    data.grid.check(episode.pos)


@pytest.mark.parametrize(
  ('change', 'match'),
  [
    (lambda e: e.pop('player_pos'), 'no player_pos'),
    (
      lambda e: e.update({'act/dyn/deter': e['act/dyn/deter'][:-1]}),
      r'episode_002.pkl: act/dyn/deter has \d+ timesteps',
    ),
    (
      lambda e: e['achievements'].pop(),
      'episode_002.pkl: achievements has',
    ),
    (
      lambda e: e['player_pos'].__setitem__((3, 0), np.nan),
      'episode_002.pkl: player_pos holds NaN',
    ),
    (
      lambda e: e['player_pos'].__setitem__((3, 0), 99),
      r'episode_002.pkl: Position \[99, ',
    ),
    (
      lambda e: e.update({'player_pos': np.zeros((0, 2))}),
      'timesteps',
    ),
  ],
)
def test_damaged_episodes_are_named(folder, change, match):
  edit(folder / 'episode_002.pkl', change)
  with pytest.raises(UserError, match=match):
    Trajectories.open(folder)


def test_nan_activations_are_named(folder):
  path = folder / 'episode_003.pkl'
  edit(path, lambda e: e['act/dyn/deter'].__setitem__((5, 2), np.inf))
  data = Trajectories.open(folder)
  data.layer('enc/cnn0')
  with pytest.raises(UserError, match='episode_003.pkl: act/dyn/deter'):
    data.layer('dyn/deter')


def test_layers_of_other_networks_are_refused(folder):
  path = folder / 'episode_002.pkl'
  edit(path, lambda e: e.update({'act/enc/cnn0': e['act/enc/cnn0'][:, :3]}))
  with pytest.raises(UserError, match='recordings of different networks'):
    Trajectories.open(folder).layers()


def test_a_layer_without_units_is_none(folder):
  for path in folder.glob('episode_*.pkl'):
    edit(path, lambda e: e.update({'act/enc/cnn0': e['act/enc/cnn0'][:, :0]}))
  assert 'enc/cnn0' not in Trajectories.open(folder).layers()


def put_below(path, *names):
  for name in names:
    (path / name).mkdir(parents=True)
    (path / name / 'episode_001.pkl').touch()


@pytest.mark.parametrize(
  ('make', 'match'),
  [
    (lambda p: None, 'does not exist'),
    (lambda p: p.mkdir(), 'has no episodes; record some first'),
    (
      lambda p: put_below(p, 'trajectories', 'a'),
      r'take .*x/trajectories\.',
    ),
    (lambda p: put_below(p, 'more'), r'take .*x/more\.'),
    (lambda p: p.write_bytes(b''), 'truncated'),
  ],
)
def test_nothing_to_open(tmp_path, make, match):
  path = tmp_path / 'x'
  make(path)
  with pytest.raises(UserError, match=match):
    Trajectories.open(path)


def test_wrong_area_and_layer(folder):
  with pytest.raises(UserError, match=r'--area is \(64, 64\)'):
    Trajectories.open(folder, area=(64, 64))
  with pytest.raises(UserError, match='there are: enc/cnn0, dyn/deter'):
    Trajectories.open(folder).layer('pol/mlp/linear0')


def test_reading_a_small_layer_does_not_read_the_large_one(tmp_path):
  """Peak memory is that of the asked layer, not of the files."""
  codes = {
    'enc/cnn0': lambda p, f, r: np.ones((len(p), 20_000), np.float16),
    'dyn/deter': lambda p, f, r: np.ones((len(p), 500), np.float16),
  }
  folder = synthetic.record(tmp_path / 'run', codes, episodes=4, length=1000)
  size = sum(x.stat().st_size for x in folder.iterdir())
  assert size > 120e6
  code = (
    'import resource\n'
    'from dreamerv3.data.trajectories import Trajectories\n'
    'peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
    'before = peak()\n'
    f'data = Trajectories.open({str(folder)!r})\n'
    'X = data.layer("dyn/deter").X\n'
    'print((peak() - before) * 1024 - X.nbytes)\n'
  )
  root = pathlib.Path(__file__).parents[2]
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=root,
    capture_output=True,
    text=True,
    check=True,
  )
  assert int(done.stdout) < 25e6, done.stdout
