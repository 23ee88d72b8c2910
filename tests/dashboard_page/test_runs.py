"""Runs in folders, and how it is with each, damaged ones too."""

import os

from dreamerv3.base.host.holder import here
from dreamerv3.dashboard_page import runs
from dreamerv3.run_info import noting
from tests.dashboard_page import planted


def test_runs_are_found_below_a_folder_and_as_one(tmp_path):
  first = planted.run(tmp_path / 'study' / 'usual_seed0')
  (first / 'inner').mkdir()
  (first / 'inner' / 'config.yaml').touch()  # of a replica, no run of its own
  (tmp_path / 'notes').mkdir()
  assert runs.find([tmp_path, first]) == [first]


def test_what_a_run_does_is_told(tmp_path):
  run = planted.run(tmp_path / 'run')
  assert runs.look(run) == (run, 'trained', 39 * 9, False)
  with noting(run, 'train', {}):
    (run / '.lock').write_text(here().text())
    assert runs.look(run).word == 'training now'
    assert runs.look(run).trains
    (run / '.lock').write_text('')
    assert runs.look(run).word == 'was killed'
  assert runs.look(run).word == 'finished'


def test_a_damaged_run_is_one_line(tmp_path):
  run = planted.run(tmp_path / 'run')
  (run / 'run_info.json').write_text('{')
  assert runs.look(run).word.startswith('cannot be read: ')


def test_what_is_not_ours_gets_its_results_elsewhere(tmp_path, monkeypatch):
  run = planted.run(tmp_path / 'run')
  assert runs.results_of(run) == run
  monkeypatch.setattr(os, 'access', lambda path, mode: False)
  assert str(runs.results_of(run)) == 'logdir/run'
