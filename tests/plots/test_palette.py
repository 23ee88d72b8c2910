"""Colours of classes stay apart however one sees them."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from dreamerv3.analysis.tuning import cell_types
from dreamerv3.plots import style
from dreamerv3.plots.units import tuning
from tests.plots.colour_vision import SEEN_BY, ciede2000, lab

LEAST = 14  # a difference of 1 can just be seen side by side


@pytest.mark.parametrize('seen_by', SEEN_BY)
def test_any_two_classes_differ(seen_by):
  names = cell_types.NAMES
  colors = lab([to_rgb(tuning.COLORS[x]) for x in names], seen_by)
  i, j = np.triu_indices(len(names), 1)
  apart = ciede2000(colors[i], colors[j])
  k = int(apart.argmin())
  assert apart[k] >= LEAST, (names[i[k]], names[j[k]])


def test_every_class_has_a_colour_and_one_name():
  assert set(tuning.COLORS) == set(cell_types.NAMES) == set(tuning.LABELS)


def test_text_in_the_colour_of_a_class_can_be_read():
  for name, color in tuning.COLORS.items():
    red, green, blue = style.ink(color)
    # On white; gamma of 2.2 is near enough to sRGB's.
    light = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    assert 1.05 / (light + 0.05) > 4.4, name
  assert style.ink('#000000') == (0, 0, 0)


@pytest.mark.parametrize(
  ('first', 'second', 'expected'),  # of Sharma, Wu and Dalal's table of tests
  [
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, -1, 2), (50, 0, 0), 2.3669),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
  ],
)
def test_distances_are_those_of_the_standard(first, second, expected):
  found = ciede2000(np.array(first, float), np.array(second, float))
  assert found == pytest.approx(expected, abs=1e-4)
