"""decode_position.py as its users run it: files and what is in them."""

import pathlib
import subprocess

import numpy as np
import pytest

from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.base import files, unpickle
from dreamerv3.run_info import read_run_info
from tests import synthetic
from tests.decoding_cli import BRIEF, QUICK, SCRIPT, damaged, names, run, words


@pytest.fixture(scope='module')
def layered(recording, tmp_path_factory):
  """Layers mode with saved decoders, and the folder it wrote."""
  save = tmp_path_factory.mktemp('layers') / 'new' / 'results'
  out = run(
    '--data',
    recording,
    '--save',
    save,
    *words('--mode layers --save_model --control'),
    recording,
    '--n_jobs',
    2,
    *BRIEF,
  )
  return save, out


def test_standard_mode_writes_all_its_files(recording, tmp_path):
  out = run(
    '--data',
    recording,
    '--save',
    tmp_path / 'r',
    '--save_model',
    '--holdout_frac',
    0,
    '--n_cv_folds',
    3,
    *QUICK,
  )
  found = names(tmp_path / 'r')
  for name in ('deter', 'stoch', 'combined'):
    assert f'classification_{name}.png' in found
    assert f'occupancy_vs_error_{name}.png' in found
    assert f'classifier_{name}.pkl' in found
    for kind in ('probmap_', 'probmap_world_'):
      assert sum(x.startswith(f'{kind}{name}_ep') for x in found) == 3
    assert name in out
  results = unpickle.load(tmp_path / 'r' / 'decode_results.pkl')
  assert results['representations'] == ['deter', 'stoch', 'combined']
  assert results['grid'] == (12, 10)
  errors = results['results']['deter']['errors']
  assert len(errors) == results['n_samples']
  assert results['summary'][0]['mean'] == pytest.approx(errors.mean())
  (entry,) = read_run_info(tmp_path / 'r')
  assert entry.stage == 'decode_position'
  written = {pathlib.Path(x).name for x in entry.outputs}
  assert written == {pathlib.Path(x).name for x in found} - {'run_info.json'}


def test_figures_are_drawn_again_from_the_results_alone(layered, tmp_path):
  save, _ = layered
  source = save / 'layer_decode_results.pkl'
  out = run('--from_pkl', source, '--save', tmp_path / 'r')
  drawn = {x.name for x in (tmp_path / 'r').glob('*.png')}
  assert drawn == {x.name for x in save.glob('*.png')}
  assert any(x.startswith('probmap_world_') for x in drawn)
  for name in drawn:
    assert (tmp_path / 'r' / name).read_bytes() == (save / name).read_bytes(), name
  assert 'dyn/deter: ' in out
  (entry,) = read_run_info(tmp_path / 'r')
  assert entry.args['mode'] == 'layers'
  assert entry.extra['summary']


def test_results_of_before_are_drawn_as_far_as_they_go(layered, tmp_path):
  save, _ = layered
  values = unpickle.load(save / 'layer_decode_results.pkl')
  for key in ('mode', 'episodes', 'world_map', 'materials'):
    del values[key]
  source = files.save_pickle(tmp_path / 'layer_decode_results.pkl', values)
  kept = tmp_path / 'probmap_dyn_deter_ep1.png'
  kept.touch()
  out = run('--from_pkl', source, '--format', 'svg')
  assert 'maps of probability are left out; decode again' in out
  assert (tmp_path / 'layer_comparison.svg').exists()
  assert kept.exists()
  line = run('--from_pkl', source, '--data', save, '--n_boot', 3, fails=True)
  assert 'only draws again; leave out --data and --n_boot' in line
  assert 'Give --data' in run(fails=True)


def test_layers_mode_writes_all_its_files(layered, recording):
  save, out = layered
  found = names(save)
  assert {
    'layer_comparison.png',
    'layer_decode_results.pkl',
    'layer_summary.csv',
    'layer_pairs.csv',
    'layer_decode_checkpoint.pkl',
    'layer_decoders/manifest.pkl',
    'layer_decoders/dyn_deter.pkl',
    'layer_decoders/pol_mlp_linear0.pkl',
    'run_info.json',
  } <= found
  results = unpickle.load(save / 'layer_decode_results.pkl')
  assert results['ordered'] == ['enc/cnn0', 'dyn/stoch', 'dyn/deter', 'pol/mlp/linear0']
  manifest = unpickle.load(save / 'layer_decoders' / 'manifest.pkl')
  assert manifest['layer_sizes']['enc/cnn0'] == 40
  (entry,) = read_run_info(save)
  assert {pathlib.Path(x).name for x in entry.outputs} == {
    pathlib.Path(x).name for x in found
  } - {'run_info.json'}
  # The control is the recording itself here, so that it decodes as well.
  for row in results['summary']:
    assert row['control'] == pytest.approx(row['mean'])
  assert 'untrained' in out
  assert set(results['perception']) == {'pixels', 'tokens', 'view'}
  assert len(results['pairs']) == 6
  # One tested episode is too few for any test, and the verdict says so.
  said = out.splitlines()[-1]
  assert said.startswith('dyn/deter: ')
  assert 'From what is seen now, view' in said
  assert '(not tested): no memory shown.' in said
  assert 'p <' not in said
  assert 'nan' not in said


def test_modes_share_a_folder_that_holds_one_run_of_each(recording, tmp_path):
  here = ('--data', recording, '--save', tmp_path, *QUICK)
  out = run(*here, '--repr', 'deter', '--save_model')
  assert 'Trained on 5 episodes, ' in out
  run(*here, '--mode', 'layers', '--layers', 'pol/.*')
  run(*here, '--repr', 'stoch')
  found = names(tmp_path)
  assert {
    'classifier_deter.pkl',
    'classification_stoch.png',
    'layer_comparison.png',
    'layer_decode_checkpoint.pkl',
  } <= found
  assert 'classification_deter.png' not in found


def test_from_model_gives_the_numbers_of_the_fit(layered, recording, tmp_path):
  save, _ = layered
  run(
    '--data',
    recording,
    '--save',
    tmp_path,
    *words('--mode layers --from_model'),
    save / 'layer_decoders',
  )
  fitted = unpickle.load(save / 'layer_decode_results.pkl')['results']
  again = unpickle.load(tmp_path / 'layer_decode_results.pkl')['results']
  for name, before in fitted.items():
    after = again[name]
    tested = np.isin(after['episode'], before['episode'])
    np.testing.assert_array_equal(after['errors'][tested], before['errors'])
    held = LinearDecoder.from_dict(
      unpickle.load(save / 'layer_decoders' / (name.replace('/', '_') + '.pkl'))
    ).held_out
    assert held['error'] == pytest.approx(after['errors'][tested].mean())


def test_from_model_refuses_other_worlds_and_sizes(layered, tmp_path):
  save, _ = layered
  wide = synthetic.record(tmp_path / 'a', {'dyn/deter': synthetic.noise}, 2, 20)
  line = run(
    '--data',
    wide,
    '--save',
    tmp_path / 'r',
    *words('--mode layers --from_model'),
    save / 'layer_decoders',
    fails=True,
  )
  assert '120 units' in line
  other = synthetic.record(
    tmp_path / 'b',
    {'dyn/deter': synthetic.noise},
    2,
    20,
    tiles=synthetic.world((9, 9)),
  )
  line = run(
    '--data',
    other,
    '--save',
    tmp_path / 'r',
    *words('--mode layers --from_model'),
    save / 'layer_decoders',
    fails=True,
  )
  assert '(12, 10)' in line
  assert '(9, 9)' in line
  assert not names(tmp_path / 'r')


def test_test_data_trains_on_all_of_data(recording, tmp_path):
  other = synthetic.record(
    tmp_path / 'test', {'dyn/deter': synthetic.one_hot_places}, 3, 40, seed=9
  )
  out = run(
    '--data',
    recording,
    '--test_data',
    other,
    '--save',
    tmp_path / 'r',
    '--mode',
    'layers',
    *QUICK,
  )
  assert 'left out: dyn/stoch, enc/cnn0, pol/mlp/linear0' in out
  results = unpickle.load(tmp_path / 'r' / 'layer_decode_results.pkl')
  assert results['ordered'] == ['dyn/deter']
  deter = results['results']['dyn/deter']
  assert sorted(set(deter['episode'])) == [6, 7, 8]
  assert deter['errors'][deter['visited']].max() == 0


def test_many_worlds_are_decoded_relative_to_the_spawn(recording, tmp_path):
  many = synthetic.copy(recording, tmp_path / 'd', fixed_seed=False, world_map=None)
  flags = ['--data', many, '--save', tmp_path / 'r', '--repr', 'deter', *QUICK]
  assert '--spawn_relative' in run(*flags, fails=True)
  run(*flags, '--spawn_relative')
  results = unpickle.load(tmp_path / 'r' / 'decode_results.pkl')
  assert results['grid'] == (23, 19)
  assert results['protocol']['spawn_relative']


def test_both_modes_share_a_folder(recording, tmp_path):
  flags = ['--data', recording, '--save', tmp_path, *QUICK]
  run(*flags, '--repr', 'deter')
  before = (tmp_path / 'summary.csv').read_bytes()
  run(*flags, '--mode', 'layers', '--layers', 'pol.*')
  assert (tmp_path / 'summary.csv').read_bytes() == before
  assert 'pol/mlp/linear0' in (tmp_path / 'layer_summary.csv').read_text()


def test_results_lie_beside_a_recording_called_dot(recording, tmp_path, monkeypatch):
  folder = synthetic.copy(recording, tmp_path / 'trajectories')
  monkeypatch.chdir(folder)
  run('--data', '.', '--repr', 'stoch', *QUICK)
  assert (tmp_path / 'decoder_results' / 'summary.csv').exists()
  assert not (folder / 'decoder_results').exists()


def test_the_older_protocol_says_that_it_leaks(recording, tmp_path):
  done = subprocess.run(
    [
      *SCRIPT,
      '--data',
      str(recording),
      '--save',
      str(tmp_path),
      *words('--repr stoch --cv timesteps'),
      *QUICK,
    ],
    capture_output=True,
    text=True,
    check=True,
  )
  assert 'They leak' in done.stderr
  assert 'They leak' in done.stdout
  results = unpickle.load(tmp_path / 'decode_results.pkl')
  assert results['protocol']['cv'] == 'timesteps'


def stand(episode):
  episode['player_pos'][:] = (4, 4)


def test_one_visited_tile_decodes_and_draws(recording, tmp_path):
  still = damaged(tmp_path / 'd', recording, stand)
  run('--data', still, '--save', tmp_path / 'r', '--repr', 'deter', *QUICK)
  results = unpickle.load(tmp_path / 'r' / 'decode_results.pkl')
  assert results['summary'][0]['mean'] == 0
