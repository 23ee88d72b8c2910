"""An agent led along a recording: the same numbers, or those of another network."""

import shutil
import types

import numpy as np
import pytest

from dreamerv3 import main
from dreamerv3.analysis import compatible
from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.modes import replay_activations as replays
from dreamerv3.setup import config as configs
from tests import synthetic
from tests.recorded_runs import load, make_run

EPISODES = 2
BLIND = 20


@pytest.fixture(scope='module')
def logdir(tmp_path_factory):
  """A run with a recording of its agent; main.py in this process, to save time."""
  logdir = make_run(tmp_path_factory.mktemp('replays') / 'run')
  command(logdir, 'eval_trajectory', num_episodes=EPISODES, envs=2)
  return logdir


def command(logdir, script, *flags, **settings):
  given = [y for k, v in settings.items() for y in (f'--{script}.{k}', str(v))]
  common = ['--logdir', str(logdir), '--jax.platform', 'cpu', '--script', script]
  main.main([*common, *flags, *given])


def same_files(one, other):
  paths = sorted(one.glob('episode_*.pkl'))
  assert paths
  return [x.read_bytes() == (other / x.name).read_bytes() for x in paths]


@pytest.mark.slow
def test_the_same_weights_repeat_the_recording_bit_for_bit(logdir, tmp_path, capsys):
  source = logdir / 'trajectories'
  command(logdir, 'replay_activations')
  place = logdir / 'trajectories_replayed'
  assert all(same_files(source, place))
  out = capsys.readouterr().out
  assert f'Recording {EPISODES} of {EPISODES} episodes' in out
  assert f'replay  {source}' in out
  about = Trajectories.open(place)
  assert not about.lacks
  assert (about.metadata.replayed or {})['path'] == str(source)
  recorded = Trajectories.open(source).metadata
  assert about.metadata.world == recorded.world
  assert about.metadata.source == recorded.source
  # It goes on with what is missing, as a recording does.
  (place / 'episode_002.pkl').unlink()
  command(logdir, 'replay_activations')
  assert f'Recording 1 of {EPISODES} episodes' in capsys.readouterr().out
  assert all(same_files(source, place))
  with pytest.raises(UserError, match='replay_activations.observe all there, 5 now'):
    command(logdir, 'replay_activations', observe=5)


@pytest.mark.slow
def test_another_network_takes_the_same_path(logdir):
  """The debug run was never trained: another seed is another network here."""
  flags = ('--seed', '4')
  settings = {'load_checkpoint': False, 'max_episodes': 2, 'layers': 'dyn/.*'}
  command(logdir, 'replay_activations', *flags, **settings)
  there = Trajectories.open(logdir / 'trajectories')
  control = Trajectories.open(logdir / 'trajectories_untrained')
  assert len(control) == 2
  assert control.metadata.trained is False
  assert control.metadata.seed == there.metadata.seed == 3
  compatible.untrained(control)
  compatible.check_same(there, control, ['dyn/deter'])
  for mine, theirs in zip(there.episodes, control.episodes, strict=False):
    np.testing.assert_array_equal(mine.pos, theirs.pos)
    for key in ('image', 'action', 'reward', 'view_objects', 'injury'):
      np.testing.assert_array_equal(mine.read(key), theirs.read(key))
    assert mine.values['achievements'] == theirs.values['achievements']
    assert (mine.layer('dyn/deter')[1:] != theirs.layer('dyn/deter')[1:]).any()
  with pytest.raises(UserError, match='share episodes'):
    compatible.other_episodes('a', there.source(), 'b', control.source())


@pytest.mark.slow
def test_blind_steps_depend_on_no_image(logdir, tmp_path):
  source, other = logdir / 'trajectories', tmp_path / 'other'
  other.mkdir()
  for path in sorted(source.glob('episode_*.pkl'))[1:]:
    (other / path.name).write_bytes(path.read_bytes())
  (other / 'metadata.pkl').write_bytes((source / 'metadata.pkl').read_bytes())
  for path in other.glob('episode_*.pkl'):  # what is withheld is something else
    content = unpickle.load(path)
    content['image'][BLIND:] = 77
    files.save_pickle(path, content)
  for name, data in (('a', source), ('b', other)):
    settings = {'source_data': data, 'save_path': tmp_path / name}
    settings |= {'observe': BLIND, 'all_episodes': False, 'dtype': 'float32'}
    command(logdir, 'replay_activations', **settings)
  for path in (tmp_path / 'b').glob('episode_*.pkl'):
    one, two = load(tmp_path / 'a' / path.name), load(path)
    seen = load(source / path.name)
    assert one['length'] > BLIND
    assert not one['image'][BLIND:].any()
    for key, value in one.items():
      np.testing.assert_array_equal(value, two[key], key)
    prior, post = (one[f'act/dyn/{x}_logit'] for x in ('prior', 'post'))
    np.testing.assert_array_equal(prior[BLIND:], post[BLIND:])
    assert (prior[:BLIND] != post[:BLIND]).any(1).all()
    # The recurrent state is blind one step later than the image.
    gap = np.abs(one['act/dyn/deter'] - seen['act/dyn/deter']).max(1)
    assert gap[: BLIND + 1].max() < 2e-2 < gap[BLIND + 1 :].max()


@pytest.mark.slow
def test_every_checkpoint_of_a_run_takes_the_same_path(logdir, tmp_path):
  run = shutil.copytree(logdir, tmp_path / 'run')
  other = make_run(tmp_path / 'other', '--seed', '5')
  (later,) = (x.parent for x in (other / 'ckpt').glob('*/done'))
  files.save_pickle(later / 'step.pkl', 2000)
  shutil.copytree(later, run / 'ckpt' / later.name)
  settings = {'source_data': logdir / 'trajectories', 'layers': 'dyn/deter'}
  settings |= {'max_episodes': 1, 'save_path': tmp_path / 'all'}
  command(run, 'replay_activations', checkpoints='all', **settings)
  found = sorted((tmp_path / 'all').iterdir())
  assert [x.name for x in found] == ['step_000001000', 'step_000002000']
  one, two = (Trajectories.open(x) for x in found)
  assert [x.metadata.extra['checkpoint_step'] for x in (one, two)] == [1000, 2000]
  assert (one.track().pos == two.track().pos).all()
  assert (one.layer('dyn/deter').X != two.layer('dyn/deter').X).any()


@pytest.fixture(scope='module')
def planted(tmp_path_factory):
  codes = {'dyn/deter': synthetic.one_hot_places}
  place = tmp_path_factory.mktemp('planted') / 'run'
  return synthetic.record(place, codes, episodes=2, image=64)


def settled(source, **changes):
  config = configs.stack(configs.read_blocks(), {})
  config = config.update(
    {'task': 'crafter_reward', 'replay_activations.source_data': str(source)}
  )
  return config.update(changes)


def guide(size=64, actions=17, **more):
  high = types.SimpleNamespace(high=actions)
  return types.SimpleNamespace(
    obs_space={'image': types.SimpleNamespace(shape=(size, size, 3))},
    act_space={'action': high, 'reset': None, **more},
  )


@pytest.mark.parametrize(
  ('given', 'match'),
  [
    ({'size': 96}, r'shape \(64, 64, 3\) and the agent sees \(96, 96, 3\)'),
    ({'actions': 3}, 'holds action 4 and the agent has 3'),
    ({'jump': None}, 'acts by action, jump'),
  ],
)
def test_recordings_that_do_not_fit_are_refused(planted, given, match):
  data = replays.open_source(settled(planted))
  replays.check_fit(data, guide(), settled(planted))
  with pytest.raises(UserError, match=match):
    replays.check_fit(data, guide(**given), settled(planted))


def test_a_recording_of_another_view_is_refused(planted, tmp_path):
  known = {'env': {'egocentric_view': 9}}
  data = Trajectories.open(synthetic.copy(planted, tmp_path / 'x', settings=known))
  with pytest.raises(UserError, match='egocentric_view 9 and the agent sees with 0'):
    replays.check_fit(data, guide(), settled(planted))


def test_a_recording_without_images_is_refused(planted, tmp_path):
  place = synthetic.copy(planted, tmp_path / 'x')
  content = unpickle.load(place / 'episode_002.pkl')
  del content['image']
  files.save_pickle(place / 'episode_002.pkl', content)
  with pytest.raises(UserError, match=r'episode_002\.pkl has no image'):
    replays.open_source(settled(place))


def test_all_checkpoints_and_none_exclude_each_other(planted):
  block = 'replay_activations'
  both = {f'{block}.checkpoints': 'all', f'{block}.load_checkpoint': False}
  with pytest.raises(UserError, match='exclude each other'):
    replays.run(lambda: None, settled(planted, **both))
