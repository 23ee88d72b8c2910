"""Codes that look like place, and that no name of a place is given to."""

import dataclasses

import numpy as np
import pytest

from dreamerv3.analysis.explain import surroundings
from dreamerv3.analysis.tuning import cell_types, table
from dreamerv3.analysis.tuning.cell_types import NAMES, Thresholds
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.head_direction import to_bin
from dreamerv3.analysis.tuning.measures import slope
from dreamerv3.analysis.tuning.setup import Setup
from dreamerv3.data.grid import Grid
from dreamerv3.data.samples import Samples
from tests import synthetic
from tests.analysis import planted, planted_kinds

SIDE, EACH = 18, 4
WATER, SAND = (synthetic.MATERIALS.index(x) for x in ('water', 'sand'))


def drinking(track, front, rng):
  """Water that falls by one in about 12 steps, and rises where it is in front."""
  level = np.zeros(len(track))
  for i in range(len(track)):
    if i == 0 or track.episode[i] != track.episode[i - 1]:
      now = 9
    now = max(now - (rng.random() < 1 / 12), 0)
    now = min(now + 2, 9) if front[i] == WATER and rng.random() < 0.7 else now
    level[i] = now
  return level


@pytest.fixture(scope='module')
def named():
  """{what it follows: classes of its units}."""
  rng = np.random.default_rng(0)
  ground = synthetic.world((SIDE, SIDE), tuple(np.ndindex(3, 3)))
  track = planted.track(ground, rng, 30, 200)
  tiles = ground.copy()
  tiles[:3, :3], tiles[2:5, 9:13], tiles[11:14, 4:6] = WATER, SAND, SAND
  steps = planted_kinds.last_actions(track, tiles, rng)
  around = surroundings.turned(surroundings.window(track.pos, tiles), track.facing)
  front = around[:, surroundings.REACH, surroundings.REACH - 1]
  drink, heading = drinking(track, front, rng), to_bin(track.facing)
  inner = np.stack([np.full(len(track), 9), track.t // 30, drink], 1).astype(int)
  steps = dataclasses.replace(steps, vitals=inner)
  before = np.roll(heading, 2)
  angle = 2 * np.pi * np.arange(EACH) / EACH + 0.3
  kinds = {
    'water': [drink / 3] * EACH,
    'slope': [track.pos @ (np.cos(a), np.sin(a)) / 5 for a in angle],
    'ground': [2 * (tiles[tuple(track.pos.T)] == SAND)] * EACH,
    'sum': [(front == 2) + (steps.action == i) for i in range(EACH)],
    'move': [2 * (heading == i) * (steps.moved == 1) for i in range(EACH)],
    'turned': [2 * (before == i) for i in range(EACH)],
    'moving': [2 * (steps.moved == i % 2) for i in range(EACH)],
    'place': [
      2 * planted.field(track, x, 2.5) for x in ((4, 7), (12, 12), (8, 3), (14, 5))
    ],
  }
  X = np.stack([x for units in kinds.values() for x in units], 1) * 1.0
  X += 0.1 * rng.normal(size=X.shape)
  setup = Setup.build(
    Design.build(track, Grid(SIDE, SIDE)), (), steps, n_shuffles=60, brief=True
  )
  found = table.measure(Samples('planted', X.astype(np.float32), track), setup)
  ids = cell_types.by_test(found.metrics, found.q, Thresholds(), found.p)
  return dict(zip(kinds, np.array(NAMES)[ids].reshape(-1, EACH), strict=True))


@pytest.mark.parametrize(
  ('kind', 'name'),
  [
    ('water', 'internal'),
    ('slope', 'complex_cells'),
    ('ground', 'egocentric'),
    ('sum', 'egocentric'),
    ('move', 'action'),
    ('turned', 'action'),
    ('moving', 'speed'),
    ('place', 'single_field'),
  ],
)
def test_what_looks_like_place_is_called_what_it_is(named, kind, name):
  assert (named[kind] == name).all(), named[kind]


def test_a_slope_is_told_by_the_best_plane():
  at = np.stack(np.divmod(np.arange(30), 6), 1)
  plane = at @ (2.0, -1.0) + 7
  bump = np.exp(-((at - (2, 3)) ** 2).sum(1))
  weight = np.linspace(1, 2, 30)
  found = slope(np.stack([plane, bump, np.full(30, 3.0)], 1), weight, at)
  assert found[0] == pytest.approx(1)
  assert found[1] < 0.1
  assert found[2] < 1e-6
  row, map_ = np.arange(6.0), np.array([0.0, 1, 0, 0, 0, 0])
  corridor = np.stack([row, np.zeros(6)], 1)  # the plane has no slope across it
  found = slope(map_[:, None], np.ones(6), corridor)
  assert found[0] == pytest.approx(np.corrcoef(row, map_)[0, 1] ** 2)
