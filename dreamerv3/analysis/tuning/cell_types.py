"""Names for what units are tuned to: views on the table of metrics.

  ids = by_threshold(table.metrics, Thresholds())       # the published rules
  ids = by_test(table.metrics, table.q, Thresholds())   # against chance
  NAMES[ids[0]]                                         # 'single_field'

Both read the table alone, so other thresholds take no new measurement.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

NAMES = (
  'untuned',
  'HD_cells',
  'single_field',
  'border_cells',
  'spatial_HD',
  'complex_cells',
  'dead',
  'weak',
  'boundary_vector',
  'egocentric',
  'speed',
  'action',
  'grid_cells',
  'remapping',
  'internal',
)
UNTUNED, HD, SINGLE, BORDER, BOTH, COMPLEX, DEAD, WEAK, *_NEW = range(len(NAMES))
BOUNDARY, EGO, SPEED, ACTION, GRID, REMAPPING, INTERNAL = _NEW
PUBLISHED = NAMES[:WEAK]  # those that thresholds alone can give

# A map is one field, or one wall, if that explains this much of what is
# reliable in it: two equal fields leave a half, two of areas 1:2 a third.
ONE_SHAPE = 0.75
# Least share of a map's variance that is not noise for its shape to be named:
# below it, fits of noise are named, see docs/science.md.
MIN_RELIABILITY = 0.4
# Least share of the variance that place and facing explain together.
MIN_EFFECT = 0.01
# Least share of the variance, on held-out episodes, that a name needs: of curves
# of few values, which are reliable in any noise, and of maps, which are not.
MIN_HELD_OUT = 0.1
MIN_MAP = 0.05
# Preferred distance [steps from a wall] from which a border is a band.
BAND = 3
# Share of the held-out variance that only a map of each half predicts: a half
# where the two maps have nothing in common.
CHANGED = 0.2
GRID_ALPHA = 0.05  # of the grid score against shuffled fields
# The rivals of a spatial code: class, score that is tested, held-out models.
RIVALS = (
  (EGO, 'view', ('view', 'ego_boundary')),
  (SPEED, 'speed', ('speed',)),
  (ACTION, 'action', ('action',)),
)
# All of these together, which tell what neither does alone.
TOGETHER = 'rivals'
# What the agent carries along: null sessions cannot test it, see `_internal`.
INNER = ('time', 'daylight', 'vitals')


@dataclasses.dataclass(frozen=True)
class Thresholds:
  """Where the classes end; the flags of the same names.

  Attributes:
    SI_thresh: spatial information [bits].
    EV_thresh: variance explained by place that a single field needs.
    EV_unthresh: variance explained by place that is none; and the share of
      the explained variance below which a variable does not matter.
    HD_thresh: head-direction information [bits].
    alpha: share of noise units that may be called tuned.
  """

  SI_thresh: float = 0.5
  EV_thresh: float = 0.5
  EV_unthresh: float = 0.15
  HD_thresh: float = 0.5
  alpha: float = 0.05


def by_threshold(metrics: Mapping[str, np.ndarray], limits: Thresholds) -> np.ndarray:
  """Classes (D,) by the thresholds alone, in this order:

    dead           field size and asymmetry NaN: no activity
    untuned        EV <= EV_unthresh, SI <= SI_thresh, HD <= HD_thresh
    HD_cells       EV <= EV_unthresh, SI <= SI_thresh, HD > HD_thresh
    border_cells   border score > 0 and asymmetry > 3
    single_field   one peak, EV > EV_thresh, asymmetry < 3
    spatial_HD     SI > SI_thresh and HD > HD_thresh
    complex_cells  everything else

  These are the rules of pRNN's analysis. They know no chance: slow noise on
  few visits passes SI > 0.5. An unknown score (NaN) counts as 0.
  """
  m = {k: np.nan_to_num(v) for k, v in metrics.items()}
  silent = np.isnan(metrics['fieldsize']) & np.isnan(metrics['fieldasymmetry'])
  flat = (m['EVs'] <= limits.EV_unthresh) & (m['SI'] <= limits.SI_thresh)
  turned = m['HD_info'] > limits.HD_thresh
  long = m['fieldasymmetry'] > 3
  single = (m['pf_peaks'] == 1) & (m['EVs'] > limits.EV_thresh)
  return np.select(
    [
      silent,
      flat & ~turned,
      flat & turned,
      (m['border_score'] > 0) & long,
      single & (m['fieldasymmetry'] < 3),
      (m['SI'] > limits.SI_thresh) & turned,
    ],
    [DEAD, UNTUNED, HD, BORDER, SINGLE, BOTH],
    COMPLEX,
  )


def by_test(
  metrics: Mapping[str, np.ndarray],
  q: Mapping[str, np.ndarray],
  limits: Thresholds,
  p: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
  """Classes (D,) by tests against the null, for units of either sign.

  A unit is spatial if place says more about it than facing does, beyond
  chance (q of place_given_HD) and by more than EV_unthresh of the variance
  that both explain, (R2_both - R2_HD) / R2_both; directional the other way
  round. The two tests share alpha by Holm's method: the smaller q must be <=
  alpha / 2, the larger <= alpha. It follows a rival (view, speed, action) if q
  of that one is <= alpha / 3 and it predicts held-out episodes better than
  place and facing do, alone, together or crossed.

    dead             no activity
    untuned          neither spatial nor directional, and no rival
    egocentric, speed, action   the rival that predicts best
    internal         spatial, but time, daylight or vitals leave it nothing to add
    HD_cells         directional alone
    spatial_HD       both
    remapping        spatial alone, with another map in the second half: more
                     than a fifth of what a map of each half predicts, one map
                     does not, and p of map_drift <= alpha
    border_cells     spatial alone; one wall explains > 75 % of the map's reliable
                     variance, and more than one field or a plane does
    boundary_vector  the same, with a band, or the field of a boundary vector, 2
                     tiles or more off the wall
    single_field     the same with one round field, and there is no second
    grid_cells       several fields on a triangular grid
    complex_cells    spatial alone, with any other map
    weak             what would be one of these, but the curve that the name
                     speaks of does not hold: of its variance less than 0.4 is
                     reliable, or it explains of held-out episodes less than
                     0.1, or 0.05 for a map

  Without facing (no R2_both) a unit is spatial by q of EVs. Results of older
  programs have no rivals, and no held-out variance of facing.
  """
  m = {k: np.nan_to_num(v) for k, v in metrics.items()}
  spatial, turned = _tuned(m, q, limits)
  rival, explains, found = _rival(m, q, limits)
  leads = found & ((explains > _spatial(m)) | ~(spatial | turned))
  silent = np.isnan(metrics['fieldsize']) & np.isnan(metrics['fieldasymmetry'])
  weak = _weak(m, spatial, turned, leads, explains)
  rules = (
    (silent, DEAD),
    (~spatial & ~turned & ~found, UNTUNED),
    (_internal(m, np.where(leads, weak[0], spatial)), INTERNAL),
    (weak[0], WEAK),
    (leads, rival),
    (weak[1], WEAK),
    (~spatial, HD),
    (weak[2], WEAK),
    (turned, BOTH),
    (_moved(m, p or {}, limits), REMAPPING),
    (weak[3], WEAK),
  )
  return np.select([x for x, _ in rules], [x for _, x in rules], _shape(m))


def _weak(
  m: Mapping[str, np.ndarray],
  spatial: np.ndarray,
  turned: np.ndarray,
  leads: np.ndarray,
  explains: np.ndarray,
) -> list[np.ndarray]:
  """Units whose curve does not hold: of the rival, facing, both, and place."""
  one = np.ones(len(spatial))
  return [
    leads & (explains < MIN_HELD_OUT),
    ~leads & ~spatial & ~_holds(m, 'facing', 'HD_reliability', one),
    ~leads & turned & ~_holds(m, 'place_x_facing', 'joint_reliability', one),
    ~leads & ~turned & ~_holds(m, 'place', 'map_reliability', m['EVs']),
  ]


def _tuned(
  m: Mapping[str, np.ndarray], q: Mapping[str, np.ndarray], limits: Thresholds
) -> tuple[np.ndarray, np.ndarray]:
  """Units that are spatial, and directional, by their tests."""
  if 'R2_both' in m:
    return _tests(m, q, limits)
  spatial = (_known(q['EVs']) <= limits.alpha) & (m['R2_place'] > MIN_EFFECT)
  return spatial, np.zeros_like(spatial)


def _moved(
  m: Mapping[str, np.ndarray], p: Mapping[str, np.ndarray], limits: Thresholds
) -> np.ndarray:
  """Whether the map of the second half is another one."""
  one = np.ones(len(m['EVs']))
  moved = _known(p.get('map_drift', one)) <= limits.alpha
  halves = m.get('EV_place_x_half', 0 * one)
  moved &= halves >= MIN_MAP
  moved &= halves - np.maximum(m.get('EV_place', halves), 0) > CHANGED * halves
  return moved


def _shape(m: Mapping[str, np.ndarray]) -> np.ndarray:
  """The class (D,) of a map that holds, by what explains it."""
  reliable = np.maximum(m['map_reliability'], MIN_RELIABILITY)
  zero = np.zeros_like(m['wall_r2'])
  whole, part = m.get('band_r2', zero), m.get('vector_r2', zero)
  band = np.maximum(whole, part)
  nearest = np.where(
    part > whole, m.get('vector_distance', zero), m.get('band_distance', zero)
  )
  off = nearest >= BAND
  field, wall = m['field_r2'], np.maximum(m['wall_r2'], band)
  shape = np.maximum(field, wall)
  # Half of a wide field or band looks like a slope, which has no place.
  shaped = (shape / reliable > ONE_SHAPE) & (shape > m.get('slope_r2', zero))
  single = shaped & (wall <= field) & (m['field_second'] == 0)
  grid = m.get('grid_p', zero + 1)
  return np.select(
    [
      shaped & (wall > field) & (band > m['wall_r2']) & off,
      shaped & (wall > field),
      single,
      (grid > 0) & (grid <= GRID_ALPHA),
    ],
    [BOUNDARY, BORDER, SINGLE, GRID],
    COMPLEX,
  )


def _holds(
  m: Mapping[str, np.ndarray], model: str, reliability: str, older: np.ndarray
) -> np.ndarray:
  """Whether the curve that a name speaks of holds on other episodes, (D,).

  Args:
    older: stands for what results of older programs do not have.
  """
  held_out = m.get(f'EV_{model}', older)
  if model == 'place_x_facing' and 'gain_facing' in m:  # or their sum
    held_out = np.maximum(held_out, m['EV_place'] + m['gain_facing'])
  effect = m['R2_HD'] > MIN_EFFECT if model == 'facing' and 'R2_HD' in m else True
  reliable = m.get(reliability, older) >= MIN_RELIABILITY
  least = MIN_HELD_OUT if model == 'facing' else MIN_MAP
  holds: np.ndarray = reliable & (held_out >= least) & effect
  if model == 'place':
    holds = holds & (m['EVs'] > 0)
  return holds


def _spatial(m: Mapping[str, np.ndarray]) -> np.ndarray:
  """Held-out variance (D,) that place and facing explain at best."""
  zero = np.zeros_like(m['EVs'])
  names = ('EV_place', 'EV_boundary', 'EV_facing', 'EV_place_x_facing')
  found = [m.get(x, zero) for x in names]
  best: np.ndarray = np.max([*found, found[0] + m.get('gain_facing', zero)], 0)
  return best


def _rival(
  m: Mapping[str, np.ndarray], q: Mapping[str, np.ndarray], limits: Thresholds
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The best rival's class, its held-out variance, and whether it is one, (D,)."""
  zero = np.zeros_like(m['EVs'])
  values = []
  for _, score, models in RIVALS:
    explains = np.max([m.get(f'EV_{x}', zero) for x in models], 0)
    known = _known(q[score]) <= limits.alpha / len(RIVALS) if score in q else False
    values.append(np.where(known & (explains > MIN_EFFECT), explains, -1))
  best = np.max(values, 0)
  # The last move says whether there was one: speed is the simpler name of both.
  values[1] = np.where(values[1] >= best - MIN_EFFECT, np.inf, values[1])
  top = np.argmax(values, 0)
  together = m.get(f'EV_{TOGETHER}', zero)
  best = np.where(best >= MIN_HELD_OUT, np.maximum(best, together), best)
  classes: np.ndarray = np.array([x for x, *_ in RIVALS])[top]
  return classes, best, best > 0


def _internal(m: Mapping[str, np.ndarray], among: np.ndarray) -> np.ndarray:
  """Which of some units (D,) owe their map to a variable that the agent carries along.

  Time, daylight and vitals go with the place where an agent drinks or sleeps. One of
  them predicts held-out episodes better than place and facing do, and place adds to it
  less than a map has to explain. Null sessions keep time and daylight, so that they
  cannot be tested as the rivals are.
  """
  away = np.zeros(len(m['EVs']), bool)
  for name in INNER:
    if f'gain_{name}' not in m:
      continue
    own = m[f'EV_{name}']
    place_adds = m['EV_place'] + m[f'gain_{name}'] - own
    better = (own > _spatial(m)) & (own >= MIN_HELD_OUT)
    away |= better & (place_adds < MIN_MAP)
  return among & away


def fractions(ids: np.ndarray) -> np.ndarray:
  """Share of units in each class, in the order of `NAMES`."""
  return np.bincount(ids, minlength=len(NAMES)) / max(len(ids), 1)


def _tests(
  m: Mapping[str, np.ndarray], q: Mapping[str, np.ndarray], limits: Thresholds
) -> tuple[np.ndarray, np.ndarray]:
  """Units (D,) that are spatial, and that are directional."""
  place, heading = _known(q['place_given_HD']), _known(q['HD_given_place'])
  first = np.minimum(place, heading) <= limits.alpha / 2
  both = m['R2_both']
  matters = first & (both > MIN_EFFECT)
  total = np.where(both > 0, both, 1)
  share_place = (both - m['R2_HD']) / total
  share_heading = (both - m['R2_place']) / total
  low = limits.EV_unthresh
  spatial = matters & (place <= limits.alpha) & (share_place > low)
  turned = matters & (heading <= limits.alpha) & (share_heading > low)
  return spatial, turned


def _known(q: np.ndarray) -> np.ndarray:
  return np.where(np.isnan(q), 1, q)
