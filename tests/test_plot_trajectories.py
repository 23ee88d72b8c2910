"""plot_trajectories.py as a user runs it."""

import csv
import pathlib

import av
import numpy as np
import pytest

from dreamerv3 import plot_trajectories
from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.run_info import read_run_info
from tests import cli, synthetic

ROOT = pathlib.Path(__file__).parents[1]
OLD = ROOT / 'tests' / 'fixtures' / 'recordings'
CODES = {
  'dyn/deter': synthetic.one_hot_places,
  'dyn/stoch': lambda p, f, r: synthetic.noise(p, f, r, 12),
}
PICTURES = {
  'trajectories.png',
  'heatmap.png',
  'deter_0_activation.png',
  'deter_spatial.csv',
  'deter_spatial.png',
  'world_overlay.png',
}
EVERYTHING = PICTURES | {
  'fullworld_overlay.png',
  'world_only.png',
  'trajectories.gif',
  'fullworld_trajectories.gif',
  'worldview_agentview.gif',
}


def run(*args):
  plot_trajectories.main([str(x) for x in args])


def names(folder):
  return {x.name for x in folder.iterdir() if x.name[0] != '.'}


def frames(path):
  with av.open(str(path)) as file:
    return sum(1 for _ in file.decode(video=0))


@pytest.fixture
def one(tmp_path):
  """A recording of a single, short episode."""
  return synthetic.record(
    tmp_path / 'run' / 'trajectories', CODES, episodes=1, length=12, image=64
  )


@pytest.fixture
def two(tmp_path):
  return synthetic.record(
    tmp_path / 'two' / 'trajectories', CODES, episodes=2, length=12, image=64
  )


@pytest.mark.slow
def test_all_as_a_script_from_another_folder(one, tmp_path):
  done = cli.script('plot_trajectories', '--data', 'run/trajectories', cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  save = one.parent / 'plots'
  assert names(save) == EVERYTHING | {'run_info.json'}
  (entry,) = read_run_info(save)
  assert {pathlib.Path(x).name for x in entry.outputs} == EVERYTHING
  assert entry.stage == 'plot_trajectories'
  assert entry.extra['left_out'] == {}
  length = len(Trajectories.open(one).episodes[0])
  assert frames(save / 'worldview_agentview.gif') == length


@pytest.mark.slow
def test_all_of_an_old_recording_says_what_it_lacks(tmp_path, capsys):
  run('--data', OLD, '--area', 64, 64, '--save', tmp_path / 'out')
  err = capsys.readouterr().err
  for what in ('fullworld', 'animate_world', 'world_only'):
    assert f'left out {what}: the recording has no world map' in err
  assert 'no metadata' in err
  made = names(tmp_path / 'out') - {'run_info.json'}
  (entry,) = read_run_info(tmp_path / 'out')
  assert {pathlib.Path(x).name for x in entry.outputs} == made
  images = all('image' in x.arrays for x in Trajectories.open(OLD, (64, 64)).episodes)
  left_out = set(entry.extra['left_out'])
  assert ('world' in left_out) == (not images)
  assert {'trajectories.png', 'heatmap.png', 'trajectories.gif'} <= made


@pytest.mark.parametrize(
  ('plot', 'made'),
  [
    ('trajectories', {'trajectories.png'}),
    ('heatmap', {'heatmap.png'}),
    ('activation', {'deter_0_activation.png'}),
    ('spatial', {'deter_spatial.png', 'deter_spatial.csv'}),
    ('world', {'world_overlay.png'}),
    ('fullworld', {'fullworld_overlay.png'}),
    ('animate', {'trajectories.gif'}),
    ('animate_world', {'fullworld_trajectories.gif'}),
    ('worldview', {'worldview_agentview.gif'}),
    ('world_only', {'world_only.png'}),
  ],
)
def test_each_plot_alone(two, tmp_path, plot, made):
  run('--data', two, '--plot', plot, '--save', tmp_path / 'a' / 'b')
  assert names(tmp_path / 'a' / 'b') == made | {'run_info.json'}


def test_layer_and_unit(two, tmp_path):
  def content(*flags):
    folder = tmp_path / 'out'
    run('--data', two, '--plot', 'activation', '--save', folder, *flags)
    (path,) = folder.glob('*.png')
    value = path.name, path.read_bytes()
    path.unlink()
    return value

  base = content()
  unit = content('--unit', 3)
  layer = content('--layer', 'dyn/stoch')
  assert [base[0], unit[0], layer[0]] == [
    'deter_0_activation.png',
    'deter_3_activation.png',
    'dyn_stoch_0_activation.png',
  ]
  assert len({base[1], unit[1], layer[1]}) == 3


def test_spatial_csv_has_a_row_for_each_unit(two, tmp_path):
  run('--data', two, '--plot', 'spatial', '--save', tmp_path)
  with open(tmp_path / 'deter_spatial.csv') as file:
    rows = list(csv.DictReader(file))
  assert sorted(int(x['unit']) for x in rows) == list(range(120))
  assert {'r', 'low', 'high', 'p', 'q', 'r_x', 'r_y'} <= set(rows[0])


@pytest.mark.slow
def test_mp4_step_ms_and_window(two, tmp_path):
  def film(*flags):
    out = tmp_path / '-'.join(map(str, flags)).replace('--', '')
    run('--data', two, '--plot', 'worldview', '--save', out, *flags)
    (path,) = out.glob('worldview*')
    with av.open(str(path)) as file:
      stream = file.streams.video[0]
      rate = stream.average_rate or 0
      return path.suffix, float(rate), stream.width

  assert film('--mp4') == ('.mp4', 5.0, film()[2])
  assert film('--mp4', '--step_ms', 100)[1] == 10
  assert film('--step_ms', 50)[1] == pytest.approx(20)
  assert film('--window_tiles', 5)[2] < film('--window_tiles', 9)[2]


@pytest.mark.slow
def test_view_flags_change_the_field_of_view(two, tmp_path):
  def content(*flags):
    run('--data', two, '--plot', 'worldview', '--save', tmp_path, *flags)
    return (tmp_path / 'worldview_agentview.gif').read_bytes()

  looks = {content(), content('--view_half', 2), content('--egocentric_view', 7)}
  assert len(looks) == 3
  assert content('--egocentric_view', 0) == content()


def test_the_recorded_view_is_the_default(two, tmp_path, capsys):
  from dreamerv3.base import unpickle

  values = unpickle.load(two / 'metadata.pkl')
  values['settings'] = {'env': {'egocentric_view': 7}}
  files.save_pickle(two / 'metadata.pkl', values)
  args = plot_trajectories.TrajectoryPlotSettings(data=str(two))
  assert plot_trajectories.seen_as(args, Trajectories.open(two)).egocentric
  args = plot_trajectories.TrajectoryPlotSettings(data=str(two), egocentric_view=0)
  assert not plot_trajectories.seen_as(args, Trajectories.open(two)).egocentric


def test_max_episodes_and_thinning(tmp_path, monkeypatch, capsys):
  data = synthetic.record(tmp_path / 'r', {}, episodes=12, length=8, image=64)
  run('--data', data, '--plot', 'worldview', '--save', tmp_path / 'a')
  assert 'the first 10 of 12 episodes' in capsys.readouterr().err
  found = Trajectories.open(data).episodes
  count = sum(len(x) for x in found[:10])
  assert frames(tmp_path / 'a' / 'worldview_agentview.gif') == count
  monkeypatch.setitem(plot_trajectories.FRAMES, '.gif', 40)
  run(
    '--data',
    data,
    '--plot',
    'worldview',
    '--save',
    tmp_path / 'b',
    '--max_episodes',
    11,
  )
  assert 'shows one timestep in' in capsys.readouterr().err
  assert 22 <= frames(tmp_path / 'b' / 'worldview_agentview.gif') <= 40


def test_worlds_of_their_own(tmp_path, capsys):
  import dataclasses

  data = synthetic.record(tmp_path / 'r', CODES, episodes=2, image=64)
  metadata = dataclasses.replace(
    Trajectories.open(data).metadata, fixed_seed=False, world_map=None
  )
  files.save_pickle(data / 'metadata.pkl', metadata.to_dict())
  run('--data', data, '--plot', 'world', '--save', tmp_path / 'out')
  assert 'in a world of its own' in capsys.readouterr().err


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (('--plot', 'heat'), 'invalid choice'),
    (('--layer', 'detr'), "No layer 'detr'; nearest: dyn/deter"),
    (('--unit', 120), 'deter has units 0 to 119'),
    (('--unit', -1), 'expected at least 0'),
    (('--egocentric_view', 4), 'expected an odd number'),
    (('--view_half', 1), 'expected at least 2'),
    (('--step_ms', 5), 'expected at least 20'),
    (('--area', 5, 5), 'leave the flag out'),
    (('--windowtiles', 5), 'did you mean --window_tiles'),
    (('--show',), 'needs a screen'),
    (('--plot', 'heatmap', '--mp4'), '--mp4 would do nothing with --plot heatmap'),
    (('--plot', 'animate', '--show'), '--show would do nothing with --plot animate'),
    (('--plot', 'worldview', '--format', 'pdf'), '--format would do nothing'),
    (
      ('--egocentric_view', 7, '--view_half', 3),
      '--view_half would do nothing with an egocentric view',
    ),
  ],
)
def test_bad_input_writes_nothing(two, flags, message):
  with pytest.raises(UserError, match=message):
    run('--data', two, *flags)
  assert not (two.parent / 'plots').exists()


def test_a_plot_that_the_data_does_not_allow(tmp_path):
  with pytest.raises(UserError, match='no fullworld: the recording has no'):
    run(
      '--data', OLD, '--area', 64, 64, '--plot', 'fullworld', '--save', tmp_path / 'out'
    )
  with pytest.raises(UserError, match='give --area W H'):
    run('--data', OLD)
  assert not (tmp_path / 'out').exists()


def test_without_images_layers_or_facing(tmp_path, capsys):
  data = tmp_path / 'bare'
  files.make_folder(data)
  pos = np.array([[1, 1], [1, 2], [2, 2]], np.float32)
  files.save_pickle(data / 'episode_001.pkl', {'player_pos': pos})
  run('--data', data, '--area', 8, 8, '--save', tmp_path / 'out')
  err = capsys.readouterr().err
  for line in (
    'left out activation: the recording has no layers',
    'left out world: the recording has no images',
    'left out worldview: the recording has no images',
  ):
    assert line in err
  assert names(tmp_path / 'out') == {
    'trajectories.png',
    'heatmap.png',
    'trajectories.gif',
    'run_info.json',
  }


def test_an_error_is_one_line_and_code_2(tmp_path):
  done = cli.script('plot_trajectories', '--data', tmp_path / 'none')
  assert done.returncode == 2
  assert done.stderr.count('\n') == 1
  assert 'does not exist' in done.stderr
