"""The benches that class the cells of other simulators."""

import importlib.metadata

import numpy as np
import pytest

from bench import classes_ratinabox
from bench.classes_elsewhere import allocentric, on_tiles
from dreamerv3.analysis.tuning.cell_types import BORDER, BOUNDARY


def test_without_ratinabox_one_line_says_how_to_get_it(monkeypatch, capsys):
  def missing(name):
    raise importlib.metadata.PackageNotFoundError(name)

  monkeypatch.setattr(importlib.metadata, 'version', missing)
  monkeypatch.setattr('sys.argv', ['classes_ratinabox.py'])
  with pytest.raises(SystemExit) as caught:
    classes_ratinabox.main()
  assert caught.value.code == 2
  told = capsys.readouterr()
  assert told.out == ''
  assert told.err.splitlines() == [
    'RatInABox is not installed; `pip install ratinabox` adds it.'
  ]


def test_paths_and_distances_of_others_mean_the_same_on_tiles():
  angle = np.array([0.1, np.pi / 2, np.pi, -np.pi / 2])
  pos = np.array([[0.4, 2.6], [1, 1], [2.2, 0], [3, 3]])
  track = on_tiles(pos, angle, np.zeros(4, int), np.arange(4))
  assert track.pos.tolist() == [[0, 3], [1, 1], [2, 0], [3, 3]]
  assert track.facing.tolist() == [[1, 0], [0, 1], [-1, 0], [0, -1]]
  # Half a tile from the middle of a tile is beside the wall, 1 step.
  assert [allocentric(x) for x in (0, 0.5, 1.9, 2.1, 8)] == [BORDER] * 3 + [
    BOUNDARY
  ] * 2
