import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from dreamerv3.analysis.tuning.maps import fields


def bumps(centres, width=1.5, size=(14, 11)):
  x, y = np.indices(size)
  return sum(
    np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * width**2)) for a, b in centres
  )


def direct(m):
  """Peaks, size and asymmetry from scipy, one map at a time."""
  acg = scipy.signal.correlate2d(m, m, 'full')
  acg = (acg / acg.max()).round(6)
  top = (scipy.ndimage.maximum_filter(acg, 3, mode='constant') == acg) & (acg > 0.15)
  n = scipy.ndimage.label(top, np.ones((3, 3)))[1]
  label, _ = scipy.ndimage.label(acg > 0.5)
  core = np.argwhere(label == label[tuple(np.array(acg.shape) // 2)])
  ratio = 1.0
  if len(core) > 1:
    low, high = np.sqrt(np.linalg.eigvalsh(np.cov(core.T)))
    ratio = 2 * high / max(2 * low, 1)
  return (n + 1) // 2, np.sqrt(len(core)), ratio


@pytest.fixture(scope='module')
def maps():
  rng = np.random.default_rng(0)
  made = [bumps([(5, 5)]), bumps([(3, 3), (10, 7)]), bumps([(2, 8)], 0.6)]
  made += list(rng.random((5, 14, 11)) ** 4)
  stripe = np.zeros((14, 11))
  stripe[:, 0] = 1
  oblique = sum(np.eye(14, 11, k) for k in (-1, 0, 1))
  return np.array([*made, oblique, stripe])


def test_autocorrelation_equals_scipy(maps):
  got = fields.autocorrelation(maps)
  for m, acg in zip(maps, got, strict=True):
    want = scipy.signal.correlate2d(m, m, 'full')
    np.testing.assert_allclose(acg, want / want.max(), atol=1e-5)


def test_metrics_equal_scipy(maps):
  acg = fields.autocorrelation(maps)
  size, asymmetry = fields.extent(acg)
  want = np.array([direct(m) for m in maps])
  np.testing.assert_allclose(fields.peaks(acg.round(6)), want[:, 0])
  np.testing.assert_allclose(size, want[:, 1], rtol=1e-6)
  np.testing.assert_allclose(asymmetry, want[:, 2], rtol=1e-5)


def test_peaks_count_fields(maps):
  assert list(fields.peaks(fields.autocorrelation(maps))[:3]) == [1, 2, 1]


def test_a_stripe_is_long_and_a_bump_is_round(maps):
  _, asymmetry = fields.extent(fields.autocorrelation(maps))
  assert asymmetry[-1] > 3
  assert asymmetry[0] < 1.5


def test_silent_maps_are_nan():
  acg = fields.autocorrelation(np.zeros((1, 5, 5)))
  assert np.isnan(fields.peaks(acg))
  assert np.isnan(fields.extent(acg)).all()


def test_gaps_do_not_hide_a_period():
  # An even map is even at all lags, wherever it was not visited.
  m = np.ones((1, 12, 12))
  m[0, 3:6, 2:9] = np.nan
  whole = fields.autocorrelation(np.ones((1, 12, 12)))
  known = fields.autocorrelation(m)
  near = np.s_[:, 6:17, 6:17]
  np.testing.assert_allclose(known[near], whole[near], rtol=1e-5)


def test_little_coverage_still_has_a_centre():
  m = np.full((1, 40, 40), np.nan)
  m[0, 3:9, 3:9] = bumps([(3, 3)], size=(6, 6))
  acg = fields.autocorrelation(m)
  assert acg[0, 39, 39] == 1
  assert np.isfinite(fields.extent(acg)).all()


def test_the_fitted_field_is_the_planted_one():
  m = np.array([bumps([(4, 6)], 2.0), 3 - bumps([(9, 2)], 1.0)])
  m[:, 0, 0] = np.nan
  weight = np.isfinite(m[0]).astype(float)
  fit = fields.fit_field(m, weight, np.array([False, True]))
  np.testing.assert_array_equal(fit.centre, [(4, 6), (9, 2)])
  np.testing.assert_allclose(fit.width, [2, 1])
  np.testing.assert_allclose(fit.r2, 1, atol=1e-3)
  positive = fields.fit_field(m[1:], weight, np.array([False]))
  assert positive.r2 < 0.5  # a unit >= 0 has no field that is a gap
  beside = fields.fit_field(m, weight, np.array([True, False]))
  assert beside.r2[1] < 0.5


def test_two_fields_are_not_one():
  m = bumps([(3, 3), (10, 7)], 1.5)[None]
  fit = fields.fit_field(m, np.ones(m.shape[1:]), np.array([False]))
  assert fit.r2 < 0.65


@pytest.mark.parametrize('sign', [1, -1])
def test_a_second_field_counts_where_one_seldom_went(sign):
  one = bumps([(3, 3)], 1.5)
  two = one + 0.6 * bumps([(10, 7)], 1.2)
  stretched = np.indices((14, 11))
  long = np.exp(-((stretched[0] - 6) ** 2) / 18 - (stretched[1] - 5) ** 2 / 8)
  low = one + 0.3 * bumps([(10, 7)], 1.2)
  maps = sign * np.array([one, two, long, low])
  weight = np.ones((14, 11))
  weight[8:, 5:] = 0.1
  signed = np.full(4, sign < 0)
  first = fields.fit_field(maps, weight, signed)
  assert first.r2[1] > 0.85  # its variance would hardly tell
  found = fields.second_field(maps, weight, signed, first, np.full(4, 0.005))
  assert list(found) == [False, True, False, False]
  noise = np.ones(4)  # the peak of all that is noise would be as high
  assert not fields.second_field(maps, weight, signed, first, noise).any()


def test_noise_is_no_second_field():
  rng = np.random.default_rng(0)
  maps = bumps([(10, 12)], 2.0, (24, 24)) + 0.3 * rng.normal(size=(200, 24, 24))
  weight, signed = np.ones((24, 24)), np.ones(200, bool)
  first = fields.fit_field(maps, weight, signed)
  signal = bumps([(10, 12)], 2.0, (24, 24)).var()
  noise = np.full(200, 0.09 / (0.09 + signal))
  found = fields.second_field(maps, weight, signed, first, noise)
  assert found.mean() < 0.02


def test_smoothing_equals_scipy_where_all_is_visited():
  m = np.random.default_rng(0).random((1, 20, 20))
  got = fields.smooth(m, np.ones((20, 20)), 1.0)
  top = scipy.ndimage.gaussian_filter(m[0], 1, mode='constant', truncate=8)
  below = scipy.ndimage.gaussian_filter(
    np.ones((20, 20)), 1, mode='constant', truncate=8
  )
  np.testing.assert_allclose(got[0], top / below, rtol=1e-4)


def test_smoothing_weighs_tiles_by_their_visits_and_knows_gaps():
  weight = np.random.default_rng(0).integers(0, 4, (9, 7))
  m = np.where(weight > 0, np.random.default_rng(1).random((9, 7)), np.nan)
  got = fields.smooth(np.array([m, 0 * m + 5]), weight, 1.5)
  tiles = np.argwhere(weight > 0)
  for x in tiles:
    near = weight[weight > 0] * np.exp(-((tiles - x) ** 2).sum(1) / 4.5)
    want = [near @ m[weight > 0] / near.sum(), 5]
    np.testing.assert_allclose(got[:, x[0], x[1]], want, rtol=1e-5)
  assert np.isnan(got[:, weight == 0]).all()
