import numpy as np
import pytest

from dreamerv3.analysis import devices
from dreamerv3.analysis.torch_arrays import TorchArrays
from dreamerv3.analysis.tuning import block, cell_types
from dreamerv3.analysis.tuning import table as tuning
from dreamerv3.analysis.tuning.maps import head_direction, information
from dreamerv3.analysis.tuning.maps.binned_path import Design, often_visited
from dreamerv3.analysis.tuning.maps.border import find_walls
from dreamerv3.analysis.tuning.maps.reliability import PartSums, correlation, transfer
from dreamerv3.analysis.tuning.measures import spread_reliability
from dreamerv3.analysis.tuning.setup import Setup
from dreamerv3.base.errors import UserError
from dreamerv3.data.activations import StoredUnits
from dreamerv3.data.grid import Grid
from dreamerv3.data.samples import Samples, Track
from dreamerv3.data.trajectories import Trajectories
from tests.analysis import planted

AREA = (12, 10)


@pytest.fixture(scope='module')
def path():
  tiles = planted.synthetic.world(AREA, ((3, 3), (3, 4), (7, 5)))
  return planted.track(tiles, np.random.default_rng(0), 8, 120)


@pytest.fixture(scope='module')
def design(path):
  return Design.build(path, Grid(*AREA))


@pytest.fixture(scope='module')
def rates(path):
  rng = np.random.default_rng(1)
  x = np.abs(planted.slow_noise(path, 6, 0.8, rng)).astype(np.float32)
  x[:, 0] = planted.field(path, np.array([5, 5]), 1.5)
  x[:, 1] = head_direction.to_bin(path.facing) == 1
  return x


def measure(path, design, X, **options):
  return tuning.measure(Samples('x', X, path), Setup.build(design, **options))


def test_curves_and_information_equal_pynapple(path, design, rates):
  maps, turned, bits = tuning.reference(rates, design)
  table = measure(path, design, rates, n_shuffles=0)
  np.testing.assert_allclose(table.curves, maps, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(table.hd_curves, turned, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(table.metrics['SI'], bits, rtol=1e-5, atol=1e-5)


def test_tests_by_torch_are_those_of_numpy(path, design, rates, monkeypatch):
  table = measure(path, design, rates, n_shuffles=30)
  made = []

  def on(name):
    made.append(name)
    return TorchArrays('cpu')

  monkeypatch.setattr(devices, 'on', on)
  other = measure(path, design, rates, n_shuffles=30, device='cuda:0')
  assert made == ['cuda:0']
  for name, p in table.p.items():
    np.testing.assert_allclose(p, other.p[name], err_msg=name)


def test_unvisited_tiles_are_nan_and_nothing_else(path, design, rates):
  table = measure(path, design, rates, n_shuffles=0)
  unvisited = Grid(*AREA).count(path.pos) == 0
  assert unvisited.any()
  assert (np.isnan(table.curves) == unvisited).all()
  assert (table.occupancy == Grid(*AREA).count(path.pos)).all()


def test_information_of_ideal_curves():
  curves = np.array([[1, 1], [1, 0], [1, 0], [1, 0.0]])
  np.testing.assert_allclose(
    information.spatial(curves, np.full(4, 10)), [0, 2], atol=1e-12
  )


@pytest.mark.parametrize('most', [4095, 4096])
def test_packed_histograms_equal_counting(path, design, rates, most):
  level = sum((rates > x).astype(int) for x in information.edges(rates))
  assert (np.bincount(level.ravel()) > 0.2 * level.size).all()
  values = information.pack(rates, most)
  assert values.dtype == (np.float32 if most < 4096 else np.float64)
  packed = design.by_tile.astype(values.dtype) @ values
  counts = information.unpack(packed, design.visits)
  for k in range(information.LEVELS):
    np.testing.assert_array_equal(counts[k], design.by_tile @ (level == k))


def test_mutual_information_of_independent_and_of_equal_variables():
  even = np.full((3, 3, 1), 5.0)
  same = np.eye(3)[..., None] * 5
  np.testing.assert_allclose(information.mutual(even), 0, atol=1e-6)
  np.testing.assert_allclose(information.mutual(same), np.log2(3), atol=1e-6)


def test_the_bias_of_mutual_information_is_taken_out(path, design):
  noise = planted.slow_noise(path, 40, 0.9, np.random.default_rng(3))
  table = measure(path, design, noise.astype(np.float32), n_shuffles=20)
  joint = information.unpack(
    design.by_tile @ information.pack(noise, 9999), design.visits
  )
  assert information.mutual(joint).mean() > 0.15
  assert abs(table.metrics['MI'].mean()) < 0.03
  # Without nulls by Miller's formula, which holds for independent samples.
  noise = np.random.default_rng(4).normal(size=noise.shape).astype(np.float32)
  table = measure(path, design, noise, n_shuffles=0)
  joint = information.unpack(
    design.by_tile @ information.pack(noise, 9999), design.visits
  )
  bias = information.miller_madow(joint)
  level, place = ((joint > 0).any(x).sum(0) for x in (1, 0))
  bins = (joint > 0).sum((0, 1)) - level - place + 1
  np.testing.assert_allclose(bias, bins / (2 * len(noise) * np.log(2)), rtol=1e-5)
  np.testing.assert_allclose(
    table.metrics['MI'], information.mutual(joint) - bias, rtol=1e-4, atol=1e-6
  )


def test_reliability_of_a_curve_is_what_its_spread_over_parts_leaves(rng):
  visits = rng.integers(1, 9, (10, 4))
  visits[3, 2] = 0  # a bin that a part lacks counts nowhere
  places = np.array([[0.5], [0], [9], [-1]])
  sums = rng.normal(size=(10, 4, 6)) + visits[..., None] * places
  found = spread_reliability(sums, visits)
  means = (sums / np.maximum(visits, 1)[..., None])[:, [0, 1, 3]]
  for unit, got in enumerate(found):
    own = means[:, :, unit] - means[:, :, unit].mean(1, keepdims=True)
    noise = np.mean([np.var(x, ddof=1) / 10 for x in own.T])
    want = 1 - noise / np.var(own.mean(0), ddof=1)
    assert got == pytest.approx(np.clip(want, 0, 1))


def test_held_out_variance_equals_the_loop_over_folds(path, design, rates):
  x = rates.astype(np.float64) - rates.mean(0)
  got = PartSums.build(design, x).held_out(x, (x**2).sum(0))
  for unit in range(x.shape[1]):
    a, residual = [], []
    for fold in range(5):
      test = path.episode % 10 % 5 == fold
      for tile in range(design.n_tiles):
        here = design.tile == tile
        train = x[here & ~test, unit]
        values = x[here & test, unit]
        if len(train):
          a.extend(values)
          residual.extend(values - train.mean())
    np.testing.assert_allclose(got[unit], 1 - np.var(residual) / np.var(a), rtol=1e-9)


def test_held_out_variance_of_the_same_recording_is_in_sample(design, rates):
  x = rates.astype(np.float64) - rates.mean(0)
  sums = design.by_tile @ x
  got = transfer(design, sums, design, x)
  means = (sums / design.visits[:, None])[design.tile]
  want = 1 - (x - means).var(0) / x.var(0)
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_noise_has_no_held_out_variance_and_a_code_has_all(path, design):
  rng = np.random.default_rng(4)
  x = np.stack([rng.normal(size=len(path)), design.tile % 7 * 1.0], 1)
  x = x - x.mean(0)
  ev = PartSums.build(design, x).held_out(x, (x**2).sum(0))
  assert ev[0] < 0.02
  assert ev[1] > 0.999


def test_correlation_equals_numpy():
  a, b = np.random.default_rng(0).normal(size=(2, 50, 3))
  got = correlation(a, b, np.ones(50))
  want = [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(3)]
  np.testing.assert_allclose(got, want)


def test_four_facings_are_four_bins():
  facing = np.array([(1, 0), (-1, 0), (0, -1), (0, 1), (0, 0)])
  np.testing.assert_array_equal(head_direction.to_bin(facing), [0, 1, 2, 3, -1])


@pytest.mark.parametrize(
  ('heading', 'angle'), [(0, 0), (1, np.pi), (2, np.pi / 2), (3, -np.pi / 2)]
)
def test_a_unit_of_one_facing_points_there(heading, angle):
  curve = np.eye(4)[:, [heading]]
  length, preferred = head_direction.vector(curve)
  assert length[0] == pytest.approx(1)
  assert np.exp(1j * preferred[0]) == pytest.approx(np.exp(1j * angle))


def test_standardising_frees_facing_from_place():
  # Active at tile 0 alone, where one mostly faces right.
  means = np.zeros((3, 4, 1))
  means[0], means[2] = 1, 9
  # The last tile was not seen in all facings and cannot be compared.
  visits = np.array([[97, 1, 1, 1], [25, 25, 25, 25], [50, 50, 0, 50]])
  given_place, given_hd, full = head_direction.standardise(means, visits)
  assert full.tolist() == [True, True, False]
  np.testing.assert_allclose(given_place[:, 0], 0.5)
  np.testing.assert_allclose(given_hd[:, 0], [1, 0])


def test_signed_units_are_counted_from_their_minimum(path, design, rates):
  shifted = rates - 5
  a = measure(path, design, rates - rates.min(0), n_shuffles=0)
  b = measure(path, design, shifted, n_shuffles=0)
  np.testing.assert_allclose(a.metrics['SI'], b.metrics['SI'], rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(a.metrics['EVs'], b.metrics['EVs'], rtol=1e-4, atol=1e-5)
  for name in ('HD_info', 'HD_length', 'HD_info_given_place', 'SI_given_HD'):
    np.testing.assert_allclose(a.metrics[name], b.metrics[name], 1e-3, 1e-5)


def test_an_untuned_unit_points_nowhere_where_facings_never_came(rng):
  facing = np.array([(1, 0), (0, -1)], np.int8)[rng.integers(2, size=400)]
  pos, t = rng.integers(4, size=(400, 2)), np.arange(400)
  path = Track(pos, t // 40, t % 40, facing)
  X = rng.random((400, 2)).astype(np.float32)
  found = measure(path, Design.build(path, Grid(4, 4)), X, n_shuffles=0)
  assert np.isnan(found.metrics['HD_length']).all()
  assert np.isnan(found.metrics['HD_preferred']).all()
  assert (found.metrics['HD_info'] < 0.01).all()


def test_silent_units_are_nan_and_dead(path, design):
  X = np.stack([np.zeros(len(path)), np.full(len(path), 0.7)], 1)
  table = measure(path, design, X.astype(np.float32), n_shuffles=10)
  for name in ('SI', 'EVs', 'MI', 'fieldsize', 'pf_peaks'):
    assert np.isnan(table.metrics[name]).all(), name
  assert np.isnan(table.p['EVs']).all()
  limits = cell_types.Thresholds()
  dead = [cell_types.DEAD] * 2
  assert list(cell_types.by_threshold(table.metrics, limits)) == dead
  assert list(cell_types.by_test(table.metrics, table.q, limits)) == dead


def test_blocks_and_processes_change_nothing(path, design, monkeypatch):
  X = planted.slow_noise(path, 21, 0.9, np.random.default_rng(5))
  X = X.astype(np.float32)
  walls = find_walls(np.ones(AREA, bool))
  setup = Setup.build(design, walls, n_shuffles=20)
  whole = tuning.measure(Samples('x', X, path), setup)
  monkeypatch.setattr(tuning, 'BLOCK_BYTES', 0)
  with block.workers(setup, 2) as workers:
    cut = tuning.measure(Samples('x', X, path), setup, workers=workers)
  for kind in ('metrics', 'p'):
    for name, value in getattr(whole, kind).items():
      np.testing.assert_allclose(
        value, getattr(cut, kind)[name], rtol=1e-4, atol=1e-6, err_msg=name
      )


def test_units_that_are_read_ahead_piece_by_piece_give_the_same(
  recording, monkeypatch, tmp_path
):
  monkeypatch.setattr(tuning, 'BLOCK_BYTES', 0)  # blocks of the fewest units
  data = Trajectories.open(recording)
  kept = data.track().t % 3 > 0
  samples = data.layer('dyn/deter', rows=kept)
  setup = Setup.build(Design.build(samples.track, data.grid), n_shuffles=30)
  stored = StoredUnits('dyn/deter', data.activations('dyn/deter'), kept)
  whole = tuning.measure(samples, setup)
  read = tuning.measure(stored, setup, most=0, folder=tmp_path)
  assert (len(stored), stored.units) == (len(samples), samples.units)
  for kind in ('metrics', 'p', 'q'):
    for name, value in getattr(whole, kind).items():
      np.testing.assert_array_equal(value, getattr(read, kind)[name], err_msg=name)
  np.testing.assert_array_equal(whole.curves, read.curves)


def test_a_sample_of_units_is_those_units(path, design, rates):
  setup = Setup.build(design, n_shuffles=0)
  samples = Samples('x', rates, path)
  some = tuning.measure(samples, setup, units=np.array([1, 4]))
  every = tuning.measure(samples, setup)
  np.testing.assert_array_equal(some.units, [1, 4])
  np.testing.assert_allclose(some.metrics['SI'], every.metrics['SI'][[1, 4]], rtol=1e-6)


def test_without_facing_the_rest_is_measured(path, rates):
  blind = Track(path.pos, path.episode, path.t, np.zeros_like(path.facing))
  table = measure(blind, Design.build(blind, Grid(*AREA)), rates, n_shuffles=200)
  assert np.isnan(table.metrics['HD_info']).all()
  assert set(table.p) == {'EVs', 'SI', 'speed', 'map_drift'}
  ids = cell_types.by_test(table.metrics, table.q, cell_types.Thresholds())
  assert cell_types.NAMES[ids[0]] == 'single_field'


def test_facing_of_some_episodes_is_used(path, rates):
  facing = path.facing.copy()
  facing[path.episode < 2] = 0
  part = Track(path.pos, path.episode, path.t, facing)
  table = measure(part, Design.build(part, Grid(*AREA)), rates, n_shuffles=20)
  assert np.isfinite(table.hd_curves).all()
  assert table.p['HD_given_place'][1] < 0.06
  assert table.hd_curves[1].argmax() == 1


def test_smoothing_keeps_gaps_and_is_noted(path, design, rates):
  plain = measure(path, design, rates, n_shuffles=0)
  smooth = measure(path, design, rates, n_shuffles=0, sigma=1.0)
  assert (np.isnan(plain.curves) == np.isnan(smooth.curves)).all()
  assert np.nanstd(smooth.curves[2]) < np.nanstd(plain.curves[2])
  assert (smooth.metrics['SI_smoothed'] < smooth.metrics['SI'])[2:].all()
  np.testing.assert_array_equal(smooth.metrics['SI'], plain.metrics['SI'])


def test_rare_tiles_can_be_left_out(path):
  grid = Grid(*AREA)
  keep = often_visited(path, grid, 5)
  counts = grid.count(path.pos)
  assert grid.count(path.pos[keep]).sum() == counts[counts >= 5].sum()
  with pytest.raises(UserError, match='--min_visits 99999 leaves no tile'):
    often_visited(path, grid, 99999)


def test_one_episode_is_held_out_by_runs_of_time(path, rates):
  one = path.episode == 0
  track = path.rows(one)
  design = Design.build(track, Grid(*AREA))
  assert len(np.unique(design.part)) == 10
  assert (np.diff(design.part) >= 0).all()
  table = measure(track, design, rates[one], n_shuffles=20)
  assert table.n_nulls == 0
  assert np.isfinite(table.metrics['EVs']).all()


def test_one_outlier_hides_no_code(path, design, rates):
  clean = measure(path, design, rates, n_shuffles=100)
  wild = rates.copy()
  wild[77, 0] = -1000
  table = measure(path, design, wild, n_shuffles=100)
  np.testing.assert_array_equal(table.metrics['outliers'], [1, 0, 0, 0, 0, 0])
  assert table.metrics['mean'][0] == pytest.approx(wild[:, 0].mean(), rel=1e-4)
  assert table.metrics['EVs'][0] == pytest.approx(clean.metrics['EVs'][0], abs=0.1)
  for name in ('EVs', 'SI'):
    np.testing.assert_array_equal(table.metrics[name][1:], clean.metrics[name][1:])
  ids = cell_types.by_test(table.metrics, table.q, cell_types.Thresholds())
  assert cell_types.NAMES[ids[0]] == 'single_field'
