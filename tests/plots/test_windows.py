"""Windows, as far as they can be tested without a screen."""

import pytest
from matplotlib import pyplot

from dreamerv3.base.errors import UserError
from dreamerv3.plots import style, windows


def test_no_screen_is_told_at_once():
  with pytest.raises(UserError, match='--show needs a screen, and matplotlib uses agg'):
    windows.check()


def test_figures_drawn_off_screen_get_windows(monkeypatch):
  shown = []
  monkeypatch.setattr(pyplot, 'show', lambda: shown.extend(pyplot.get_fignums()))
  figures = [style.new_figure()[0] for _ in range(2)]
  windows.show(figures)
  assert len(shown) == 2
  pyplot.close('all')
