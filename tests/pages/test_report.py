"""The page of a run: what is in it, what is said to be missing, nothing that runs."""

import html.parser
import re
import shutil

import pytest

from dreamerv3 import report
from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError
from dreamerv3.pages.gallery import figures, gallery
from dreamerv3.pages.readings import READINGS, reading
from dreamerv3.pages.sources import Sources
from dreamerv3.plots.units import tuning
from dreamerv3.run_info import log_run_info, read_run_info
from tests.pages import made_run
from tests.pages.test_packing import unpack


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  return made_run.make(tmp_path_factory.mktemp('run'))


def write(run, path, *words):
  report.main(['--logdir', str(run), '--save', str(path), *words])
  return path.read_text()


def data_of(text, name):
  found = re.search(rf'id="data-{name}">([^<]*)</script>', text)
  return unpack(found[1]) if found else None


class Tags(html.parser.HTMLParser):
  """Names and attributes of all elements."""

  def __init__(self, text):
    super().__init__()
    self.found = []
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    self.found.append((tag, dict(attrs)))


def test_a_page_has_all_of_a_run(run, tmp_path, capsys):
  text = write(run, tmp_path / 'page.html')
  assert 'Saved' in capsys.readouterr().out
  assert 'Replayed dreams beat chance on 3 of 5 steps.' in text
  assert 'dyn/deter: complex cells 50%.' in text
  assert dict(READINGS)['layer_comparison'].text[:40] in text
  assert len(data_of(text, 'units')['unit']) == made_run.UNITS
  assert len(data_of(text, 'player')['episodes']) == 4
  assert data_of(text, 'dreams')['real'].shape == (6, 6)
  assert 'tuning_curve, ' in text  # provenance
  assert (tmp_path / 'run_info.json').exists()
  (entry,) = read_run_info(tmp_path)
  assert {x.role for x in entry.inputs} == {'recording', 'tuning', 'decoder', 'dreams'}


def test_equal_input_gives_an_equal_page(run, tmp_path):
  first = write(run, tmp_path / 'a.html')
  assert first == write(run, tmp_path / 'b.html')


def test_the_page_of_a_run_lies_among_its_results(run, tmp_path, monkeypatch):
  copy = shutil.copytree(run, tmp_path / 'run')
  monkeypatch.chdir(tmp_path)
  report.main(['--logdir', 'run'])
  first = (copy / 'report.html').read_text()
  report.main(['--logdir', 'run'])  # its own entry is no news
  assert (copy / 'report.html').read_text() == first


def test_what_is_missing_is_said_with_its_command(tmp_path):
  made_run.record(tmp_path / 'run' / 'trajectories')
  text = write(tmp_path / 'run', tmp_path / 'page.html')
  commands = re.findall(r'<code>(python .*?)</code>', text)
  assert len(commands) == 6
  assert any('tuning_curve.py --data' in x for x in commands)
  assert data_of(text, 'units') is None
  assert 'id="explorer"' not in text
  assert data_of(text, 'player')['episodes'][0]['decoded'] is None


def test_a_damaged_file_is_left_out_and_named(run, tmp_path, capsys):
  copy = shutil.copytree(run, tmp_path / 'run')
  (copy / 'tuning_results' / 'tuning_results.pkl').write_bytes(b'\x80\x04x')
  (copy / 'decoder_results' / 'layer_comparison.png').write_bytes(b'no picture')
  dreamt = copy / 'dream_results' / 'dream_results.pkl'
  files.save_pickle(dreamt, {**made_run.dreams(), 'valid': None})
  text = write(copy, tmp_path / 'page.html')
  assert f'{dreamt} is damaged' in text
  assert 'Left out:' in capsys.readouterr().out
  assert data_of(text, 'units') is None
  assert data_of(text, 'dreams') is None
  assert data_of(text, 'player') is not None
  assert 'is no picture' in text


def test_figures_without_room_are_named(run):
  text = gallery(run, room=10)
  assert '<img' not in text
  assert 'Not here: decoder_results/layer_comparison.png.' in text


def test_a_figure_without_a_png_is_named(tmp_path):
  for name in ('a.png', 'a.pdf', 'b.pdf'):
    (tmp_path / name).write_bytes(b'?')
  outputs = [tmp_path / x for x in ('a.pdf', 'a.png', 'b.pdf')]
  log_run_info(tmp_path, 'plot_trajectories', {}, outputs)
  assert figures(tmp_path) == [tmp_path / 'a.png', tmp_path / 'b.pdf']
  assert 'b.pdf (drawn without a PNG)' in gallery(tmp_path)


@pytest.mark.parametrize('layer', ['deter', 'dyn_deter'])
def test_figures_of_all_commands_have_a_reading(layer):
  kinds = [*tuning.FIGURES, 'srsa', 'hillfit', 'isomap_position', 'isomap_wakedream']
  kinds += ['swdist', 'sw_over_time', 'scree', 'umap', 'dist_SI', 'spatial']
  names = [f'{layer}_{x}.png' for x in kinds]
  names += [f'{x}_{layer}.png' for x in ('classification', 'occupancy_vs_error')]
  names += [f'probmap_world_{layer}_ep3.png', f'probmap_{layer}_ep3.png']
  alone = 'layer_comparison layer_summary manifold_summary dream_vs_real heatmap '
  alone += 'dream_trajectories_world dream_probmap_1 training_progress trajectories '
  alone += 'over_training world_overlay fullworld_overlay world_only'
  names += [f'{x}.png' for x in alone.split()]
  assert [x for x in names if reading(x) is None] == []


def test_text_from_files_is_no_markup(tmp_path):
  bad = made_run.HOSTILE.replace('/', '\\')  # no name of a file has a /
  run = made_run.make(tmp_path / f'run{bad}', layer=made_run.HOSTILE)
  said = {'verdict': made_run.HOSTILE}
  log_run_info(run / 'dream_results', made_run.HOSTILE, {'x': 1}, [])
  log_run_info(run / 'dream_results', 'dream_decode', {}, [], said)
  text = write(run, tmp_path / 'page.html')
  assert made_run.HOSTILE not in text
  for tag, attributes in Tags(text).found:
    assert (tag, attributes) != ('b', {})
    assert not any(x.startswith('on') for x in attributes)
    assert attributes.get('src', 'data:').startswith('data:')
  assert [x for x, _ in Tags(text).found].count('script') == 4
  assert data_of(text, 'units')['layers'] == [made_run.HOSTILE]


def test_a_page_asks_for_nothing_from_outside(run, tmp_path):
  text = write(run, tmp_path / 'page.html')
  (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
  assert policy.startswith("default-src 'none'")
  assert 'unsafe-eval' not in policy
  assert "script-src 'sha256-" in policy
  head = text.partition('<script')[0]
  assert not re.search(r'(src|href)="https?:', head)


def test_refusals(tmp_path, run):
  with pytest.raises(UserError, match='is no folder'):
    report.main(['--logdir', str(tmp_path / 'none')])
  with pytest.raises(UserError, match='nothing to show yet'):
    report.main(['--logdir', str(tmp_path)])
  with pytest.raises(UserError, match=r'ends in \.html'):
    report.main(['--logdir', str(run), '--save', str(tmp_path / 'page.txt')])
  assert not list(tmp_path.iterdir())


def test_the_recording_is_the_one_that_was_measured(tmp_path):
  copy = made_run.make(tmp_path / 'run')
  (copy / 'trajectories').rename(copy / 'second')
  made_run.record(copy / 'trajectories')
  path = copy / 'trajectories' / 'metadata.pkl'
  files.save_pickle(path, {**unpickle.load(path), 'seed': 5})
  assert Sources.find(copy).recording == copy / 'second'
