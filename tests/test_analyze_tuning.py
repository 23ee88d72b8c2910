"""The command analyze_tuning.py, as users start it."""

import csv

import numpy as np
import pytest

from dreamerv3 import analyze_tuning, tuning_curve
from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError
from dreamerv3.run_info import read_run_info
from tests.analysis.tuning.kinds.test_kinds import maps_of

FEW = ('--n_shuffles', '19', '--n_resamples', '3', '--min_cluster_size', '8')
GROUPS = {'scree', 'pca', 'tsne', 'cluster_examples'}


@pytest.fixture(scope='module')
def tuned(recording, tmp_path_factory):
  """tuning_results.pkl whose maps are two kinds, beside a layer of one unit."""
  save = tmp_path_factory.mktemp('run') / 'tuning_results'
  words = ['--data', str(recording), '--save', str(save), '--n_shuffles', '0']
  tuning_curve.main([*words, '--no_plots', '--layers', 'dyn/deter', 'enc/cnn0'])
  path = save / 'tuning_results.pkl'
  content = unpickle.load(path)
  rng = np.random.default_rng(0)
  curves = np.concatenate([maps_of(k, 12, rng) for k in ('small', 'bands')])
  old = content['layers']['dyn/deter']
  repeat = np.arange(24) % len(old['units'])
  content['layers']['dyn/deter'] = {
    **old,
    'tuning_curves': curves,
    'hd_curves': old['hd_curves'][repeat],
    'occupancy': np.isfinite(curves[0]).astype(int),
    'units': np.arange(24),
    'metrics': {k: v[repeat] for k, v in old['metrics'].items()},
  }
  planted = files.make_folder(save.parent / 'planted')
  files.save_pickle(planted / 'tuning_results.pkl', content)
  return save.parent


def test_groups_are_written_and_drawn_again(tuned, tmp_path, capsys):
  source = tuned / 'planted' / 'tuning_results.pkl'
  words = ['--from_pkl', str(source), '--save', str(tmp_path), *FEW]
  analyze_tuning.main([*words, '--layers', 'dyn/deter'])
  out = capsys.readouterr().out
  assert 'of 2 groups of autocorrelograms (p 0.050) 2 found again, 100%' in out
  assert out.count('pip install umap-learn') == 1
  pictures = {f'dyn_deter_{x}.png' for x in GROUPS}
  tables = {'clusters.csv', 'unit_clusters.csv', 'cluster_results.pkl'}
  there = {x.name for x in tmp_path.iterdir() if x.name[0] != '.'}
  assert there == pictures | tables | {'run_info.json'}
  (entry,) = read_run_info(tmp_path)
  assert entry.stage == 'analyze_tuning'
  assert 'found again' in entry.extra['verdicts'][0]
  with open(tmp_path / 'clusters.csv', newline='') as file:
    rows = list(csv.DictReader(file))
  assert [x['units'] for x in rows] == ['12', '12', '0']
  again = tmp_path / 'again'
  path = str(tmp_path / 'cluster_results.pkl')
  analyze_tuning.main(['--from_pkl', path, '--save', str(again)])
  for name in pictures:
    assert (again / name).read_bytes() == (tmp_path / name).read_bytes()


def test_measures_are_laid_out_and_drawn(tuned):
  source = str(tuned / 'tuning_results' / 'tuning_results.pkl')
  words = ['--from_pkl', source, '--layers', 'dyn/deter']
  for mode in ('metrics', 'distributions'):
    analyze_tuning.main([*words, '--mode', mode])
  save = tuned / 'cluster_results'
  names = {x.name for x in save.glob('*.png')}
  assert {f'dyn_deter_isomap_metrics_{x}.png' for x in ('values', 'classes')} <= names
  dists = {x for x in names if '_dist_' in x}
  assert len(dists) == 7
  with open(save / 'unit_metrics.csv', newline='') as file:
    assert float(next(csv.DictReader(file))['getis_ord']) > 0
  assert [x.args['mode'] for x in read_run_info(save)] == ['metrics', 'distributions']


def test_a_call_that_can_lay_out_nothing_leaves_what_was_there(tuned, tmp_path):
  source = str(tuned / 'tuning_results' / 'tuning_results.pkl')
  words = ['--from_pkl', source, '--mode', 'metrics', '--save', str(tmp_path)]
  analyze_tuning.main([*words, '--layers', 'dyn/deter'])
  there = {x.name for x in tmp_path.iterdir()}
  with pytest.raises(UserError, match='too few to lay out'):
    analyze_tuning.main([*words, '--max_neurons', '5'])
  assert {x.name for x in tmp_path.iterdir()} == there


def test_episodes_are_drawn_again_from_the_recording_of_the_maps(
  tuned, recording, tmp_path
):
  source = str(tuned / 'tuning_results' / 'tuning_results.pkl')
  words = ['--from_pkl', source, '--save', str(tmp_path), '--layers', 'dyn/deter']
  more = ['--n_shuffles', '0', '--n_resamples', '3', '--min_cluster_size', '5']
  analyze_tuning.main([*words, *more, '--data', str(recording)])
  (kinds,) = unpickle.load(tmp_path / 'cluster_results.pkl')['kinds']
  assert kinds['episodes'].shape == kinds['again'].shape
  assert np.isfinite(kinds['episodes']).all()
  with pytest.raises(UserError, match='is not the recording of these maps'):
    analyze_tuning.main([*words, '--data', str(recording), '--max_episodes', '3'])


@pytest.mark.parametrize(
  ('words', 'text'),
  [
    ([], '--from_pkl'),
    (['--from_pkl', 'x', '--max_episodes', '3'], 'max_episodes .* without --data'),
    (['--from_pkl', 'x', '--mode', 'metrics', '--n_shuffles', '9'], 'would do nothing'),
    (['--from_pkl', 'nowhere.pkl'], 'nowhere.pkl'),
  ],
)
def test_mistakes_are_one_line(words, text):
  with pytest.raises((UserError, SystemExit), match=text):
    analyze_tuning.main(words)


def test_too_few_units_are_a_mistake(tuned, tmp_path):
  source = str(tuned / 'tuning_results' / 'tuning_results.pkl')
  with pytest.raises(UserError, match='units have a map; --min_cluster_size 500'):
    analyze_tuning.main(
      ['--from_pkl', source, '--save', str(tmp_path), '--min_cluster_size', '500']
    )
