"""Figures for print: as wide as asked for, text of at least 6 points, in every form."""

import dataclasses

import pytest
from matplotlib.text import Text
from PIL import Image

from dreamerv3.analysis.geometry.study import Estimate
from dreamerv3.analysis.growth import CheckpointCode, Growth
from dreamerv3.base.drawing import FigureFlags
from dreamerv3.base.errors import UserError
from dreamerv3.plots import style
from dreamerv3.plots.runs import growth, training, training_conditions
from dreamerv3.plots.units import tuning
from dreamerv3.plots.units.layer_summary import layer_summary
from tests import cli
from tests.plots.runs.test_training import make_run
from tests.plots.tuning_results import results as make_results


@pytest.fixture(scope='module')
def results():
  return make_results(n_shuffles=20, control=True)


def draw(results):
  yield layer_summary(results)
  yield tuning.cell_type_bars(results, 'dyn/deter')
  yield tuning.si_ev_scatter(results, 'dyn/deter')
  yield training.progress([make_run()])
  yield training_conditions.progress({'a': [make_run()], 'b': [make_run(1.0)]})
  known = Estimate(1.0, 0.5, 1.5)
  codes = [CheckpointCode(x, known, 2.0, known) for x in (0, 100)]
  yield growth.over_training([Growth('run', tuple(codes), make_run().score)])


@pytest.mark.parametrize(
  ('page', 'width'), [('single', 89 / 25.4), ('double', 183 / 25.4), ('slide', 5.6)]
)
def test_figures_are_as_wide_as_the_page_and_legible(page, width, results):
  with style.page(page):
    for figure in draw(results):
      assert figure.get_figwidth() == pytest.approx(width)
      figure.canvas.draw()
      shown = [x for x in figure.findobj(Text) if x.get_text() and x.get_visible()]
      assert min(x.get_fontsize() for x in shown) >= style.SMALL == 6
      panels = [x.get_window_extent() for x in figure.axes if x.get_title()]
      assert min(x.width for x in panels) > 0.9 * figure.dpi
      if page == 'double':
        box = figure.get_tightbbox(figure.canvas.get_renderer())
        assert box.x0 > -0.05
        assert box.x1 < width + 0.05


def test_by_itself_a_figure_is_at_most_a_page_wide(results):
  assert all(x.get_figwidth() <= 183 / 25.4 + 1e-9 for x in draw(results))


def test_all_forms_are_written_and_say_no_date(results, tmp_path):
  figure = tuning.si_ev_scatter(results, 'dyn/deter')
  look = FigureFlags(format='png,pdf, svg')
  paths = look.save_figure(tmp_path, 'x', figure)
  assert [x.name for x in paths] == ['x.png', 'x.pdf', 'x.svg']
  with Image.open(paths[0]) as image:
    assert image.width == pytest.approx(300 * figure.get_figwidth(), abs=1)
  first = [x.read_bytes() for x in paths]
  assert b'CreationDate' not in first[1]
  assert b'<dc:date>' not in first[2]
  again = tuning.si_ev_scatter(results, 'dyn/deter')
  look.save_figure(tmp_path, 'x', again)
  assert [x.read_bytes() for x in paths] == first


def test_unknown_forms_are_refused_before_any_work():
  with pytest.raises(UserError, match="--format is 'png,gif'; expected png, pdf, svg"):
    FigureFlags(format='png,gif')
  with pytest.raises(UserError, match='--format'):
    dataclasses.replace(FigureFlags(), format='')


def test_no_matplotlibrc_changes_a_figure(tmp_path):
  (tmp_path / 'matplotlibrc').write_text('text.usetex: True\nfont.family: serif\n')
  code = (
    'from dreamerv3.plots import style; figure, axes = style.new_figure(); '
    'axes[0, 0].set_title("$"); figure.savefig("x.png"); print("drawn")'
  )
  how = {'cwd': tmp_path, 'PYTHONPATH': str(cli.ROOT)}
  done = cli.python('-c', code, **how)
  assert done.stdout == 'drawn\n', done.stderr
