"""Which settings of a world are on offer, and what becomes of them."""

import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.dashboard_page import worlds
from tests.dashboard_page import planted


def test_controls_have_the_values_of_the_run(tmp_path):
  run = planted.run(tmp_path / 'run', '--env.crafter.area', '200', '32')
  known = {x.label: x for x in worlds.controls(worlds.own_settings(run))}
  names = {'area', 'fixed seed', 'random spawn', 'egocentric view', 'disable mobs'}
  assert known.keys() == {*names, 'seed'}
  assert known['area'].own == (200, 32)
  assert known['area'].high == 200
  assert known['disable mobs'].help == 'no zombies, skeletons and arrows'


def test_what_differs_becomes_flags(tmp_path):
  own = worlds.own_settings(planted.run(tmp_path / 'run'))
  chosen = {x.key: x.own for x in worlds.controls(own)}
  assert worlds.words(worlds.changes(chosen, own), own) == []
  chosen |= {'env.crafter.area': (40, 20), 'env.crafter.fixed_seed': False}
  changed = worlds.changes(chosen, own)
  assert worlds.told(changed) == 'area 40 20, fixed_seed False'
  assert worlds.words(changed, own) == [
    *('--env.crafter.area', '40', '20', '--env.crafter.fixed_seed', 'False'),
    *('--eval_trajectory.one_world', 'False'),
  ]


def test_other_games_are_refused(tmp_path):
  run = planted.run(tmp_path / 'run', '--task', 'grid_open')
  with pytest.raises(UserError, match='grid_open; only Crafter'):
    worlds.own_settings(run)
