"""A file of another form is one line that names it, never a traceback."""

import numpy as np
import pytest

from dreamerv3.analysis.decoding import store
from dreamerv3.analysis.decoding.findings import Findings
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError, reading
from dreamerv3.data.grid import Grid
from dreamerv3.data.metrics_log import MetricsLog
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.recording.plan import expected_length
from tests.analysis import planted_runs


def refuses(read, path, content):
  files.save_pickle(path, content)
  with pytest.raises(UserError) as error:
    read(path)
  assert path.stem in str(error.value)
  assert '\n' not in str(error.value)


def decoder():
  made = LinearDecoder(np.zeros((3, 2), 'f4'), np.arange(2), Grid(4, 3), 'a')
  return made.to_dict()


def about(**changes):
  content = decoder()
  content['metadata'] |= changes
  return content


@pytest.mark.parametrize(
  'content',
  [
    [1, 2],
    {},
    {'state_dict': 3},
    {**decoder(), 'classes': 'x'},
    {**decoder(), 'classes': np.arange(5)},
    {**decoder(), 'metadata': None},
    about(width='x'),
    about(held_out=3),
    about(world=3),
    about(trained_on=3),
    about(trained_on={'weights': 'a'}),
    about(held_out={'visits': 'x'}),
    about(held_out={'visits': np.ones(5)}),
  ],
)
def test_decoders(tmp_path, content):
  refuses(LinearDecoder.open, tmp_path / 'classifier.pkl', content)


@pytest.mark.parametrize('content', [[1], {}, {'layer_files': 3}])
def test_lists_of_decoders(tmp_path, content):
  def read(path):
    store.load_decoders(path.parent)

  refuses(read, tmp_path / 'manifest.pkl', content)


@pytest.mark.parametrize(
  'content',
  [
    [1],
    {'fingerprint': 3, 'results': {}},
    {'fingerprint': {}},
    {'fingerprint': {}, 'results': 3},
    {'fingerprint': {}, 'results': {'a': 3}},
    {'fingerprint': {}, 'results': {'a': {'grid': (2, 2), 'fits': ()}}},
  ],
)
def test_checkpoints(tmp_path, content):
  def read(path):
    store.FitCheckpoint.resume(path, {})

  refuses(read, tmp_path / 'checkpoint.pkl', content)


DECODED = planted_runs.decoding(planted_runs.PlannedRun(), np.random.default_rng(0))


@pytest.mark.parametrize(
  ('key', 'value'),
  [
    ('fold_visits', [[1]]),
    ('fold_visits', np.ones((0, 10, 10))),
    ('fold_visits', np.ones((1, 10, 9))),
    ('fold', np.ones(200, int)),
    ('pos', np.full((200, 2), -1)),
    ('pred', np.full((200, 2), 10)),
    ('errors', np.array(['x'] * 200)),
    ('proba', np.ones((1, 10, 10))),
    ('example_rows', np.array([[0, 0], [0, 0]])),
    ('summary', [{'layer': 'a', 'units': 1, 'mean': '3'}]),
  ],
)
def test_decoding_results(tmp_path, key, value):
  path = tmp_path / 'decode_results.pkl'
  results = dict(DECODED['results'])
  if key != 'summary':
    results['dyn/deter'] = results['dyn/deter'] | {key: value}
  row = {'layer': 'a', 'units': 1, 'mean': 3.0, 'episodes': 8, 'timesteps': 200}
  content = {'grid': (10, 10), 'ordered': ['dyn/deter'], 'n_samples': 200}
  content |= {'summary': [row], 'results': results}
  files.save_pickle(path, content | {'summary': [row], 'results': DECODED['results']})
  assert Findings.open(path).results
  refuses(Findings.open, path, content | ({key: value} if key in content else {}))


@pytest.mark.parametrize(
  'content',
  [
    [1],
    {'metadata': 3, 'layers': {}},
    {'metadata': {}, 'layers': 3},
    {'metadata': {}, 'layers': {'a': 3}},
    {'metadata': {'thresholds': 3}, 'layers': {}},
    {'metadata': {'thresholds': {'alpha': 'x'}}, 'layers': {}},
    {
      'metadata': {},
      'layers': {'a': {'tuning_curves': np.ones((2, 4, 3)), 'metrics': {}}},
    },
  ],
)
def test_tuning_results(tmp_path, content):
  refuses(Results.open, tmp_path / 'tuning_results.pkl', content)


@pytest.mark.parametrize(
  'changes',
  [
    {'area': 3},
    {'area': ('x', 'y')},
    {'world_map': 3},
    {'materials': 3},
    {'fingerprint': 3},
    {'settings': 3},
    {'format': 'x'},
    {'settings': {'eval_trajectory': {'num_episodes': 'x'}}},
  ],
)
def test_metadata(recording, tmp_path, changes):
  for path in recording.glob('episode_*.pkl'):
    (tmp_path / path.name).symlink_to(path)
  whole = unpickle.load(recording / 'metadata.pkl')
  files.save_pickle(tmp_path / 'metadata.pkl', {**whole, **changes})
  with pytest.raises(UserError, match='damaged or no recording|area|Grid'):
    Trajectories.open(tmp_path)


def damage(key, change):
  def apply(episode):
    episode[key] = change(episode[key])

  return apply


@pytest.mark.parametrize(
  ('change', 'match'),
  [
    (damage('player_pos', lambda x: x + 0.5), 'expected whole tiles'),
    (damage('player_pos', lambda x: 'x'), 'player_pos has shape|damaged'),
    (damage('player_pos', lambda x: x.astype(str)), 'damaged'),
    (damage('player_facing', lambda x: x[:, :1]), r'facing has shape .*\(T, 2'),
    (damage('player_facing', lambda x: x * 2), 'expected -1, 0 or 1'),
    (damage('player_facing', lambda x: x * np.nan), 'facing has nan'),
    (damage('act/dyn/deter', lambda x: x + 1j), 'expected real numbers'),
    (damage('act/dyn/deter', lambda x: x.astype(str)), 'expected real'),
    (damage('episode', lambda x: 'first'), 'damaged or no recorded episode'),
  ],
)
def test_episodes(recording, tmp_path, change, match):
  (tmp_path / 'metadata.pkl').symlink_to(recording / 'metadata.pkl')
  episode = unpickle.load(recording / 'episode_001.pkl')
  change(episode)
  files.save_pickle(tmp_path / 'episode_001.pkl', episode)
  with pytest.raises(UserError, match=match) as error:
    Trajectories.open(tmp_path)
  assert 'episode_001.pkl' in str(error.value)


@pytest.mark.parametrize('read', [unpickle.load, unpickle.scan])
def test_a_pickle_that_holds_itself(tmp_path, read):
  loop: list[object] = []
  loop.append(loop)
  refuses(read, tmp_path / 'loop.pkl', loop)


def test_a_log_with_numbers_beyond_all_bounds(tmp_path):
  lines = ['{"step": 1, "episode/length": 5}']
  lines += ['{"step": 2, "episode/length": 1' + 400 * '0' + '}', '[' * 100_000]
  text = '\n'.join([*lines, '{"step": 3, "episode/length": [7]}', ''])
  (tmp_path / 'metrics.jsonl').write_text(text)
  log = MetricsLog.open(tmp_path)
  assert log.curve('episode/length')[1].tolist() == [5]
  assert '2 of 4 lines are unreadable' in log.notes[0]
  expected_length(tmp_path)


def test_our_own_errors_keep_their_words_and_get_the_path():
  for text, said in (('as it is', 'p.pkl: as it is'), ('no p.pkl', 'no p.pkl')):
    with pytest.raises(UserError, match=f'^{said}$'), reading('p.pkl', 'x'):
      raise UserError(text)
