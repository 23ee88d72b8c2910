"""The command manifold_analysis.py, as users start it."""

import csv
import dataclasses
import pickle

import numpy as np
import pytest

from dreamerv3 import manifold_analysis
from dreamerv3.base.errors import UserError
from dreamerv3.plots import manifold
from dreamerv3.run_info import read_run_info
from tests import synthetic

FEW = ('--max_wake_samples', '300', '--n_shuffles', '30', '--n_boot', '50')


@pytest.fixture(scope='module')
def results(recording, tmp_path_factory):
  """Results of a place code and of noise; the control is the same recording."""
  save = tmp_path_factory.mktemp('manifold')
  rng = np.random.default_rng(0)
  with open(recording / 'episode_001.pkl', 'rb') as file:
    units = pickle.load(file)['act/dyn/deter'].shape[1]
  dreams = rng.random((6, 5, units)).astype(np.float16)
  valid = np.ones((6, 6), bool)
  valid[0, 3:] = False
  path = save / 'dream_results.pkl'
  path.write_bytes(pickle.dumps({'replay_deter': dreams, 'valid': valid}))
  words = ['--data', str(recording), '--control', str(recording), '--save', str(save)]
  words += ['--layers', 'deter', 'enc/*', '--dream_data', str(path)]
  manifold_analysis.main([*words, *FEW])
  return save


def rows_of(save):
  with open(save / 'manifold_summary.csv', newline='') as file:
    return {x['layer']: x for x in csv.DictReader(file)}


def test_a_place_code_is_found_and_noise_is_not(results):
  rows = rows_of(results)
  place, noise = rows['dyn/deter'], rows['enc/cnn0']
  assert float(place['srsa_p']) < 0.05 < float(noise['srsa_p'])
  assert float(place['srsa']) > float(noise['srsa']) + 0.05
  # A recording beside itself is the same in every draw.
  assert place['paired'] == 'True'
  assert float(place['srsa_gain']) == float(place['srsa_gain_high']) == 0
  # Of exact place cells all neighbours are equal, which tell no dimension.
  same = dict.fromkeys(('srsa', 'partial', 'ratio'), place) | {'intrinsic': noise}
  for name, row in same.items():
    assert float(row[f'{name}_gain_low']) == float(row[f'{name}_gain']) == 0
    assert float(row[f'{name}_gain_p']) == 1
    assert row[f'control_{name}_low'] == row[f'{name}_low']
  assert float(place['sw_distance']) > 0
  assert noise['sw_distance'] == 'nan'
  verdicts = read_run_info(results)[-1].extra['verdicts']
  assert sum('near in the code, more than' in x for x in verdicts) == 1


def test_every_figure_is_there_and_is_drawn_again(results, tmp_path):
  kinds = ('srsa', 'hillfit', 'isomap_position')
  expected = {f'{x}_{k}.png' for x in ('dyn_deter', 'enc_cnn0') for k in kinds}
  expected |= {f'dyn_deter_{k}.png' for k in ('swdist', 'sw_over_time')}
  expected |= {'dyn_deter_isomap_wakedream.png', 'manifold_summary.png'}
  assert {x.name for x in results.glob('*.png')} == expected
  source = str(results / 'manifold_results.pkl')
  manifold_analysis.main(['--from_pkl', source, '--save', str(tmp_path)])
  assert {x.name for x in tmp_path.glob('*.png')} == expected
  for path in tmp_path.glob('*.png'):
    assert path.read_bytes() == (results / path.name).read_bytes()


def test_trained_and_control_share_their_scales(results):
  (found, *_) = manifold_analysis.reopen(results / 'manifold_results.pkl')
  assert found.control is not None
  wider = dataclasses.replace(found.control, widest=2 * found.geometry.widest)
  figure = manifold.srsa(dataclasses.replace(found, control=wider))
  first, second = (x for x in figure.axes if x.get_title())
  assert first.get_ylim() == second.get_ylim() == (0, wider.widest)
  assert first.collections[0].get_clim() == second.collections[0].get_clim()


@pytest.fixture(scope='module')
def one_episode(tmp_path_factory):
  folder = tmp_path_factory.mktemp('few') / 'one'
  return synthetic.record(folder, {'dyn/deter': synthetic.noise}, 1)


@pytest.mark.parametrize(
  ('words', 'text'),
  [
    ([], 'Give --data'),
    (['--from_pkl', 'x', '--n_boot', '9'], 'leave out --n_boot'),
    (
      ['--data', 'x', '--no_isomap', '--n_neighbors', '9'],
      '--n_neighbors would do nothing with --no_isomap',
    ),
    (['--data', '{rec}', '--dream_data', 'y', '--layers', 'enc'], 'dyn/deter'),
    (['--data', 'x', '--max_wake_samples', '3'], 'at least 20'),
    (['--data', '{one}'], 'one has one episode'),
    (['--data', '{rec}', '--control', '{one}'], 'one has one episode'),
  ],
)
def test_mistakes_are_one_line(words, text, recording, one_episode):
  folders = {'{rec}': str(recording), '{one}': str(one_episode)}
  with pytest.raises(UserError, match=text):
    manifold_analysis.main([folders.get(x, x) for x in words])
