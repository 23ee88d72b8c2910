"""The page in Streamlit's own test client: chosen, ordered, scrubbed, opened again."""

import shutil
import sys
import time

import pytest
from streamlit.testing.v1 import AppTest

from dreamerv3.dashboard_page import generation, order_view
from tests.dashboard_page import planted


def script(folders):
  import pathlib

  from dreamerv3.dashboard_page.app import page

  page([pathlib.Path(x) for x in folders])


@pytest.fixture(autouse=True)
def main_again(monkeypatch):
  """Streamlit makes each script the main module, which new processes would run."""
  monkeypatch.setitem(sys.modules, '__main__', sys.modules['__main__'])


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """Two runs, of which one has a recording, and a stand-in for main.py."""
  (tmp_path / 'fake').mkdir()
  monkeypatch.setattr(generation, 'MAIN', planted.program(tmp_path / 'fake'))
  planted.recording(planted.run(tmp_path / 'runs' / 'one') / 'trajectories')
  planted.run(tmp_path / 'runs' / 'two')
  order_view._jobs.clear()
  return tmp_path / 'runs'


def start(folder, part='Training', run='one'):
  page = AppTest.from_function(script, args=([str(folder)],), default_timeout=60)
  page.session_state['run'] = folder / run
  page.session_state['part'] = part
  return well(page.run())


def well(page):
  assert not page.exception, page.exception
  return page


def texts(page):
  kinds = (page.markdown, page.caption, page.error, page.info, page.warning)
  return [x.value for kind in (*kinds, page.success) for x in kind]


def until(page, holds):
  end = time.monotonic() + 60
  while not holds(page):
    assert time.monotonic() < end, texts(page)
    time.sleep(0.05)
    well(page.run())
  return page


def test_a_folder_without_runs_says_so(tmp_path):
  page = start(tmp_path)
  assert 'No run in' in well(page).info[0].value


def test_curves_of_several_runs_are_in_one_figure(folder):
  page = start(folder)
  states = page.dataframe[0].value
  assert [*states['state']] == ['trained', 'trained']
  assert len(page.get('vega_lite_chart')) == 1  # the score is all they log
  both = page.multiselect[0].set_value([folder / 'one', folder / 'two']).run()
  assert str(folder / 'two') in str(well(both).get('vega_lite_chart')[0].proto)


def test_a_damaged_run_leaves_the_page_standing(folder):
  (folder / 'two' / 'scores.jsonl').write_text('no log')
  page = start(folder, run='two')
  assert 'hold no complete line' in page.warning[0].value
  (folder / 'two' / 'config.yaml').write_text('[')
  page = start(folder, 'New episodes', 'two')
  assert 'config.yaml' in page.error[0].value


def test_episodes_are_scrubbed(folder):
  page = start(folder, 'Episodes')
  assert page.selectbox[1].options == ['trajectories: 3 episodes']
  assert 'died: hunger and lava' in page.selectbox[2].options[0]
  assert any('0 of 1 unlocked' in x for x in texts(page))
  before = texts(page)
  well(page.slider[0].set_value(21).run())
  assert texts(page) != before
  assert any('collect wood, step 20' in x for x in texts(page))
  other = page.selectbox[2].options[1]
  well(page.selectbox[2].select(other).run())
  assert page.slider[0].value == 0


def test_an_episode_plays_to_its_end(folder):
  page = start(folder, 'Episodes')
  last = page.slider[0].max
  page.slider[0].set_value(last - 2).run()
  page.toggle[0].set_value(True).run()
  page = until(page, lambda x: not x.toggle[0].value)
  assert page.slider[0].value == last
  page = well(page.toggle[0].set_value(True).run())
  assert page.slider[0].value == 1


def test_episodes_are_made_to_order_and_opened_again(folder):
  page = start(folder, 'New episodes', 'two')
  mobs = next(x for x in page.toggle if x.label == 'Disable mobs')
  page = well(mobs.set_value(True).run())
  assert any(x.startswith('disable_mobs True; kept in') for x in texts(page))
  count = next(x for x in page.slider if x.label == 'Episodes')
  page = well(count.set_value(3).run())
  page.button[0].click().run()
  page = until(page, lambda x: x.session_state['part'] == 'Episodes')
  well(page.run())
  assert page.selectbox[1].options[0].endswith(': 3 episodes')
  page.session_state['part'] = 'New episodes'
  page = well(page.run())
  count = next(x for x in page.slider if x.label == 'Episodes')
  page = well(count.set_value(2).run())  # mobs are off as before
  assert page.success[0].value == '2 such episodes are there.'
  page = well(page.button[0].click().run())
  assert page.session_state['part'] == 'Episodes'


def test_a_failed_order_is_one_line(folder):
  (folder.parent / 'fake' / 'fail').touch()
  page = start(folder, 'New episodes', 'two')
  page.button[0].click().run()
  page = until(page, lambda x: x.error)
  assert page.error[0].value == '--env.crafter.area is odd; expected even.'


def test_an_order_is_stopped(folder):
  (folder.parent / 'fake' / 'linger').touch()
  page = start(folder, 'New episodes', 'two')
  page.button[0].click().run()
  page = until(page, lambda x: 'Recording' in texts(x))
  page.button[1].click().run()
  page = until(page, lambda x: x.info)
  assert page.info[0].value.startswith('Stopped')


def test_episodes_that_are_gone_are_not_missed(folder):
  page = start(folder, 'Episodes')
  shutil.rmtree(folder / 'one' / 'trajectories')
  assert page.run().info[0].value.startswith('No episode was recorded')
  planted.recording(folder / 'one' / 'more', 1)
  page = well(page.run())
  assert page.selectbox[1].value == folder / 'one' / 'more'
