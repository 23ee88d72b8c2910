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
)
UNTUNED, HD, SINGLE, BORDER, BOTH, COMPLEX, DEAD, WEAK = range(len(NAMES))
PUBLISHED = NAMES[:WEAK]  # those that thresholds alone can give

# A map is one field, or one wall, if that explains this much of what is
# reliable in it: two equal fields leave a half, two of areas 1:2 a third.
ONE_SHAPE = 0.75
# Least share of a map's variance that is not noise for its shape to be named:
# below it, fits of noise are named, see docs/science.md.
MIN_RELIABILITY = 0.4
# Least share of the variance that place and facing explain together.
MIN_EFFECT = 0.01


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
) -> np.ndarray:
  """Classes (D,) by tests against the null, for units of either sign.

  A unit is spatial if place says more about it than facing does, beyond
  chance (q of place_given_HD) and by more than EV_unthresh of the variance
  that both explain, (R2_both - R2_HD) / R2_both; directional the other way
  round. The two tests share alpha by Holm's method: the smaller q must be <=
  alpha / 2, the larger <= alpha.

    dead           no activity
    untuned        neither
    HD_cells       directional alone
    spatial_HD     both
    weak           spatial alone, but the map does not hold on other episodes
                   (reliability < 0.4 or EVs <= 0): its shape is unknown
    border_cells   spatial alone; one wall explains > 75 % of the map's
                   reliable variance, and more than one field does
    single_field   the same with one round field, and there is no second
    complex_cells  spatial alone, with any other map

  Without facing (no R2_both) a unit is spatial by q of EVs.
  """
  m = {k: np.nan_to_num(v) for k, v in metrics.items()}
  if 'R2_both' in m:
    spatial, turned = _tests(m, q, limits)
  else:
    spatial = (_known(q['EVs']) <= limits.alpha) & (m['R2_place'] > MIN_EFFECT)
    turned = np.zeros_like(spatial)
  holds = (m['map_reliability'] >= MIN_RELIABILITY) & (m['EVs'] > 0)
  reliable = np.maximum(m['map_reliability'], MIN_RELIABILITY)
  field, wall = m['field_r2'] / reliable, m['wall_r2'] / reliable
  shaped = np.maximum(field, wall) > ONE_SHAPE
  silent = np.isnan(metrics['fieldsize']) & np.isnan(metrics['fieldasymmetry'])
  return np.select(
    [
      silent,
      ~spatial & ~turned,
      ~spatial,
      turned,
      ~holds,
      shaped & (wall > field),
      shaped & (m['field_second'] == 0),
    ],
    [DEAD, UNTUNED, HD, BOTH, WEAK, BORDER, SINGLE],
    COMPLEX,
  )


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
