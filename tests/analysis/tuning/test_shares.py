import numpy as np
import pytest

from dreamerv3.analysis import forecast
from dreamerv3.analysis.tuning import layers, shares
from dreamerv3.analysis.tuning.cell_types import Thresholds
from dreamerv3.analysis.tuning.layers import Options
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.data.grid import Grid
from dreamerv3.data.trajectories import Trajectories
from tests import synthetic
from tests.analysis import planted


def test_matched_tracks_have_equal_occupancy(rng):
  tiles = planted.world((12, 12), obstructed=False)
  grid = Grid(12, 12)
  a, b = planted.track(tiles, rng, 6, 80), planted.track(tiles, rng, 4, 100)
  keep = shares.matched(a, b, grid)
  both = [grid.count(x.pos[k]) for x, k in zip((a, b), keep, strict=True)]
  np.testing.assert_array_equal(both[0], both[1])
  np.testing.assert_array_equal(
    both[0], np.minimum(grid.count(a.pos), grid.count(b.pos))
  )
  assert all(x.all() for x in shares.matched(a, a, grid))
  # Drawn among all samples of a tile, not its first ones.
  assert b.episode[keep[1]].mean() == pytest.approx(1.5, abs=0.3)
  rare = shares.matched(a, b, grid, 0, 3)
  least = np.where(both[0] < 3, 0, both[0])
  for x, k in zip((a, b), rare, strict=True):
    np.testing.assert_array_equal(grid.count(x.pos[k]), least)
  assert not all(
    np.array_equal(x, y)
    for x, y in zip(keep, shares.matched(a, b, grid, 1), strict=True)
  )


def test_the_jackknife_of_a_mean_is_its_standard_error(rng):
  x = rng.normal(size=12)
  without = (x.sum() - x) / 11
  error = shares.jackknife(without[:, None])[0]
  assert error == pytest.approx(x.std(ddof=1) / np.sqrt(12))


@pytest.fixture(scope='module')
def twice(tmp_path_factory):
  """Two recordings of one network: places of one tile, and noise."""
  codes = {
    'dyn/deter': lambda p, f, r: np.concatenate(
      [synthetic.one_hot_places(p, f, r)[:, ::6], synthetic.noise(p, f, r, 8, 0.9)], 1
    ),
    'enc/tokens': lambda p, f, r: synthetic.one_hot_places(p, f, r)[:, ::9],
  }
  folder = tmp_path_factory.mktemp('twice')
  return [
    Trajectories.open(synthetic.record(folder / str(seed), codes, 10, 80, seed=seed))
    for seed in (0, 1)
  ]


def test_intervals_are_those_of_t_over_the_groups():
  value, error = np.zeros((2, 2, 15))
  value[:, 2], error[:, 2] = (0.5, 0.3), (0.03, 0.04)
  sides = [shares.Share(x, y) for x, y in zip(value, error, strict=True)]
  (row,) = shares._rows('dyn/deter', sides, (30, 10))
  t9 = 2.2622
  assert row['class'] == 'single_field'
  for name, middle, half in (
    ('', 0.5, 0.03),
    ('control_', 0.3, 0.04),
    ('difference_', 0.2, 0.05),
  ):
    assert row[f'{name}low'] == pytest.approx(middle - t9 * half, abs=1e-4)
    assert row[f'{name}high'] == pytest.approx(middle + t9 * half, abs=1e-4)


def test_shares_of_one_network_do_not_differ(twice):
  options = Options(n_shuffles=40)
  found = shares.class_shares(twice[0], options, ['dyn/deter'], Thresholds(), twice[1])
  assert {x['layer'] for x in found} == {'dyn/deter'}
  rows: list[dict] = [dict(x) for x in found]
  for row in rows:
    assert 0 <= row['low'] <= row['share'] <= row['high'] <= 1
    assert row['cohens_h'] * row['difference'] >= 0
    assert row['difference'] == pytest.approx(row['share'] - row['control_share'])
  differ = [x for x in rows if not x['difference_low'] <= 0 <= x['difference_high']]
  assert len(differ) <= 1
  assert sum(x['share'] for x in rows) == pytest.approx(1)


@pytest.mark.parametrize('control', [False, True])
def test_shares_are_of_the_tiles_that_are_visited_often(twice, control, monkeypatch):
  visits = []

  def shares_of(side, rows):
    visits.append(side.metadata.grid.count(side.track.pos[rows]))
    return np.zeros((1, 15))

  monkeypatch.setattr(shares, '_shares', shares_of)
  options, other = Options(n_shuffles=1, min_visits=8), twice[1] if control else None
  shares.class_shares(twice[0], options, ['dyn/deter'], Thresholds(), other)
  assert len(visits) == 11 * (1 + control)
  for whole in visits[::11]:
    assert whole[whole > 0].min() >= 8


def test_recordings_of_other_tiles_have_no_shares(tmp_path):
  codes = {'dyn/deter': synthetic.noise}
  sides = []
  for x in (2, 9):
    wall = tuple(
      (y, z) for y in (range(x, 12) if x < 5 else range(x)) for z in range(10)
    )
    folder = tmp_path / str(x)
    synthetic.record(folder, codes, 8, 20, synthetic.world(walls=wall))
    sides.append(Trajectories.open(folder))
  found = shares.class_shares(
    sides[0], Options(n_shuffles=4), ['dyn/deter'], Thresholds(), sides[1]
  )
  assert not found


def test_few_episodes_have_no_interval(recording):
  data = Trajectories.open(recording)
  assert not shares.class_shares(data, Options(), ['dyn/deter'], Thresholds())


def test_effects_are_of_the_units_of_each_class(twice):
  options = Options(n_shuffles=40)
  tables = layers.run(twice[0], options, ['dyn/deter'])
  table = tables['dyn/deter']
  names = Results({}, tables, {}, Thresholds()).names('dyn/deter')
  kinds, counts = np.unique(names, return_counts=True)
  most = kinds[counts.argmax()]
  rows = [{'layer': 'dyn/deter', 'class': x} for x in (most, 'grid_cells')]
  found = shares.with_effects(rows, tables, {}, Thresholds())
  expected = np.median(table.metrics['EV_best'][names == most])
  assert found[0]['effect'] == pytest.approx(expected)
  assert 'control_effect' not in found[0]
  assert np.isnan(float(found[1]['effect']))


def test_cohens_h_by_hand():
  assert shares.cohens_h(1, 0) == pytest.approx(np.pi)
  assert shares.cohens_h(0.5, 0.25) == pytest.approx(np.pi / 2 - np.pi / 3)


def test_processes_and_parts_of_the_layers_find_the_same_shares(twice, monkeypatch):
  def found(n_jobs):
    options = Options(n_shuffles=10, n_jobs=n_jobs)
    names = list(twice[0].layers())
    return shares.class_shares(twice[0], options, names, Thresholds())

  one = found(1)
  assert len({x['layer'] for x in one}) > 1
  assert one == found(2)
  monkeypatch.setattr(forecast, 'AHEAD', 1)  # byte: a layer at a time
  assert one == found(1)
