import numpy as np
import pytest

from bench import classes
from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning import table as tuning
from dreamerv3.analysis.tuning.cell_types import NAMES, Thresholds
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.border import find_walls
from dreamerv3.analysis.tuning.setup import Setup
from dreamerv3.data.grid import Grid
from tests.analysis import planted

NAN = float('nan')
# (EV, SI, HD, border, asymmetry, peaks, size) -> class, one row per rule
RULES = [
  ((0.9, 2.0, 2.0, 1.0, NAN, 1, NAN), 'dead'),
  ((0.1, 0.5, 0.5, -1, 1, 1, 3), 'untuned'),
  ((NAN, NAN, NAN, NAN, 1, 1, 3), 'untuned'),
  ((0.15, 0.5, 0.6, 1, 4, 1, 3), 'HD_cells'),
  ((0.6, 0.5, 0.6, 0.1, 3.1, 1, 3), 'border_cells'),
  ((0.6, 2.0, 2.0, 0.1, 2.9, 1, 3), 'single_field'),
  ((0.6, 2.0, 2.0, 0.0, 3.1, 1, 3), 'spatial_HD'),
  ((0.4, 0.6, 0.6, -1, 1, 1, 3), 'spatial_HD'),
  ((0.4, 0.6, 0.1, -1, 1, 1, 3), 'complex_cells'),
  ((0.6, 0.6, 0.1, -1, 1, 2, 3), 'complex_cells'),
  ((0.1, 0.6, 0.1, -1, 1, 1, 3), 'complex_cells'),
]
KEYS = (
  'EVs',
  'SI',
  'HD_info',
  'border_score',
  'fieldasymmetry',
  'pf_peaks',
  'fieldsize',
)


@pytest.mark.parametrize(('values', 'name'), RULES)
def test_the_published_rules(values, name):
  metrics = {k: np.array([v]) for k, v in zip(KEYS, values, strict=True)}
  ids = cell_types.by_threshold(metrics, Thresholds())
  assert NAMES[ids[0]] == name


def test_thresholds_move_classes():
  metrics = {k: np.array([v]) for k, v in zip(KEYS, RULES[5][0], strict=True)}
  strict = Thresholds(EV_thresh=0.7)
  assert NAMES[cell_types.by_threshold(metrics, strict)[0]] == 'spatial_HD'


# (q place, q HD, R2 both, place, HD, field, wall, reliability) -> class
TESTS = [
  ((0.5, 0.5, 0.5, 0.4, 0.1, 0.9, 0.1, 0.9), 'untuned'),
  ((0.01, 0.5, 0.5, 0.5, 0.0, 0.9, 0.1, 0.9), 'single_field'),
  ((0.01, 0.5, 0.5, 0.5, 0.0, 0.5, 0.1, 0.6), 'single_field'),
  ((0.01, 0.5, 0.5, 0.5, 0.0, 0.5, 0.8, 0.9), 'border_cells'),
  ((0.01, 0.5, 0.5, 0.5, 0.0, 0.5, 0.1, 0.9), 'complex_cells'),
  ((0.01, 0.04, 0.5, 0.2, 0.2, 0.9, 0.1, 0.9), 'spatial_HD'),
  ((0.01, 0.01, 0.5, 0.49, 0.0, 0.9, 0.1, 0.9), 'single_field'),
  ((0.9, 0.01, 0.5, 0.0, 0.5, 0.9, 0.1, 0.9), 'HD_cells'),
  ((0.04, 0.04, 0.5, 0.2, 0.2, 0.9, 0.1, 0.9), 'untuned'),  # shared alpha
  ((0.01, 0.01, 0.005, 0.002, 0.0, 0.9, 0.1, 0.9), 'untuned'),  # too little
  ((0.01, 0.5, 0.5, 0.5, 0.0, 0.9, 0.1, 0.0), 'weak'),
  ((0.01, 0.5, 0.5, 0.5, 0.0, 0.1, 0.9, 0.39), 'weak'),
  ((0.01, 0.5, 0.5, 0.5, 0.0, 0.2, 0.1, 0.3), 'weak'),
  ((0.01, 0.5, 0.5, 0.5, 0.0, 0.9, 0.1, 0.4), 'single_field'),
]


@pytest.mark.parametrize(('values', 'name'), TESTS)
def test_the_tested_rules(values, name):
  keys = ('R2_both', 'R2_place', 'R2_HD', 'field_r2', 'wall_r2', 'map_reliability')
  metrics = {k: np.array([v]) for k, v in zip(keys, values[2:], strict=True)}
  metrics |= {k: np.array([1.0]) for k in ('fieldsize', 'fieldasymmetry')}
  metrics |= {'field_second': np.array([0.0]), 'EVs': np.array([0.1])}
  q = {
    'place_given_HD': np.array(values[:1]),
    'HD_given_place': np.array(values[1:2]),
  }
  assert NAMES[cell_types.by_test(metrics, q, Thresholds())[0]] == name
  if name in ('single_field', 'border_cells', 'complex_cells'):
    metrics['EVs'] = np.array([0.0])  # says nothing of other episodes
    assert NAMES[cell_types.by_test(metrics, q, Thresholds())[0]] == 'weak'


# A clear unit of each kind: what differs from a unit that nothing explains.
CLEAR: dict[str, dict[str, float]] = {
  'HD_cells': {'HD_given_place': 0.01, 'R2_HD': 0.5, 'EV_facing': 0.5},
  'spatial_HD': {
    'HD_given_place': 0.01,
    'place_given_HD': 0.01,
    'R2_HD': 0.2,
    'R2_place': 0.2,
    'EV_place_x_facing': 0.4,
    'joint_reliability': 0.9,
  },
  'egocentric': {'view': 0.01, 'EV_ego_boundary': 0.4},
  'speed': {'speed': 0.01, 'EV_speed': 0.4},
  'action': {'action': 0.01, 'EV_action': 0.4},
  'single_field': {'place_given_HD': 0.01, 'R2_place': 0.5, 'EV_place': 0.4},
  'boundary_vector': {
    'place_given_HD': 0.01,
    'R2_place': 0.5,
    'EV_place': 0.4,
    'band_r2': 0.9,
    'band_distance': 4,
    'field_r2': 0.3,
  },
  'remapping': {
    'place_given_HD': 0.01,
    'R2_place': 0.5,
    'EV_place': 0.2,
    'EV_place_x_half': 0.4,
    'p_map_drift': 0.02,
  },
}
TESTED = ('place_given_HD', 'HD_given_place', 'view', 'speed', 'action')


def clear(**changes: float) -> list[dict[str, np.ndarray]]:
  """Metrics, q and p of one unit, of which the named ones are given."""
  metrics = {
    'fieldsize': 1,
    'fieldasymmetry': 1,
    'R2_both': 0.5,
    'R2_place': 0,
    'R2_HD': 0,
    'EVs': 0.4,
    'EV_place': 0,
    'EV_facing': 0,
    'EV_place_x_facing': 0,
    'EV_place_x_half': 0,
    'EV_view': 0,
    'EV_ego_boundary': 0,
    'EV_speed': 0,
    'EV_action': 0,
    'gain_facing': 0,
    'map_reliability': 0.9,
    'HD_reliability': 0.9,
    'joint_reliability': 0.2,
    'field_r2': 0.9,
    'wall_r2': 0.1,
    'field_second': 0,
    'band_r2': 0.1,
    'band_distance': 1,
  }
  q = dict.fromkeys(TESTED, 0.9)
  p = {'map_drift': 0.9}
  for key, value in changes.items():
    if key.startswith('p_'):
      p[key[2:]] = value
    else:
      (q if key in q else metrics)[key] = value
  return [{k: np.array([v]) for k, v in x.items()} for x in (metrics, q, p)]


def name_of(**changes: float) -> str:
  metrics, q, p = clear(**changes)
  return NAMES[cell_types.by_test(metrics, q, Thresholds(), p)[0]]


@pytest.mark.parametrize('name', CLEAR)
def test_a_name_is_earned_by_the_curve_that_it_speaks_of(name):
  assert name_of() == 'untuned'
  assert name_of(**CLEAR[name]) == name
  held_out = [k for k in CLEAR[name] if k.startswith('EV_')]
  assert name_of(**{**CLEAR[name], **dict.fromkeys(held_out, 0.04)}) == 'weak'
  gate = {
    'HD_cells': 'HD_reliability',
    'spatial_HD': 'joint_reliability',
    'single_field': 'map_reliability',
    'boundary_vector': 'map_reliability',
  }
  if name in gate:
    assert name_of(**{**CLEAR[name], gate[name]: 0.39}) == 'weak'


def test_the_effect_of_facing_is_asked_of_facing():
  assert name_of(**{**CLEAR['HD_cells'], 'R2_HD': 0.005}) == 'weak'


def test_a_rival_that_explains_less_than_place_is_none():
  place = CLEAR['single_field']
  assert name_of(**place, view=0.01, EV_view=0.39) == 'single_field'
  assert name_of(**place, view=0.01, EV_view=0.41) == 'egocentric'
  assert name_of(**place, view=0.04, EV_view=0.41) == 'single_field'  # three tests
  assert name_of(**CLEAR['spatial_HD'], action=0.01, EV_action=0.5) == 'action'


def test_what_was_not_tested_is_not_found():
  field = {**CLEAR['single_field'], 'place_given_HD': NAN}
  assert name_of(**field) == 'untuned'
  several = {**CLEAR['single_field'], 'field_r2': 0.3}
  assert name_of(**several, grid_p=0.04) == 'grid_cells'
  assert name_of(**several, grid_p=NAN) == 'complex_cells'


def test_half_of_a_slope_is_no_field():
  assert name_of(**CLEAR['single_field'], slope_r2=0.89) == 'single_field'
  assert name_of(**CLEAR['single_field'], slope_r2=0.91) == 'complex_cells'


def test_a_map_moves_by_more_than_chance_and_by_a_fifth():
  moved = CLEAR['remapping']
  assert name_of(**{**moved, 'p_map_drift': 0.06}) == 'single_field'
  assert name_of(**{**moved, 'EV_place': 0.31}) == 'remapping'
  assert name_of(**{**moved, 'EV_place': 0.33}) == 'single_field'


def test_what_the_agent_carries_along_leaves_place_nothing_to_add():
  place = CLEAR['single_field']
  assert name_of(**place, EV_time=0.6, gain_time=0.24) == 'internal'
  assert name_of(**place, EV_time=0.6, gain_time=0.26) == 'single_field'
  assert name_of(**place, EV_time=0.39, gain_time=0) == 'single_field'


def test_a_band_beside_the_wall_is_a_border():
  band = CLEAR['boundary_vector']
  assert name_of(**{**band, 'band_distance': 3}) == 'boundary_vector'
  assert name_of(**{**band, 'band_distance': 2}) == 'border_cells'


def test_the_better_of_band_and_vector_says_how_far_the_wall_is():
  band = CLEAR['boundary_vector']
  near = {**band, 'vector_r2': 0.95, 'vector_distance': 2}
  assert name_of(**near) == 'border_cells'
  part = {**band, 'band_r2': 0.4, 'vector_r2': 0.9, 'vector_distance': 5}
  assert name_of(**part) == 'boundary_vector'
  assert name_of(**{**part, 'vector_r2': 0.2}) == 'complex_cells'


def test_a_second_field_makes_a_unit_complex():
  values = (0.9, 0.5, 0.5, 0.0, 0.9, 0.1, 0.9)
  metrics = {k: np.array([1.0]) for k in ('fieldsize', 'fieldasymmetry')}
  keys = ('R2_both', 'R2_place', 'R2_HD', 'field_r2', 'wall_r2', 'map_reliability')
  metrics |= {k: np.array([v]) for k, v in zip(keys, values[1:], strict=True)}
  metrics['EVs'] = np.array([0.1])
  q = {'place_given_HD': np.array([0.01]), 'HD_given_place': np.array([0.9])}
  for second, name in ((0.0, 'single_field'), (1.0, 'complex_cells')):
    metrics['field_second'] = np.array([second])
    ids = cell_types.by_test(metrics, q, Thresholds())
    assert NAMES[ids[0]] == name


def test_fractions():
  ids = np.array([0, 0, 2, 6])
  np.testing.assert_allclose(
    cell_types.fractions(ids)[:7], [0.5, 0, 0.25, 0, 0, 0, 0.25]
  )


@pytest.mark.slow
@pytest.mark.parametrize('real', [False, True])
@pytest.mark.parametrize('noise', [0.1, 0.2])
def test_planted_units_come_back_as_what_they_are(noise, real):
  # The walks in the open world, those of real moves in the obstructed one.
  found = classes.classify(0, real, real, noise, each=12, nulls=100)
  truth, ids = found[:2]
  n = len(NAMES)
  table = np.bincount(truth * n + ids, minlength=n * n).reshape(n, n)
  # A code may drown in the noise, but its shape is not named.
  faint = table[cell_types.WEAK]
  assert faint.sum() == faint[cell_types.WEAK] + faint[cell_types.UNTUNED]
  faint[cell_types.WEAK] = faint.sum()
  faint[cell_types.UNTUNED] = 0
  noise_named = table[cell_types.UNTUNED].sum() - table[cell_types.UNTUNED, 0]
  assert noise_named <= 0.05 * table[cell_types.UNTUNED].sum()
  clear = np.diag(table)[table.sum(1) > 0].sum() / table.sum()
  assert clear >= 0.95, table
  for k in np.flatnonzero(table.sum(1)):
    assert table[k, k] >= 0.9 * table[k].sum(), (NAMES[k], table[k])


@pytest.mark.slow
@pytest.mark.parametrize('signed', [False, True])
def test_units_of_either_sign_come_back_as_what_they_are(signed):
  rng = np.random.default_rng(0)
  tiles = planted.world()
  track = planted.track(tiles, rng, 50)
  samples, truth = planted.population(tiles, track, rng, signed=signed)
  design = Design.build(track, Grid(*tiles.shape))
  setup = Setup.build(design, find_walls(planted.free(tiles)), n_shuffles=100)
  table = tuning.measure(samples, setup)
  ids = cell_types.by_test(table.metrics, table.q, Thresholds(), table.p)
  for k in np.unique(truth):
    assert (ids[truth == k] == k).mean() >= 0.9, NAMES[k]
