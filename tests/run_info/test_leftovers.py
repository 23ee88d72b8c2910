"""A folder holds the files of one run of a stage, and the user's own."""

import os
import time

import pytest

from dreamerv3.run_info import leftovers, log_run_info


@pytest.fixture
def folder(tmp_path):
  """Two files of a run in mode a, one of mode b, one of the user."""
  for name in ('kept.csv', 'old.csv', 'model.pkl', 'other.csv', 'mine.csv'):
    (tmp_path / name).touch()
  own = [tmp_path / x for x in ('kept.csv', 'old.csv', 'model.pkl')]
  log_run_info(tmp_path, 's', {'mode': 'a'}, own)
  log_run_info(tmp_path, 's', {'mode': 'b'}, [tmp_path / 'other.csv'])
  return tmp_path


def clear(folder, stage='s'):
  leftovers.clear(
    folder,
    stage,
    [folder / 'kept.csv'],
    lambda entry: entry.args['mode'] == 'a',
    ['model*.pkl'],
  )
  return {x.name for x in folder.iterdir() if x.suffix in ('.csv', '.old')}


def test_what_a_run_did_not_write_again_goes(folder, capsys):
  assert clear(folder) == {'kept.csv', 'other.csv', 'mine.csv'}
  assert (folder / 'model.pkl').exists()
  assert f'Deleted 1 file of earlier runs from {folder}' in capsys.readouterr().out


def test_a_damaged_run_info_does_not_end_a_run(folder, capsys):
  (folder / 'run_info.json').write_text('{')
  assert 'old.csv' in clear(folder)
  assert 'Files of earlier runs stay' in capsys.readouterr().err


def test_another_stage_is_left_alone(folder, capsys):
  assert 'old.csv' in clear(folder, 'other')
  assert not capsys.readouterr().out


def test_a_file_that_the_user_changed_is_moved_aside(folder, capsys):
  later = time.time() + 60
  os.utime(folder / 'old.csv', (later, later))
  assert clear(folder) >= {'old.csv.old', 'other.csv'}
  assert 'Renamed 1 file' in capsys.readouterr().out


def test_a_folder_that_was_moved(folder, tmp_path_factory):
  moved = tmp_path_factory.mktemp('moved') / 'results'
  folder.rename(moved)
  assert clear(moved) == {'kept.csv', 'other.csv', 'mine.csv'}


def test_what_an_entry_of_another_kind_lists_too_stays(folder):
  log_run_info(folder, 's', {'mode': 'b'}, [folder / 'old.csv'])
  assert 'old.csv' in clear(folder)
