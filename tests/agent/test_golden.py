"""The agent gives the numbers of the published one."""

import pathlib
import shutil

import numpy as np
import pytest

from bench import golden

PATH = pathlib.Path(__file__).parents[1] / 'fixtures' / 'dreamerv3_size1m.npz'


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_group_agrees():
  errors = golden.compare(str(PATH))
  assert errors.keys() == golden.LIMITS.keys()
  for name, group in errors.items():
    for key, error in group.items():
      assert error <= golden.LIMITS[name], (name, key, error)


@pytest.mark.slow
def test_forward_agrees_and_a_changed_parameter_shows():
  agent = golden.Golden(str(PATH))
  agent.forward()
  assert len(agent.errors['forward']) == 17
  assert max(agent.errors['forward'].values()) < golden.FORWARD
  agent.state['dyn/dyngru/bias'] = agent.state['dyn/dyngru/bias'] + 0.01
  agent.forward()
  assert agent.errors['forward']['out/deter'] > golden.FORWARD


def test_units_agree_and_a_changed_number_shows():
  agent = golden.Golden(str(PATH))
  agent.units()
  assert len(agent.errors['units']) == 15
  assert max(agent.errors['units'].values()) < golden.FORWARD
  agent.data['unit/lam/rew'] = agent.data['unit/lam/rew'] + 0.01
  agent.units()
  assert agent.errors['units']['unit/lam/ret'] > golden.FORWARD


def test_error_is_relative_to_the_largest_value_and_sees_nan():
  assert golden.error(np.array([1.0, 101.0]), np.array([0.0, 100.0])) == 0.01
  assert golden.error(np.array([np.nan]), np.array([1.0])) == np.inf
  with pytest.raises(ValueError, match='shape'):
    golden.error(np.zeros(2), np.zeros(3))


def test_missing_file_is_one_line(capsys):
  assert golden.main(['--npz', 'nowhere.npz']) == 2
  assert capsys.readouterr().err.count('\n') == 1


def test_exit_code_of_a_failing_file(tmp_path, monkeypatch, capsys):
  path = tmp_path / 'copy.npz'
  shutil.copy(PATH, path)
  broken = {'forward': {'out/deter': 1.0}}
  monkeypatch.setattr(golden, 'compare', lambda _: broken)
  assert golden.main(['--npz', str(path)]) == 1
  assert 'FAILED' in capsys.readouterr().out
  monkeypatch.setattr(golden, 'compare', lambda _: {'forward': {'x': 0.0}})
  assert golden.main(['--npz', str(path)]) == 0
