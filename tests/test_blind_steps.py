"""The command blind_steps.py on planted codes that outlast sight for known steps."""

import csv

import numpy as np
import pytest

from dreamerv3 import blind_steps
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid
from dreamerv3.run_info import read_run_info
from tests import synthetic

GRID = Grid(12, 10)
KEEPS = 8  # steps without sight that the planted network knows its place for
LIMITS = (10, 20)


def fading(limit, keeps):
  """A place code that is right until `keeps` steps after sight, then noise."""

  def code(pos, facing, rng):
    places = synthetic.one_hot_places(pos, facing, rng)
    random = np.eye(GRID.size, dtype=np.float32)[rng.integers(GRID.size, size=len(pos))]
    late = np.arange(len(pos)) >= limit + keeps
    return np.where(late[:, None], random, places)

  return code


def frozen(limit):
  """A place code that stays where sight ended."""

  def code(pos, facing, rng):
    places = synthetic.one_hot_places(pos, facing, rng)
    places[limit:] = places[limit - 1]
    return places

  return code


def record(folder, code, observe='all', weights='mine', trained=True):
  synthetic.record(folder, {'dyn/deter': code}, episodes=10, length=64, turn=0.1)
  about = unpickle.load(folder / 'metadata.pkl')
  replay = {'observe': observe, 'perturb': 'none', 'episodes': [*range(1, 11)]}
  about |= {
    'trained': trained,
    'fingerprint': {'weights': weights},
    'settings': {'replay_activations': replay},
  }
  if weights != 'mine' or observe != 'all':
    about['replayed'] = {'weights': 'mine'}
  files.save_pickle(folder / 'metadata.pkl', about)
  return str(folder)


@pytest.fixture(scope='module')
def at(tmp_path_factory):
  """Recordings of a network that keeps its place and of one that never knew it."""
  at = tmp_path_factory.mktemp('blind')

  def nowhere(pos, facing, rng):
    return fading(0, 0)(pos, facing, rng)

  record(at / 'seen', synthetic.one_hot_places)
  record(at / 'untrained', nowhere, weights='new', trained=False)
  for n in LIMITS:
    record(at / f'dark{n}', fading(n, KEEPS), str(n))
    record(at / f'still{n}', frozen(n), str(n))
    record(at / f'untrained{n}', nowhere, str(n), 'new', False)
  record(at / 'other', fading(10, KEEPS), '10', 'others')
  record(at / 'dark1', fading(1, KEEPS), '1')
  visits = np.ones(GRID.shape, int)
  eye = 20 * np.eye(GRID.size, dtype=np.float32)
  made = LinearDecoder(eye, np.arange(GRID.size), GRID, 'dyn/deter', {'visits': visits})
  files.save_pickle(at / 'classifier_deter.pkl', made.to_dict())
  return at


def call(at, dark, *more, control=True):
  words = ['--data', str(at / 'seen'), '--from_model', str(at / 'classifier_deter.pkl')]
  words += ['--blind', *(str(at / f'{dark}{n}') for n in LIMITS), '--horizon', '20']
  if control:
    words += ['--control', str(at / 'untrained'), '--control_blind']
    words += [str(at / f'untrained{n}') for n in LIMITS]
    words += ['--control_model', str(at / 'classifier_deter.pkl')]
  blind_steps.main([*words, *more])


def test_the_planted_number_of_steps_is_found(at, tmp_path, capsys):
  call(at, 'dark', '--save', str(tmp_path))
  out = capsys.readouterr().out
  assert f'better than the best constant until step {KEEPS}' in out
  assert f'half of the lead gone at step {KEEPS + 1}; nearer than the place' in out
  assert 'untrained network: not better than the best constant on step 1' in out
  assert ', farther off (p 0.002)' in out
  with open(tmp_path / 'blind_steps.csv', newline='') as file:
    rows = list(csv.DictReader(file))
  error = np.array([float(x['blind']) for x in rows])
  assert len(rows) == 20
  assert (error[:KEEPS] == 0).all()
  assert (error[KEEPS:] > 2).all()
  assert all(float(x['sighted']) == 0 for x in rows)
  assert float(rows[5]['constant_low']) < float(rows[5]['constant'])
  (entry,) = read_run_info(tmp_path)
  assert entry.stage == 'blind_steps'
  assert len(entry.extra['verdicts']) == 1
  again = tmp_path / 'again'
  source = str(tmp_path / 'blind_results.pkl')
  blind_steps.main(['--from_pkl', source, '--save', str(again)])
  name = 'blind_steps.png'
  assert (again / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_network_that_follows_is_told_from_one_that_stands_still(
  at, tmp_path, capsys
):
  call(at, 'dark', '--save', str(tmp_path), '--horizon', str(KEEPS), control=False)
  assert ' steps; nearer than the place where sight ended.' in capsys.readouterr().out
  call(at, 'still', '--save', str(tmp_path), '--horizon', str(KEEPS), control=False)
  assert 'not shown to be nearer' in capsys.readouterr().out


@pytest.mark.parametrize(
  ('more', 'text'),
  [
    (['--blind', 'seen'], 'observe is all'),
    (['--blind', 'dark1'], 'observe is 1, .* N at least 2'),
    (['--data', 'dark10'], 'replay with observe 10'),
    (['--blind', 'other'], 'other weights'),
    (['--control_blind', 'untrained10'], 'other episodes or at other timesteps'),
    (['--control', 'seen'], 'is the recording of a trained network'),
    (['--horizon', '500'], 'No episode .* 500 steps'),
    (['--control_model', ''], 'go together'),
    (['--layer', 'enc/tokens'], "No layer '.enc/tokens.'"),
    (['--from_pkl', 'x'], 'only draws again'),
  ],
)
def test_mistakes_are_one_line(at, tmp_path, more, text):
  paths = [str(at / x) if (at / x).exists() and x else x for x in more]
  with pytest.raises(UserError, match=text):
    call(at, 'dark', '--save', str(tmp_path), *paths)
  assert not list(tmp_path.iterdir())
