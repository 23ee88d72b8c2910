"""The page in a headless Chromium: it opens, and does what is clicked."""

import pathlib

import pytest

from dreamerv3 import report
from dreamerv3.pages.explorer import explorer
from dreamerv3.pages.packing import pack
from dreamerv3.pages.page import page as build
from tests import browser as browsers
from tests.pages import made_run

pytestmark = pytest.mark.skipif(
  browsers.program() is None, reason='no Chromium on this machine'
)
TITLE = 'document.querySelector("#explorer .unit h3").textContent'
PAPER = 'getComputedStyle(document.body).backgroundColor'


@pytest.fixture(scope='module')
def browser():
  with browsers.Browser() as found:
    yield found


@pytest.fixture(scope='module')
def path(tmp_path_factory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp('page')
  run = made_run.make(folder / 'run')
  path = folder / 'page.html'
  report.main(['--logdir', str(run), '--save', str(path)])
  return path


@pytest.fixture
def page(browser, path):
  browser.errors.clear()
  browser.resize(1200, 900)
  browser.dark(False)
  browser.open(path)
  assert browser.value('document.documentElement.dataset.ready') == 'yes'
  yield browser
  assert not browser.errors


def part(section, name):
  return f"""document.querySelector('#{section} [data-part="{name}"]')"""


def press(page, element):
  """A click in the middle of an element."""
  page.value(f'{element}.scrollIntoView({{block: "center"}})')
  x, y, w, h = page.value(
    f'(r => [r.x, r.y, r.width, r.height])({element}.getBoundingClientRect())'
  )
  page.click(x + w / 2, y + h / 2)


def pixels(page, canvas):
  """How many colours a canvas shows."""
  return page.value(
    f"""(c => new Set(new Uint32Array(c.getContext('2d')
    .getImageData(0, 0, c.width, c.height).data.buffer)).size)({canvas})"""
  )


def test_it_opens_with_the_best_unit_chosen(page):
  title = page.value(TITLE)
  values = made_run.table('dyn/deter').metrics['EVs']
  assert title == f'dyn/deter {values.argmax()}'
  assert pixels(page, 'document.querySelector("#explorer .map")') > 10
  links = page.value('[...document.querySelectorAll("nav a")].map(x => x.textContent)')
  assert links[:4] == ['Known', 'Units', 'Episodes', 'Dreams']
  assert links[4:] == ['Figures', 'Missing', 'Provenance']


def test_a_click_shows_the_unit(page):
  page.value(f'{part("explorer", "cloud")}.scrollIntoView()')
  for unit in (3, 17):
    x, y = page.value(f'page.parts.explorer.cloud.place({unit})')
    page.click(x, y)
    shown = page.value(TITLE)
    assert shown == f'dyn/deter {unit}'
    table = made_run.table('dyn/deter')
    text = page.value('document.querySelector("#explorer .scores").textContent')
    assert f'{table.metrics["SI"][unit]:.3g}'.rstrip('0') in text
    drawn = page.value(f'{part("player", "pick")}.value')
    assert drawn == str(unit)


def test_filters_filter(page):
  count = part('explorer', 'count')
  assert page.value(f'{count}.textContent') == '30 of 30 units'
  page.value(
    f"""(e => {{ e.value = '0.5'; e.dispatchEvent(new Event('input')); }})
    ({part('explorer', 'least')})"""
  )
  left = int((made_run.table('dyn/deter').metrics['EVs'] >= 0.5).sum())
  assert page.value(f'{count}.textContent') == f'{left} of 30 units'
  rows = page.value(f'{part("explorer", "list")}.children.length')
  assert rows == left
  chip = f'{part("explorer", "classes")}.children[0]'
  press(page, chip)
  assert page.value(f'{chip}.getAttribute("aria-pressed")') == 'false'
  assert int(page.value(f'{count}.textContent').split()[0]) < left


def test_a_unit_is_found_by_its_number(page):
  for text, found in (('21', 'dyn/deter 21'), ('deter 4', 'dyn/deter 4')):
    page.value(
      f"""{part('explorer', 'number')}.value = '{text}';
      {part('explorer', 'search')}.requestSubmit()"""
    )
    assert page.value(TITLE) == found
  page.value("page.parts.explorer.search('400')")
  assert 'No unit 400' in page.value(f'{part("explorer", "found")}.textContent')


def test_other_axes_move_the_points(page):
  before = page.value('page.parts.explorer.cloud.place(5)')
  page.value(
    f"""(e => {{ e.value = 4; e.dispatchEvent(new Event('change')); }})
    ({part('explorer', 'x')})"""
  )
  assert page.value('page.parts.explorer.cloud.place(5)') != before
  names = page.value('page.parts.explorer.scores.map(x => x.name)')
  other = made_run.results('dyn/deter').control['dyn/deter'].metrics['EVs'][5]
  place = names.index('EVs_untrained')
  found = page.value(f'page.parts.explorer.scores[{place}].values[5]')
  assert abs(found - other) < 1e-3


def test_the_list_is_saved_as_csv(page, tmp_path):
  page.call('Browser.setDownloadBehavior', behavior='allow', downloadPath=str(tmp_path))
  press(page, part('explorer', 'csv'))
  page.wait('true')
  target = tmp_path / 'units.csv'
  for _ in range(200):
    if target.exists():
      break
    page.value('new Promise(done => setTimeout(done, 25))')
  lines = target.read_text().splitlines()
  assert len(lines) == 31
  assert lines[0].startswith('layer,unit,class_tested,SI,EVs')


def test_the_player_plays_and_scrubs(page):
  time = part('player', 'time')
  press(page, part('player', 'play'))
  page.wait(f'Number({time}.value) > 2')
  press(page, part('player', 'play'))
  assert page.value(f'{part("player", "play")}.textContent') == 'Play'
  page.value(
    f"""(e => {{ e.value = 7; e.dispatchEvent(new Event('input')); }})({time})"""
  )
  facts = page.value(f'{part("player", "facts")}.textContent')
  assert 'step7 of' in facts
  assert 'decoded(' in facts
  assert pixels(page, part('player', 'frame')) > 10
  assert pixels(page, part('player', 'map')) > 10


def test_another_episode_says_whether_the_decoder_knew_it(page):
  said = []
  for k in range(4):
    page.value(f'page.parts.player.open({k})')
    said.append(page.value(f'{part("player", "said")}.textContent'))
  unseen = [x.startswith('The decoder never saw') for x in said]
  assert unseen == [False, False, True, True]


def test_dreams_are_shown_step_by_step(page):
  page.value('page.parts.dreams.open(0)')
  assert 'Step 3 of 3' in page.value(f'{part("dreams", "now")}.textContent')
  page.value('page.parts.dreams.seek(1)')
  assert '(2, 3)' in page.value(f'{part("dreams", "now")}.textContent')
  row = page.value(f'{part("dreams", "errors")}.children[1].textContent')
  assert row == 'dream, real actions(2, 3)0'


@pytest.mark.parametrize('dark', [False, True])
def test_it_fits_a_narrow_screen_and_a_dark_one(page, dark):
  page.dark(dark)
  page.resize(390, 844, mobile=True)
  page.wait('innerWidth <= 400')
  assert page.value('document.documentElement.scrollWidth') <= 390
  paper = page.value(PAPER)
  assert (paper == 'rgb(255, 255, 255)') == (not dark)
  for _ in range(2):  # auto, light, dark
    page.value('document.getElementById("look").click()')
  assert page.value(PAPER) != 'rgb(255, 255, 255)'


def test_names_with_markup_do_nothing(browser, tmp_path):
  run = made_run.make(tmp_path / 'run', layer=made_run.HOSTILE)
  report.main(['--logdir', str(run), '--save', str(tmp_path / 'page.html')])
  browser.errors.clear()
  browser.open(tmp_path / 'page.html')
  assert browser.value('document.querySelectorAll("main img[src=x]").length') == 0
  title = browser.value(TITLE)
  assert made_run.HOSTILE in title
  assert not browser.errors


def test_units_alone_are_a_page_too(browser, tmp_path):
  units = explorer(made_run.results('enc/tokens', 'dyn/deter', control=False))
  (tmp_path / 'page.html').write_text(build('units', '', '', {'units': pack(units)}))
  browser.errors.clear()
  browser.open(tmp_path / 'page.html')
  assert '60 of 60' in browser.value(f'{part("explorer", "count")}.textContent')
  assert not browser.errors
