"""The script tuning_curve.py, as users start it."""

import csv
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from dreamerv3 import tuning_curve
from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError
from tests import synthetic

ROOT = pathlib.Path(__file__).resolve().parents[1]
LAYERS = ('enc/cnn0', 'dyn/stoch', 'dyn/deter', 'pol/mlp/linear0')
FORK_METRICS = {
  'SI',
  'HD_info',
  'EVs',
  'border_score',
  'pf_peaks',
  'fieldsize',
  'fieldasymmetry',
}


def script(*args, backend='Agg'):
  return subprocess.run(
    [sys.executable, 'dreamerv3/tuning_curve.py', *map(str, args)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    env={'MPLBACKEND': backend, 'PATH': '/usr/bin:/bin'},
  )


def run(recording, save, *args):
  tuning_curve.main(
    ['--data', str(recording), '--save', str(save), '--n_shuffles', '20', *args]
  )
  return unpickle.load(save / 'tuning_results.pkl')


def test_script_writes_everything_and_says_so(recording, tmp_path):
  save = tmp_path / 'out'
  done = script('--data', recording, '--save', save, '--n_shuffles', 20, '--n_jobs', 2)
  assert done.returncode == 0, done.stderr
  stems = [x.replace('/', '_') for x in LAYERS]
  kinds = ('si_ev_scatter', 'cell_types', 'example_tuning_curves')
  want = {f'{s}_{k}.png' for s in stems for k in kinds}
  want |= {'tuning_results.pkl', 'units.csv', 'layer_summary.png'}
  there = {x.name for x in save.iterdir() if not x.name.startswith('.')}
  assert there == want | {'run_info.json'}
  (entry,) = json.loads((save / 'run_info.json').read_text())
  assert entry['stage'] == 'tuning_curve'
  assert {pathlib.Path(x).name for x in entry['outputs']} == want
  assert entry['args']['n_shuffles'] == 20
  for name in LAYERS:
    assert name in done.stdout
    shares = entry['extra']['fractions'][name]
    assert sum(shares['by_test'].values()) == pytest.approx(1)


def test_results_have_the_documented_keys(recording, tmp_path):
  content = run(recording, tmp_path, '--no_plots')
  assert list(content['layers']) == list(LAYERS)
  metadata = content['metadata']
  assert metadata['area'] == (12, 10)
  assert metadata['n_episodes'] == 6
  assert set(metadata['thresholds']) >= {
    'SI_thresh',
    'EV_thresh',
    'EV_unthresh',
    'HD_thresh',
  }
  layer = content['layers']['dyn/deter']
  assert layer['tuning_curves'].shape == (120, 12, 10)
  assert set(layer['metrics']) >= FORK_METRICS
  names = metadata['group_names']
  assert list(layer['tested_groups']) == names
  assert list(layer['cell_groups']) == names[:7]  # those that thresholds give
  for kind in ('group', 'tested'):
    ids = layer[f'{kind}_ids']
    groups = layer['cell_groups' if kind == 'group' else 'tested_groups']
    for i, name in enumerate(groups):
      np.testing.assert_array_equal(groups[name], ids == i)
  for p in (*layer['p'].values(), *layer['q'].values()):
    known = p[np.isfinite(p)]
    assert ((known > 0) & (known <= 1)).all()


def test_the_table_has_a_row_per_unit(recording, tmp_path):
  content = run(recording, tmp_path, '--no_plots')
  with open(tmp_path / 'units.csv') as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == 40 + 12 + 120 + 6
  row = next(x for x in rows if x['layer'] == 'dyn/deter' and x['unit'] == '7')
  layer = content['layers']['dyn/deter']
  assert float(row['EVs']) == pytest.approx(
    layer['metrics']['EVs'][7], rel=1e-4, nan_ok=True
  )
  names = content['metadata']['group_names']
  assert row['cell_type'] == names[layer['group_ids'][7]]
  assert row['cell_type_tested'] == names[layer['tested_ids'][7]]


def test_a_folder_holds_one_run(recording, tmp_path, capsys):
  run(recording, tmp_path, '--layers', 'enc/cnn0', '--control', str(recording))
  assert (tmp_path / 'units_control.csv').exists()
  run(recording, tmp_path, '--layers', 'dyn/stoch', '--no_plots')
  there = {x.name for x in tmp_path.iterdir() if not x.name.startswith('.')}
  assert there == {'tuning_results.pkl', 'units.csv', 'run_info.json'}
  out = capsys.readouterr().out
  assert 'results, units.csv and 4 figures' in out
  assert 'Deleted 5 files of earlier runs' in out


def test_the_seed_decides(recording, tmp_path):
  a, b, c = (
    run(
      recording,
      tmp_path / str(i),
      '--no_plots',
      '--seed',
      seed,
      '--layers',
      'enc/cnn0',
      '--max_neurons',
      '10',
    )['layers']['enc/cnn0']
    for i, seed in enumerate('112')
  )
  assert len(a['units']) == 10
  np.testing.assert_array_equal(a['units'], b['units'])
  np.testing.assert_array_equal(a['p']['EVs'], b['p']['EVs'])
  assert (a['units'] != c['units']).any()
  assert (a['units'] != np.arange(10)).any()  # a sample, not the first ones


def test_flags_reach_the_analysis(recording, tmp_path):
  content = run(
    recording,
    tmp_path,
    '--no_plots',
    '--no_hd',
    '--sigma',
    '1',
    '--min_visits',
    '3',
    '--null',
    'shift',
    '--min_bbox',
    '5',
    '--layers',
    'dyn/deter',
  )
  layer = content['layers']['dyn/deter']
  assert np.isnan(layer['metrics']['HD_info']).all()
  assert 'SI_smoothed' in layer['metrics']
  assert layer['occupancy'][layer['occupancy'] > 0].min() >= 3
  assert content['metadata']['null'] == 'shift'
  none = run(
    recording,
    tmp_path / '0',
    '--no_plots',
    '--n_shuffles',
    '0',
    '--layers',
    'dyn/deter',
  )['layers']['dyn/deter']
  assert not none['p']
  assert 'tested_ids' not in none


def test_held_out_variance_on_other_episodes(recording, tmp_path):
  same = run(recording, tmp_path / 'a', '--no_plots', '--test_data', str(recording))
  own = run(recording, tmp_path / 'b', '--no_plots')
  # On its own data the map of noise explains what it fitted.
  assert np.nanmedian(same['layers']['enc/cnn0']['metrics']['EVs']) > 0
  assert np.nanmedian(own['layers']['enc/cnn0']['metrics']['EVs']) < 0
  assert same['metadata']['n_test_episodes'] == 6


def test_control_is_measured_and_kept(recording, tmp_path):
  code = {
    x: lambda p, f, r, n=n: synthetic.noise(p, f, r, n)
    for x, n in zip(LAYERS, (40, 12, 120, 6), strict=True)
  }
  control = synthetic.record(
    tmp_path / 'control', code, tiles=synthetic.world(), seed=9
  )
  content = run(
    recording,
    tmp_path / 'out',
    '--control',
    str(control),
    '--layers',
    'dyn/deter',
  )
  assert len(content['control']['dyn/deter']['group_ids']) == 120
  assert (tmp_path / 'out' / 'units_control.csv').exists()


def test_old_recordings_work_and_say_what_is_missing(recording, tmp_path, capsys):
  folder = tmp_path / 'old'
  folder.mkdir()
  for path in recording.glob('episode_*.pkl'):
    episode = unpickle.load(path)
    old = {k: episode[k] for k in ('player_pos', 'reward', 'action', 'episode')}
    old['deter'] = episode['act/dyn/deter'].astype(np.float32)
    old['stoch'] = episode['act/dyn/stoch'].reshape(-1, 3, 4)
    files.save_pickle(folder / path.name, old)
  content = run(folder, tmp_path / 'out', '--area', '12', '10')
  assert list(content['layers']) == ['dyn/stoch', 'dyn/deter']
  stderr = capsys.readouterr().err
  assert 'no border scores' in stderr
  assert 'no head direction' in stderr
  assert any('head direction' in x for x in content['metadata']['lacks'])
  done = script('--data', folder, '--save', tmp_path / 'no')
  assert done.returncode == 2
  assert 'give --area W H' in done.stderr
  assert not (tmp_path / 'no' / 'tuning_results.pkl').exists()


@pytest.mark.parametrize(
  ('args', 'text'),
  [
    ([], 'Give --data and --save'),
    (['--data', 'x'], 'Give --data and --save'),
    (['--data', 'x', '--from_pkl', 'y'], 'not both'),
    (['--data', 'nowhere', '--save', '{tmp}'], 'nowhere does not exist'),
    (['--data', '{rec}', '--save', '{tmp}', '--layers', 'enc/x'], 'No layer'),
    (['--data', '{rec}', '--save', '{tmp}', '--n_shuffles', '-1'], 'at least'),
    (['--data', '{rec}', '--save', '{tmp}', '--null', 'x'], '--null'),
    (['--data', '{rec}', '--save', '{tmp}', '--device', 'cuda'], 'use `device` cpu'),
    (
      ['--data', '{rec}', '--save', '{tmp}', '--device', 'cuda', '--n_shuffles', '0'],
      'leave out --device',
    ),
    (
      ['--from_pkl', '{tmp}/none.pkl', '--device', 'cuda', '--n_jobs', '2'],
      'leave out --device and --n_jobs',
    ),
    (['--from_pkl', '{tmp}/none.pkl', '--no_plots'], 'would do nothing without --save'),
    (['--data', '{rec}', '--save', '{tmp}', '--min_bbox', '1e9'], 'largest'),
    (['--data', '{rec}', '--save', '{tmp}', '--min_visits', '999'], 'no tile'),
    (['--from_pkl', '{tmp}/none.pkl', '--save', '{tmp}'], 'none.pkl'),
    (['--data', '{rec}', '--save', '{tmp}', '--n_shufles', '3'], '--n_shuffle'),
  ],
)
def test_mistakes_are_one_line(args, text, recording, tmp_path):
  save = tmp_path / 'out'
  args = [x.replace('{rec}', str(recording)).replace('{tmp}', str(save)) for x in args]
  with pytest.raises(UserError) as error:
    tuning_curve.main(args)
  assert text in str(error.value)
  assert '\n' not in str(error.value)
  assert not save.exists()


def test_without_a_screen_the_viewer_is_a_page(recording, tmp_path, capsys):
  save = tmp_path / 'out'
  run(recording, save, '--interactive', '--no_plots', '--layers', 'pol.*', 'dyn/deter')
  path = save / 'units.html'
  assert f'No screen here: saved {path}' in capsys.readouterr().out
  text = path.read_text()
  assert 'id="data-player"' in text  # the recording is at hand
  other = shutil.copytree(save, tmp_path / 'moved')
  (other / 'units.html').unlink()
  (other / 'run_info.json').unlink()
  pickle = other / 'tuning_results.pkl'
  tuning_curve.main(['--from_pkl', str(pickle), '--layers', 'dyn/deter'])
  alone = (other / 'units.html').read_text()
  assert 'id="data-player"' not in alone
  assert '120 units of 1 layers' in alone
  with pytest.raises(UserError, match=r'none\.pkl'):
    tuning_curve.main(['--from_pkl', str(other / 'none.pkl')])


def test_a_trained_control_is_refused(recording, tmp_path):
  trained = synthetic.copy(recording, tmp_path / 'd', trained=True)
  with pytest.raises(UserError, match='of a trained network'):
    run(recording, tmp_path / 'r', '--control', str(trained))


def test_many_worlds_are_tuned_relative_to_the_spawn(recording, tmp_path):
  many = synthetic.copy(recording, tmp_path / 'd', fixed_seed=False, world_map=None)
  flags = ('--no_plots', '--layers', 'pol.*')
  with pytest.raises(UserError, match='spawn_relative'):
    run(many, tmp_path / 'r', *flags)
  content = run(many, tmp_path / 'r', '--spawn_relative', *flags)
  assert content['metadata']['area'] == (23, 19)
  occupancy = content['layers']['pol/mlp/linear0']['occupancy']
  assert occupancy[8:15, 6:13].sum() > occupancy.sum() / 3  # about (11, 9)


def test_another_network_or_world_is_refused(recording, tmp_path):
  small = synthetic.record(
    tmp_path / 'small',
    {'dyn/deter': lambda p, f, r: synthetic.noise(p, f, r)},
    tiles=synthetic.world((9, 9)),
  )
  with pytest.raises(UserError, match='recordings of the same world'):
    run(recording, tmp_path / 'a', '--test_data', str(small))
  other = shutil.copytree(recording, tmp_path / 'other')
  for path in other.glob('episode_*.pkl'):
    episode = unpickle.load(path)
    episode['act/dyn/deter'] = episode['act/dyn/deter'][:, :50]
    files.save_pickle(path, episode)
  with pytest.raises(UserError, match='has 50 units and 120'):
    run(recording, tmp_path / 'b', '--control', str(other))
