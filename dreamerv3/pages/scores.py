"""Names of the scores of units for people, and their order on a page.

about('EVs').label     # 'held-out variance'

docs/science.md defines each score; one that is not listed here keeps its own name.
"""

from collections.abc import Iterable
from typing import NamedTuple


class ScoreWords(NamedTuple):
  """A score in words.

  Attributes:
    label: what it is; unit: in which it is measured, '' for a share or number.
    tested: the test whose p value belongs to it; '' for none.
  """

  label: str
  unit: str = ''
  tested: str = ''


# In the order of a page, the first two are its axes.
KNOWN = {
  'SI': ScoreWords('spatial information', 'bits', 'SI'),
  'EVs': ScoreWords('held-out variance of the map', '', 'EVs'),
  'EV_best': ScoreWords('held-out variance of the best model'),
  'MI': ScoreWords('mutual information, corrected', 'bits'),
  'stability': ScoreWords('split-half stability'),
  'map_reliability': ScoreWords('reliability of the map'),
  'R2_place': ScoreWords('variance by place, freed of bias'),
  'R2_HD': ScoreWords('variance by facing, freed of bias'),
  'R2_both': ScoreWords('variance by both, freed of bias'),
  'HD_info': ScoreWords('facing information', 'bits', 'HD_info'),
  'HD_info_given_place': ScoreWords('facing given place', 'bits', 'HD_given_place'),
  'SI_given_HD': ScoreWords('place given facing', 'bits', 'place_given_HD'),
  'field_r2': ScoreWords('one field explains of the map'),
  'wall_r2': ScoreWords('one wall explains of the map'),
  'band_r2': ScoreWords('a band along a wall explains'),
  'vector_r2': ScoreWords('a boundary vector explains'),
  'border_score': ScoreWords('border score', '', 'border_score'),
  'pf_peaks': ScoreWords('fields'),
  'fieldsize': ScoreWords('field size', 'tiles'),
  'fieldasymmetry': ScoreWords('field asymmetry'),
  'morans_i': ScoreWords("Moran's I"),
  'gearys_c': ScoreWords("Geary's C"),
  'map_drift': ScoreWords('change of the map between halves', '', 'map_drift'),
  'mean': ScoreWords('mean activation'),
}
# Numbers of walls and models, which mean nothing on an axis.
CODES = frozenset({'best_model', 'border_wall', 'wall', 'band_wall'})
FAMILIES = (
  ('EV_', 'held-out variance by {}'),
  ('gain_', 'what {} adds to place'),
  ('p_', 'p of {}'),
  ('q_', 'q of {}'),
)


def about(name: str) -> ScoreWords:
  """A score in words."""
  if name in KNOWN:
    return KNOWN[name]
  for prefix, text in FAMILIES:
    if name.startswith(prefix):
      rest = name.removeprefix(prefix)
      return ScoreWords(text.format(rest.replace('_', ' ')), '', _tests(prefix, rest))
  return ScoreWords(name.replace('_', ' '))


def ordered(names: Iterable[str]) -> list[str]:
  """The scores of a page: known ones, models, p values, the others."""
  left = set(names) - CODES
  known = [x for x in KNOWN if x in left]
  left -= set(known)
  ranks = [x for x, _ in FAMILIES]

  def place(name: str) -> tuple[int, str]:
    found = [i for i, x in enumerate(ranks) if name.startswith(x)]
    return (found[0] if found else len(ranks)), name

  return [*known, *sorted(left, key=place)]


def _tests(prefix: str, rest: str) -> str:
  """The tests of rivals are of what they explain."""
  return rest if prefix == 'EV_' and rest in ('speed', 'action', 'view') else ''
