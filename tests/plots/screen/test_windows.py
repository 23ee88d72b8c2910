"""Windows, as far as they can be tested without a screen."""

import os
import pathlib
import subprocess
import sys

import pytest
from matplotlib import pyplot

from dreamerv3.base.errors import UserError
from dreamerv3.plots import style
from dreamerv3.plots.screen import windows

ROOT = pathlib.Path(__file__).resolve().parents[3]


CODE = """
from dreamerv3.plots import style
from dreamerv3.plots.screen import windows
from dreamerv3.base.errors import UserError
style.new_figure()[0].savefig('figure.png')
try:
  windows.check()
except UserError as e:
  print(e)
"""
# What a shell may say, and why no window opens where there is no display.
BACKENDS = {
  'module://matplotlib_inline.backend_inline': 'no display',  # of a notebook
  'module://not.installed': 'no display',
  'nonsense': 'no display',
  'TkAgg': "'tk'",
  'qtagg': 'Qt',
  'pdf': 'MPLBACKEND is pdf',
}


@pytest.mark.parametrize('backend', BACKENDS)
def test_figures_are_drawn_whatever_mplbackend_says(tmp_path, backend):
  no = ('DISPLAY', 'WAYLAND_DISPLAY')
  env = {k: v for k, v in os.environ.items() if k not in no}
  done = subprocess.run(
    [sys.executable, '-c', CODE],
    env={**env, 'MPLBACKEND': backend, 'PYTHONPATH': str(ROOT)},
    cwd=tmp_path,
    capture_output=True,
    text=True,
  )
  assert (tmp_path / 'figure.png').stat().st_size, done.stderr
  assert '--show needs a screen' in done.stdout, done.stderr
  assert BACKENDS[backend] in done.stdout
  assert done.stdout.count('\n') == 1


def test_no_screen_is_told_at_once():
  with pytest.raises(UserError, match='--show needs a screen.* MPLBACKEND is agg'):
    windows.check()


def test_figures_drawn_off_screen_get_windows(monkeypatch):
  shown = []
  monkeypatch.setattr(pyplot, 'show', lambda: shown.extend(pyplot.get_fignums()))
  figures = [style.new_figure()[0] for _ in range(2)]
  windows.show(figures)
  assert len(shown) == 2
  pyplot.close('all')
