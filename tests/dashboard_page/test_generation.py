"""Orders, where they are kept, and the command behind them."""

import pathlib
import time

import pytest

from dreamerv3.dashboard_page import episodes, generation, worlds
from dreamerv3.dashboard_page.generation import Generating, Order
from dreamerv3.data.trajectories import Trajectories
from embodied.run import checkpoint
from tests import recorded_runs
from tests.dashboard_page import planted


@pytest.fixture
def order(tmp_path, monkeypatch):
  monkeypatch.setattr(generation, 'MAIN', planted.program(tmp_path))
  run = planted.run(tmp_path / 'run')
  return Order(run, checkpoint.find(run))


def until_it_ends(job):
  end = time.monotonic() + 60
  while job.running:
    assert time.monotonic() < end
    time.sleep(0.02)


def test_an_order_is_found_again_and_another_is_not(order):
  again = Order(order.run, order.checkpoint)
  assert again.folder == order.folder
  mobs = {'env.crafter.disable_mobs': True}
  assert Order(order.run, order.checkpoint, mobs).folder != order.folder
  assert Order(order.run, pathlib.Path('other')).folder != order.folder
  assert order.folder.parent == order.run / 'dashboard'


def test_episodes_are_made_and_more_are_added(order):
  for count in (1, 3):
    job = Generating(order, count)
    until_it_ends(job)
    assert (job.done(), job.error(), job.line()) == (count, '', 'Recording')
  assert order.have(3) == 3
  own = worlds.own_settings(order.run)
  (kept,) = episodes.recordings(order.run, own)
  assert kept == (order.episodes, 'the world of the run: 3 episodes')


def test_a_failure_is_one_line(order, tmp_path):
  (tmp_path / 'fail').touch()
  job = Generating(order, 1)
  until_it_ends(job)
  assert job.error() == '--env.crafter.area is odd; expected even.'


def test_a_command_is_stopped(order, tmp_path):
  (tmp_path / 'linger').touch()
  job = Generating(order, 1)
  job.stop()
  until_it_ends(job)
  assert job.stopped
  assert job.error() == ''


@pytest.mark.slow
def test_an_agent_plays_in_another_world(tmp_path):
  run = recorded_runs.make_run(tmp_path / 'run')
  changed = {'env.crafter.area': (24, 20), 'env.crafter.fixed_seed': False}
  order = Order(run, checkpoint.find(run), changed)
  job = Generating(order, 2)
  until_it_ends(job)
  assert (job.error(), job.done()) == ('', 2)
  data = Trajectories.open(order.episodes)
  assert data.layers() == {'val/value': 1}
  shown = episodes.ShownEpisode.of(data.episodes[1], data.metadata)
  assert shown.scene.tiles == (24, 20)
  assert shown.lines.keys() >= {'reward', 'value', 'health'}
  (kept,) = episodes.recordings(run, worlds.own_settings(run))
  assert kept.label == ('area 24 20, fixed_seed False, agent at step 1,000: 2 episodes')
  assert {x.ending for x in episodes.summaries(data)} <= {
    *('hunger', 'thirst', 'combat', 'lava', 'hunger and thirst', 'alive')
  }
