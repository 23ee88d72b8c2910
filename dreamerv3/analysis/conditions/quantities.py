"""What is compared between agents: names, words, units, and which way is better.

of('decode_share').label      # 'decoding error'
of('class/single_field').unit # 'share of units'
"""

import dataclasses

LOWER, NEITHER, HIGHER = -1, 0, 1
CLASS = 'class/'  # + name of a class, by test
CLASS_SIMPLE = 'class_by_threshold/'  # the same by thresholds alone


@dataclasses.dataclass(frozen=True)
class Quantity:
  """A number that a run has, of each layer or of the whole agent.

  Attributes:
    name: as tables spell it.
    label, unit: words of figures.
    better: LOWER, HIGHER or NEITHER.
    score: whether it is a score of behaviour, for which rliable's statistics are.
  """

  name: str
  label: str
  unit: str
  better: int = NEITHER
  score: bool = False


KNOWN = {
  x.name: x
  for x in (
    Quantity('decode_error', 'decoding error', 'tiles', LOWER),
    Quantity('decode_share', 'relative decoding error', "share of chance's", LOWER),
    Quantity(
      'decode_gain', 'error below the untrained network', "share of chance's", HIGHER
    ),
    Quantity('memory', 'memory beyond what is seen', 'tiles', HIGHER),
    Quantity('SI', 'spatial information, median unit', 'bits'),
    Quantity('EV', 'held-out variance explained, median unit', 'share'),
    Quantity('srsa', 'sRSA', 'Spearman r'),
    Quantity('srsa_partial', 'sRSA given view and time', 'Spearman r'),
    Quantity('dimension', 'participation ratio', 'dimensions'),
    Quantity('dimension_nn', 'TwoNN dimension', 'dimensions'),
    Quantity('dream_error', 'error of dreams', 'tiles', LOWER),
    Quantity('dream_memory', 'dreams nearer than a frozen one', 'tiles', HIGHER),
    Quantity('crafter_score', 'Crafter score', '%', HIGHER, score=True),
    Quantity('return', 'return', 'per episode', HIGHER, score=True),
    Quantity('return_recent', 'return of the last episodes', '', HIGHER, score=True),
  )
}


def of(name: str) -> Quantity:
  """What is known of a quantity; of one that is not ours, its name alone."""
  if name in KNOWN:
    return KNOWN[name]
  for prefix in (CLASS, CLASS_SIMPLE):
    if name.startswith(prefix):
      label = name.removeprefix(prefix).replace('_', ' ')
      return Quantity(name, f'share of {label}', 'of units')
  return Quantity(name, name, '')


def rank(name: str) -> tuple[int, str]:
  """Key that sorts quantities: ours in their order, then classes, then others."""
  known = list(KNOWN)
  if name in KNOWN:
    return known.index(name), ''
  return len(known) + (not name.startswith(CLASS)), name
