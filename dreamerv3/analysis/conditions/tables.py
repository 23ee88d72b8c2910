"""A comparison of conditions as a table, and as sentences.

files.save_csv('summary.csv', rows(found))
print('\\n'.join(lines(found)))
"""

from collections.abc import Iterator
from typing import Any

from dreamerv3.analysis.conditions import quantities
from dreamerv3.analysis.conditions.found import Cell, Comparison, Effect, Score

ALPHA = 0.05
NAN = float('nan')
_EFFECT = ('diff', 'low', 'high', 'g', 'g_low', 'g_high', 'p', 'p_all')
_SCORE = ('iqm', 'low', 'high', 'better', 'better_low', 'better_high')


def rows(found: Comparison) -> list[dict[str, Any]]:
  """The table summary.csv: a row per quantity, layer and condition."""
  scores = {(x.quantity, x.condition): x for x in found.scores}
  table = []
  for cell in found.cells:
    effect = found.effect(cell.quantity, cell.layer, cell.condition)
    score = scores.get((cell.quantity, cell.condition))
    table.append(
      {
        'quantity': cell.quantity,
        'layer': cell.layer,
        'condition': cell.condition,
        'runs': len(cell.values),
        'mean': cell.mean,
        'low': cell.low,
        'high': cell.high,
        **_effect(effect),
        **_score(score),
      }
    )
  return table


def _effect(effect: Effect | None) -> dict[str, Any]:
  names = ('diff', 'diff_low', 'diff_high', *_EFFECT[3:])
  if effect is None:
    return {'reference': '', **dict.fromkeys(names, NAN), 'paired': ''}
  values = [getattr(effect, x) for x in _EFFECT]
  known = dict(zip(names, values, strict=True))
  return {'reference': effect.reference, **known, 'paired': int(effect.paired)}


def _score(score: Score | None) -> dict[str, float]:
  names = ('iqm', 'iqm_low', 'iqm_high', *_SCORE[3:])
  if score is None:
    return dict.fromkeys(names, NAN)
  return dict(zip(names, (getattr(score, x) for x in _SCORE), strict=True))


def differs(effect: Effect | None) -> bool:
  """Whether a difference holds for all layers and conditions together.

  By p and by the interval: exchanges take both conditions for equally spread, and pass
  too often where a few agents spread more than many others.
  """
  if effect is None or not effect.p_all <= ALPHA:
    return False
  return not effect.low <= 0 <= effect.high


def lines(found: Comparison) -> list[str]:
  """What is printed: a block per quantity, what differs, what to beware of."""
  printed = [y for x in found.quantities() if '/' not in x for y in _block(found, x)]
  return [*printed, '', *verdicts(found), *found.notes]


def _block(found: Comparison, name: str) -> Iterator[str]:
  of = quantities.of(name)
  unit = f' [{of.unit}]' if of.unit else ''
  known = any(x.low == x.low for x in found.cells if x.quantity == name)
  yield f'{of.label}{unit}, mean over runs{" [95 % over runs]" if known else ""}'
  layers = found.layers(name)
  wide = max(map(len, layers))
  for layer in layers:
    cells = [found.of(name, layer, x) for x in found.conditions]
    text = '   '.join(
      f'{x.condition} {spread(x)} n={len(x.values)}' for x in cells if x
    )
    yield f'  {layer:{wide}}  {text}'.rstrip()


def spread(x: Cell) -> str:
  """A mean with its interval, where there is one."""
  return _spread(x.mean, x.low, x.high)


def verdicts(found: Comparison) -> list[str]:
  """Sentences on what holds: one per condition and quantity that differs."""
  sentences, untested = [], []
  for condition in found.conditions[1:]:
    effects = [x for x in found.effects if x.condition == condition and x.p == x.p]
    pair = f'{condition} v {found.conditions[0]}'
    if not effects:
      untested.append(condition)
      continue
    holds = [x for x in effects if differs(x)]
    for name in dict.fromkeys(x.quantity for x in holds):
      sentences.append(f'{pair}: {_sentence([x for x in holds if x.quantity == name])}')
    if not holds:
      sentences.append(
        f'{pair}: no difference holds at {100 * ALPHA:.0f} % for all layers together '
        f'({len(effects)} numbers compared).'
      )
  quantities_of = {x.quantity for x in found.effects if x.p == x.p}
  if len(quantities_of) > 1 and any(differs(x) for x in found.effects):
    sentences.append(
      f'Each of {len(quantities_of)} quantities is corrected for its own layers alone: '
      'of equal conditions one in twenty of them differs by chance.'
    )
  if untested:
    names = '; '.join(untested)
    sentences.append(f'Not tested against {found.conditions[0]}: {names}.')
  return sentences


def _sentence(some: list[Effect]) -> str:
  """Of a quantity in the layers where it differs, the largest difference first."""
  x, *others = sorted(some, key=lambda x: (x.p_all, -abs(x.diff)))
  of = quantities.of(x.quantity)
  where = f' in {x.layer}' if x.layer else ''
  n = f'{x.n} pairs' if x.paired else f'{x.n} v {x.n_reference} runs'
  g = f'g {x.g:.1f}, ' if x.g == x.g else ''
  sign = 1 if x.diff > 0 else -1
  size = _spread(abs(x.diff), *sorted((sign * x.low, sign * x.high)))
  unit = f' {of.unit}' if of.unit else ''
  more = f'; also in {", ".join(y.layer for y in others)}' if others else ''
  return (
    f'{of.label}{where} is {"higher" if x.diff > 0 else "lower"}, by {size}{unit} '
    f'({g}p {x.p:.3f}, corrected {x.p_all:.3f}; {n}){more}.'
  )


def _spread(value: float, low: float, high: float) -> str:
  if low != low:
    return f'{value:.3g}'
  return f'{value:.3g} [{low:.3g}, {high:.3g}]'
