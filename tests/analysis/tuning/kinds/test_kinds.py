"""Planted kinds of maps are found, and none where there are none."""

import dataclasses

import numpy as np
import pytest

from dreamerv3.analysis.tuning.cell_types import Thresholds
from dreamerv3.analysis.tuning.kinds import autocorrelograms, clusters, pictures, study
from dreamerv3.analysis.tuning.maps import fields
from dreamerv3.analysis.tuning.maps.tile_maps import TileMaps
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.analysis.tuning.table import TuningTable

SIDE = 20
FEW = study.KindsOptions(n_shuffles=19, n_resamples=8, min_cluster_size=12)


def maps_of(kind, count, rng):
  """(count, SIDE, SIDE) maps of one kind, noise on them, some tiles unvisited."""
  x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing='ij')
  made = np.zeros((count, SIDE, SIDE))
  for m in made:
    cx, cy = rng.uniform(3, SIDE - 3, 2)
    if kind == 'small':
      m[:] = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 4)
    elif kind == 'bands':
      m[:] = np.cos(2 * np.pi * (x + cx) / 6)
    elif kind == 'smooth':
      even = np.ones((SIDE, SIDE))
      m[:] = fields.smooth(rng.standard_normal((1, SIDE, SIDE)), even, 1.5)[0]
    else:
      m[:] = rng.random((SIDE, SIDE))
    m /= m.std()
  made += 0.3 * rng.standard_normal(made.shape)
  made[:, :2] = made[:, 8:10, 4:8] = np.nan
  return made.astype(np.float32)


def found_in(*kinds, seed=0, each=36):
  rng = np.random.default_rng(seed)
  curves = np.concatenate([maps_of(k, each, rng) for k in kinds])
  d = len(curves)
  needed = ('SI', 'EVs', 'HD_info', 'border_score', 'pf_peaks', 'fieldsize')
  table = TuningTable(
    layer='dyn/deter',
    units=np.arange(d),
    curves=TileMaps.of(curves),
    hd_curves=np.full((d, 4), np.nan),
    occupancy=np.isfinite(curves[0]).astype(int),
    metrics={k: np.ones(d) for k in (*needed, 'fieldasymmetry')},
    p={},
    q={},
    n_nulls=0,
    walls=(),
  )
  results = Results({}, {'dyn/deter': table}, {}, Thresholds())
  ((_, found),) = study.study(results, FEW)
  return found


def test_planted_kinds_are_found_whole_and_hold():
  found = found_in('small', 'bands', 'white')
  assert found.holds.all()
  assert len(found.holds) == 3
  truth = np.repeat([0, 1, 2], 36)
  assert (clusters.agreement(truth, found.labels) > 0.9).all()
  assert '3 found again' in found.verdict()
  # Examples are the units of the highest silhouette of each group, in its order.
  for k in range(3):
    mine = found.examples[found.labels[found.examples] == k]
    shown = found.silhouette[mine]
    assert (np.diff(shown) <= 0).all()
    assert shown[0] == np.nanmax(np.where(found.labels == k, found.silhouette, -1))


@pytest.mark.parametrize('kind', ['white', 'smooth', 'small'])
def test_one_kind_of_maps_is_not_split(kind):
  assert not found_in(kind, seed=1, each=80).holds.any()


def test_autocorrelograms_do_not_tell_where_a_field_lies():
  x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing='ij')
  here, there, wide = (
    np.exp(-((x - c) ** 2 + (y - c) ** 2) / s) for c, s in ((8, 4), (11, 4), (10, 50))
  )
  maps = np.array([here, there, wide, np.ones_like(here)])
  rows = autocorrelograms.rows(maps, autocorrelograms.lags(maps))
  gap = np.square(rows[:, None] - rows).mean(2)
  assert gap[0, 1] < 0.01 < 0.2 < gap[0, 2]
  assert (rows[3] == 0).all()  # a constant has no structure


def test_shuffled_maps_keep_values_and_smoothness_and_lose_the_kind():
  rng = np.random.default_rng(3)
  maps = maps_of('bands', 40, rng)
  noise = autocorrelograms.shuffled(maps, rng)
  seen = np.isfinite(maps[0])
  np.testing.assert_array_equal(np.isfinite(noise), np.isfinite(maps))
  np.testing.assert_array_equal(np.sort(noise[:, seen]), np.sort(maps[:, seen]))
  own, other = (
    autocorrelograms.rows(x, autocorrelograms.lags(x), normalize=False).mean(0)
    for x in (maps, noise)
  )
  assert np.corrcoef(own, other)[0, 1] > 0.8
  same = [np.corrcoef(a[seen], b[seen])[0, 1] for a, b in zip(maps, noise, strict=True)]
  assert abs(np.mean(same)) < 0.1


def test_agreement_is_the_best_jaccard_index():
  first = np.array([0, 0, 0, 0, 1, 1, 2, 2])
  second = np.array([5, 5, 5, 6, 6, 6, -1, -1]) - 5
  np.testing.assert_allclose(
    clusters.agreement(first, second), [3 / 4, 2 / 3, 0], rtol=1e-12
  )
  some = np.array([0, 4, 5])
  drawn = clusters.agreement(first, second[some], some)
  np.testing.assert_allclose(drawn[:2], [1, 1])
  assert np.isnan(drawn[2])


def test_units_are_laid_out_the_same_way_twice(rng):
  points = rng.normal(size=(400, 7))
  first, second = (pictures.isomap(points, 15) for _ in range(2))
  np.testing.assert_array_equal(first, second)


def test_results_go_through_plain_containers():
  found = found_in('small', 'bands')
  (again,) = study.from_dict(study.to_dict([found]))
  for x in dataclasses.fields(found):
    np.testing.assert_equal(getattr(again, x.name), getattr(found, x.name))
