"""The script of dreams: its decoder, its mistakes, the whole chain."""

import dataclasses
import pathlib
import pickle
from typing import Any

import numpy as np
import pytest

from dreamerv3 import decode_position, main, plot_dreams
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid, manhattan
from dreamerv3.modes import dream_decode
from dreamerv3.run_info import read_run_info
from dreamerv3.setup import config as configs
from dreamerv3.setup import rundir
from tests import cli
from tests.recorded_runs import make_run


@pytest.fixture(scope='module')
def logdir(tmp_path_factory):
  return make_run(tmp_path_factory.mktemp('dreams') / 'run')


def save_decoder(path, units=8, area=(32, 32), layer='dyn/deter', world=None):
  grid, rng = Grid(*area), np.random.default_rng(0)
  middle = grid.to_class(
    np.array([(x, y) for x in range(10, 22) for y in range(10, 22)])
  )
  weights = rng.normal(size=(units, len(middle))).astype(np.float32)
  decoder = LinearDecoder(weights, middle, grid, layer, {}, world or {})
  return str(files.save_pickle(path, decoder.to_dict()))


def resolve(logdir, *flags):
  given = ['--logdir', str(logdir), '--script', 'dream_decode']
  given += ['--jax.platform', 'cpu', *flags]
  return main.resolve(configs.parse_flags(given), configs.read_blocks())[0]


def refuses(logdir, *flags, match):
  """The script ends before it makes an agent, and writes nothing."""

  def never():
    raise AssertionError('made an agent')

  before = sorted(logdir.rglob('*'))
  with pytest.raises(UserError, match=match):
    dream_decode.run(never, resolve(logdir, *flags))
  assert sorted(logdir.rglob('*')) == before


def bare(tmp_path):
  """A logdir with a checkpoint that nobody reads."""
  logdir = tmp_path / 'run'
  given = ['--configs', 'crafter_small', 'debug', '--logdir', str(logdir)]
  folder = logdir / 'ckpt' / '20260101T000000F000000'
  folder.mkdir(parents=True)
  (folder / 'done').touch()
  (logdir / 'ckpt' / 'latest').write_text(folder.name)
  rundir.save(
    logdir / 'config.yaml',
    configs.stack(configs.read_blocks(), configs.parse_flags(given)),
  )
  return logdir


def test_decoders_that_do_not_fit(tmp_path):
  logdir = bare(tmp_path)
  path, flag = tmp_path / 'd.pkl', '--dream_decode.decoder_model'
  refuses(logdir, match='decoder_model is empty; expected classifier_deter')
  refuses(logdir, flag, str(path), match='d.pkl')
  path.write_bytes(b'nonsense')
  refuses(logdir, flag, str(path), match='d.pkl')
  files.save_pickle(path, [1, 2])
  refuses(logdir, flag, str(path), match='no saved decoder')
  save_decoder(path, layer='dyn/stoch')
  refuses(logdir, flag, str(path), match=r'reads dyn/stoch; expected')
  save_decoder(path, units=512)
  refuses(logdir, flag, str(path), match=r'reads 512 units .*; expected 8')
  save_decoder(path, area=(64, 64))
  refuses(logdir, flag, str(path), match=r'64 x 64 tiles; expected 32 x 32')
  save_decoder(path, world={'seed': 0, 'world_seed': 1, 'fixed_seed': True})
  refuses(logdir, flag, str(path), match='decoder is of world 1 ')
  save_decoder(path, world={'seed': 0, 'world_seed': 1, 'fixed_seed': False})
  refuses(logdir, flag, str(path), match='in many worlds')
  save_decoder(path)
  refuses(logdir, flag, str(path), '--task', 'dummy_disc', match='cannot be recorded')


def test_a_decoder_of_another_world_is_told(tmp_path, capsys):
  config = resolve(bare(tmp_path))
  about = {'seed': 42, 'fixed_seed': True}
  known = unpickle.load(save_decoder(tmp_path / 'd.pkl', world=about))
  decoder = LinearDecoder.from_dict(known)
  assert dream_decode.seed_of(decoder, own=config.seed) == 42
  assert 'the world of seed 42' in capsys.readouterr().out
  unknown = unpickle.load(save_decoder(tmp_path / 'e.pkl'))
  decoder = LinearDecoder.from_dict(unknown)
  assert dream_decode.seed_of(decoder, own=config.seed) == 0
  assert 'does not say which world' in capsys.readouterr().out


def test_dreams_of_episodes_that_the_decoder_was_fitted_to_are_refused(tmp_path):
  known = unpickle.load(save_decoder(tmp_path / 'd.pkl'))
  first = dream_decode.FIRST
  source = {'weights': 'ab', 'path': 'ab', 'seed': 0, 'episodes': [1, first + 2]}
  decoder = dataclasses.replace(LinearDecoder.from_dict(known), trained_on=source)
  with pytest.raises(UserError, match=rf'share episodes \({first + 2}: same agent'):
    dream_decode.fresh(decoder, 'ab', 0, 3)
  dream_decode.fresh(decoder, 'ab', 0, 2)
  dream_decode.fresh(decoder, 'ab', 1, 3)
  dream_decode.fresh(decoder, 'cd', 0, 3)
  dream_decode.fresh(LinearDecoder.from_dict(known), 'ab', 0, 3)


def command(logdir, script, *flags):
  main.main(
    ['--logdir', str(logdir), '--jax.platform', 'cpu', '--script', script, *flags]
  )


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path):
  given = ('--jax.platform', 'cpu', '--dream_decode.decoder_model', 'nowhere.pkl')
  words = ('--logdir', bare(tmp_path), '--script', 'dream_decode', *given)
  done = cli.script('main', *words)
  assert done.returncode == 2, done.stderr
  (line,) = done.stderr.splitlines()
  assert 'nowhere.pkl' in line


def load(path):
  with open(path, 'rb') as file:
    return pickle.load(file)


@pytest.mark.slow
def test_the_whole_chain(logdir, capsys):
  """record -> decode_position --save_model -> dream_decode, as documented."""
  what = ('--eval_trajectory.num_episodes', '3', '--eval_trajectory.layers', 'dyn/.*')
  command(logdir, 'eval_trajectory', '--seed', '42', *what)
  decoder = logdir / 'decoder_results' / 'classifier_deter.pkl'
  brief = ['--repr', 'deter', '--save_model', '--n_iters', '20', '--n_boot', '10']
  data = ['--data', str(logdir / 'trajectories'), '--save', str(decoder.parent)]
  decode_position.main([*data, *brief])
  flags = (
    '--dream_decode.decoder_model',
    str(decoder),
    '--dream_decode.num_batches',
    '2',
    '--dream_decode.num_episodes',
    '2',
  )
  capsys.readouterr()
  command(logdir, 'dream_decode', *flags)
  assert 'knows the world of seed 42' in capsys.readouterr().out
  folder = logdir / 'dream_results'
  check_results(folder, decoder, load(folder / 'dream_results.pkl'))
  entry = read_run_info(folder)[-1]
  written = {pathlib.Path(x).name for x in entry.outputs}
  assert written == {x.name for x in folder.iterdir()} - {
    'run_info.json',
    '.run_info.lock',
  }
  assert entry.stage == 'dream_decode'
  assert [x.role for x in entry.inputs] == ['decoder_model', 'checkpoint']
  assert entry.inputs[0].absolute == str(decoder)
  again = logdir / 'again'
  other = ('--dream_decode.save_path', str(again))
  command(logdir, 'dream_decode', *flags, *other)
  first, second = (x / 'dream_results.pkl' for x in (folder, again))
  draws_again(first, logdir / 'drawn')
  assert first.read_bytes() == second.read_bytes()


def check_results(folder, decoder, found: dict[str, Any]):
  N, H, D = 32, 15, 8
  shapes = {
    'decoded_pos': (N, H, 2),
    'dream_proba': (N, H, 32, 32),
    'start_pos': (N, 2),
    'obs_pos': (N, 16, 2),
    'step_dists': (N, H - 1),
    'dream_deter': (N, H, D),
    'replay_deter': (N, H, D),
    'dream_stoch': (N, H, 2, 4),
    'real_pos': (N, H + 1, 2),
    'replay_pos': (N, H + 1, 2),
    'observed_pos': (N, H + 1, 2),
    'valid': (N, H + 1),
    'dream_t': (N,),
    'dream_episode': (N,),
    'replay_proba': (4, H, 32, 32),
  }
  for key, shape in shapes.items():
    assert found[key].shape == shape, key
  assert found['decoded_pos'].dtype == np.float64
  assert found['dream_proba'].dtype == np.float32
  assert found['dream_deter_shape'] == (N, H, D)
  assert found['decoder_path'] == str(decoder)
  assert found['decoder_metadata']['n_units'] == D
  assert found['metadata']['seed'] == 42
  assert tuple(found['metadata']['area']) == (32, 32)
  assert found['num_batches'] == 2
  assert found['num_episodes'] == 2
  assert (found['dream_episode'] >= dream_decode.FIRST).all()
  assert (found['dream_t'] >= 15).all()
  np.testing.assert_array_equal(found['start_pos'], found['real_pos'][:, 0])
  np.testing.assert_array_equal(found['start_pos'], found['obs_pos'][:, -1])
  # The agent moves one tile at most, and the first replayed step is real.
  steps = np.abs(np.diff(found['real_pos'], axis=1)).sum(-1)
  assert steps[found['valid'][:, 1:]].max() == 1
  assert manhattan(found['replay_pos'], found['observed_pos'])[:, 1].max() == 0
  names = {x.name for x in folder.iterdir()}
  assert {
    'dream_trajectories_world.png',
    'dream_vs_real.png',
    'dream_probmap_1.png',
    'dream_probmap_4.png',
  } <= names


def draws_again(source, save):
  """The figures come from the file alone, pixel by pixel; from an old one none."""
  plot_dreams.main(['--from_pkl', str(source), '--save', str(save)])
  drawn = sorted(x.name for x in save.glob('*.png'))
  assert drawn == sorted(x.name for x in source.parent.glob('*.png'))
  for name in drawn:
    assert (save / name).read_bytes() == (source.parent / name).read_bytes(), name
  values = unpickle.load(source)
  del values['curves']['gains']
  older = files.save_pickle(save / 'older.pkl', values)
  with pytest.raises(UserError, match=r"older\.pkl .*dream again .*'gains'"):
    plot_dreams.main(['--from_pkl', str(older), '--save', str(save / 'none')])
  assert not (save / 'none').exists()
