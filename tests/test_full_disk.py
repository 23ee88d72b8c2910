"""A full disk or a lost output: one line with what to do, exit code, whole files."""

import resource
import subprocess

import pytest

from dreamerv3.base import unpickle
from tests import synthetic
from tests.analysis import planted_runs
from tests.in_turn import Call, in_turn

pytestmark = pytest.mark.slow

# What each command is asked to do, with {run}, a trained one, {data}, a recording
# with a code of place, {logs}, and {save}, where its results go.
COMMANDS = {
  'train': '--configs crafter_small debug --run.steps 40 --logdir {save}',
  'eval_trajectory': '--eval_trajectory.num_episodes 2 '
  '--eval_trajectory.layers dyn/deter --eval_trajectory.save_path {save}',
  'replay_activations': '--replay_activations.load_checkpoint False '
  '--replay_activations.layers dyn/deter --replay_activations.save_path {save}',
  'dream_decode': '--dream_decode.num_batches 1 --dream_decode.num_episodes 1 '
  '--dream_decode.decoder_model {run}/decoder_results/classifier_deter.pkl '
  '--dream_decode.save_path {save}',
  'decode_position': '--data {data} --device cpu --n_boot 10 --save {save}',
  'tuning_curve': '--data {data} --n_shuffles 0 --save {save}',
  'manifold_analysis': '--data {data} --n_shuffles 2 --max_wake_samples 99 '
  '--save {save}',
  'plot_trajectories': '--data {data} --plot spatial --save {save}',
  'plot_training': '--logdir {logs} --save {save}',
  'analyze_tuning': '--from_pkl {logs}/made/tuning_curve/tuning_results.pkl '
  '--layers dyn/deter --mode distributions --save {save}',
  'export_nwb': '--data {data} --save {save}/recording.nwb',
  'report': '--logdir {run} --save {save}/report.html',
  'compare_conditions': '--conditions {logs}/one:one {logs}/two:two --save {save}',
}
READING = {'summarize': '--logdir {run}', 'origin': '--file {run}/decoder_results'}
SCRIPTS = ('train', 'eval_trajectory', 'replay_activations', 'dream_decode')


@pytest.fixture(scope='module')
def places(tmp_path_factory):
  """A run with all its results, made while standard output was closed."""
  folder = tmp_path_factory.mktemp('given')
  codes = {'dyn/deter': synthetic.one_hot_places, 'enc/cnn0': synthetic.noise}
  synthetic.record(folder / 'data', codes, episodes=4)
  lines = [f'{{"step": {i}, "episode/score": {i % 7}}}\n' for i in range(50)]
  for name in ('scores', 'metrics'):
    (folder / f'{name}.jsonl').write_text(''.join(lines))
  for seed, name in enumerate(('one', 'two')):
    planted_runs.folder(folder / name, planted_runs.PlannedRun(seed=seed))
  run = folder / 'run'
  given = {'run': run, 'data': folder / 'data', 'logs': folder}
  decoders = ['--data', run / 'trajectories', '--save', run / 'decoder_results']
  calls = [
    call('train', given, run, 'closed'),
    call('eval_trajectory', given, run / 'trajectories', 'closed'),
    Call('decode_position', [*decoders, '--save_model', '--repr', 'deter'], 'closed'),
    *(call(x, given, folder / 'made' / x, 'closed') for x in (*COMMANDS, *READING)[2:]),
  ]
  for said, ended in zip(calls, in_turn(calls), strict=True):
    assert ended.code == 0, (said, ended)
    assert 'Traceback' not in ended.said
  assert len(list((run / 'trajectories').glob('episode_*.pkl'))) == 2
  assert (folder / 'made' / 'dream_decode' / 'dream_results.pkl').exists()
  return given


def call(name, given, save, output='ascii'):
  """The command with its results in a folder."""
  words = [x.format(save=save, **given) for x in {**COMMANDS, **READING}[name].split()]
  if name not in SCRIPTS:
    return Call(name, words, output)
  run = [] if name == 'train' else ['--logdir', given['run'], '--script', name]
  return Call('main', [*run, '--jax.platform', 'cpu', *words], output)


def whole(folder):
  """Asserts that nothing half-written lies in a folder."""
  for path in folder.rglob('*'):
    assert '.tmp' not in path.name, path
    if path.suffix == '.pkl':
      unpickle.load(path)


def little_room():
  """Files cannot grow, as on a disk that is full or a quota that is used up."""
  resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def test_no_room_is_known_before_the_work(places, tmp_path):
  calls = [call(x, places, tmp_path / x) for x in COMMANDS]
  for name, ended in zip(COMMANDS, in_turn(calls, little_room), strict=True):
    line = ended.said.splitlines()[-1]
    assert ended.code in (1, 2), (name, ended)
    assert 'Traceback' not in ended.said
    assert 'File too large' in line, (name, ended)
    assert str(tmp_path / name) in line
    whole(tmp_path)


def test_nobody_listens(places, tmp_path):
  calls = [call(x, places, tmp_path / x, 'broken') for x in (*COMMANDS, *READING)]
  for said, ended in zip(calls, in_turn(calls), strict=True):
    assert ended.code == 141, (said, ended)
    assert 'Traceback' not in ended.said
    assert 'BrokenPipe' not in ended.said
  whole(tmp_path)


@pytest.fixture
def small_disks(tmp_path):
  """For each command a file system of some pages."""
  disks = {x: tmp_path / x for x in COMMANDS}
  for disk in disks.values():
    disk.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=40k', 'tmpfs', str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
      pytest.skip('cannot mount a small file system: not root')
  yield disks
  for disk in disks.values():
    subprocess.run(['umount', str(disk)], check=True)


def test_a_disk_that_fills_up_is_one_line_and_leaves_whole_files(places, small_disks):
  calls = [call(name, places, disk) for name, disk in small_disks.items()]
  for name, ended in zip(small_disks, in_turn(calls), strict=True):
    line = ended.said.splitlines()[-1]
    assert ended.code in (1, 2), (name, ended)
    assert 'Traceback' not in ended.said, ended.said
    assert str(small_disks[name]) in line, (name, ended)
    if ended.code == 1:
      assert 'No space left' in line, (name, ended)
      assert '.tmp' not in line
      assert 'run the same command again' in line
    whole(small_disks[name])
    if name == 'train':
      assert 'Cannot save the checkpoint' in line
      assert 'it was the first' in line
