"""What do decoding errors differ from? Chance, control, perception, each other.

  columns = compare(results, control, seen, n_boot=1000, seed=0)   # a dict each
  pairs = layer_pairs(results, n_boot=1000, seed=0)
  print(verdict(rows[0]))

For `run`. Every difference is below 0 where the layer errs less; every p is
two-sided, and p..._all is corrected for all layers of the run together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv3.analysis.decoding.result import DecodeResult
from dreamerv3.analysis.differences import Differences, Side, paired, unpaired

DETER = ('deter', 'dyn/deter')
ALPHA = 0.05
NAN = float('nan')
# Chance levels that know the time in the episode.
TIMED = {
  'timed': 'a guess by the time in the episode',
  'shuffled': "a decoder of other episodes' paths",
}


def compare(
  results: Sequence[DecodeResult],
  control: Mapping[str, DecodeResult],
  seen: Mapping[str, DecodeResult],
  n_boot: int,
  seed: int,
) -> list[dict[str, Any]]:
  """Columns of the table for each result.

  Args:
    results: of one plan, so that all tested the same timesteps.
    control: {layer: result} of the untrained network.
    seen: {name: result} of what is seen now, see `perception`.
  """
  episode = results[0].episode
  errors = np.stack([x.errors for x in results])
  chance = paired(errors - results[0].best_constant, episode, n_boot, seed)
  levels = {x: _against(x, results, errors, seed) for x in TIMED}
  against = _against_control(results, control, n_boot, seed)
  columns = []
  for i, result in enumerate(results):
    other = control.get(result.layer)
    known = other is not None and same_path(result, other)
    columns.append(
      {
        **_columns('chance', chance, i),
        **_p_values('shuffled', levels, i),
        **_p_values('timed', levels, i),
        **_columns('control', against.get(result.layer), 0),
        'control_paired': NAN if other is None else float(known),
      }
    )
  found = _against_seen(results, errors, seen, n_boot, seed)
  return [{**row, **more} for row, more in zip(columns, found, strict=True)]


def same_path(first: DecodeResult, second: DecodeResult) -> bool:
  """Whether both were tested on the same steps of the same walks."""
  return all(
    np.array_equal(getattr(first, x), getattr(second, x))
    for x in ('episode', 't', 'pos')
  )


def layer_pairs(
  results: Sequence[DecodeResult], n_boot: int, seed: int
) -> list[dict[str, Any]]:
  """A row per pair of layers: difference of their errors, interval, p values."""
  first, second = np.triu_indices(len(results), 1)
  if not len(first):
    return []
  errors = np.stack([x.errors for x in results])
  found = paired(errors[first] - errors[second], results[0].episode, n_boot, seed)
  return [
    {
      'layer': results[a].layer,
      'other': results[b].layer,
      'diff': float(found.diff[i]),
      'low': float(found.low[i]),
      'high': float(found.high[i]),
      'p': float(found.p[i]),
      'p_all': float(found.p_all[i]),
    }
    for i, (a, b) in enumerate(zip(first.tolist(), second.tolist(), strict=True))
  ]


def memory(
  alone: DecodeResult, both: DecodeResult, n_boot: int, seed: int
) -> dict[str, float]:
  """What a layer tells of the place beyond what is seen now [tiles].

  memory = error of what is seen - error of what is seen beside the layer
  """
  gain = paired((alone.errors - both.errors)[None], alone.episode, n_boot, seed)
  return {
    'memory': float(gain.diff[0]),
    'memory_low': float(gain.low[0]),
    'memory_high': float(gain.high[0]),
    'p_memory': float(gain.p[0]),
  }


def verdict(row: Mapping[str, Any]) -> str:
  """The sentence on one layer: against chance, the control and perception."""
  text = f'{row["layer"]}: {row["mean"]:.2f} tiles'
  if row['low'] == row['low']:
    text += f' [{row["low"]:.2f}, {row["high"]:.2f}]'
  text += '; a best constant guess '
  text += f'{row["best_constant"]:.2f} ({_word(row, "chance")}).'
  level = unbeaten(row) if _beats(row, 'chance') else ''
  if row['control'] == row['control']:
    share = row['mean'] / row['best_constant'] if row['best_constant'] else NAN
    other = row['control'] / row['control_constant'] if row['control_constant'] else NAN
    text += f' That is {share:.0%} of the guess, in the untrained network {other:.0%} '
    text += f'({_word(row, "control")}).'
  if level:
    text += (
      f' Not shown to be better than {TIMED[level]}, {row[level]:.2f} '
      f'({_word(row, level)}): what is read may be the time alone.'
    )
  if not row.get('seen'):
    return text + ' Memory unknown: nothing of what is seen was decoded.'
  text += f' From what is seen now, {row["seen"]}: {row["seen_error"]:.2f} '
  text += f'({_word(row, "seen")})'
  gain = row.get('memory', NAN)
  if gain == gain:
    text += f'; beside it the state gains {gain:.2f}'
    if row['memory_low'] == row['memory_low']:
      text += f' [{row["memory_low"]:.2f}, {row["memory_high"]:.2f}]'
    known = row['p_memory'] == row['p_memory']
    text += f', p {_p(row["p_memory"])}' if known else ' (not tested)'
  if level:
    return text + ': no memory shown.'
  if _beats(row, 'seen'):
    return text + ': memory, or a better reading of the view than a linear one.'
  if gain > 0 and row['p_memory'] <= ALPHA:
    return text + ': adds to the view, no memory by itself.'
  return text + ': no memory shown.'


def _columns(name: str, found: Differences | None, i: int) -> dict[str, float]:
  values = [NAN] * 5 if found is None else [float(x[i]) for x in found]
  keys = (
    *(f'diff_{name}', f'diff_{name}_low', f'diff_{name}_high'),
    *(f'p_vs_{name}', f'p_vs_{name}_all'),
  )
  return dict(zip(keys, values, strict=True))


def _p_values(name: str, levels: Mapping[str, Differences], i: int) -> dict[str, float]:
  found = levels[name]
  return {
    f'p_vs_{name}': float(found.p[i]),
    f'p_vs_{name}_all': float(found.p_all[i]),
  }


def _against(
  level: str, results: Sequence[DecodeResult], errors: np.ndarray, seed: int
) -> Differences:
  chance = np.stack([getattr(x, level) for x in results])
  return paired(errors - chance, results[0].episode, 0, seed)


def _against_control(
  results: Sequence[DecodeResult],
  control: Mapping[str, DecodeResult],
  n_boot: int,
  seed: int,
) -> dict[str, Differences]:
  """{layer: one comparison}, as shares of the best constant's error.

  By pairs where the control is on the same path, else over both recordings.
  """
  both = [(x, control[x.layer]) for x in results if x.layer in control]
  if not both:
    return {}
  first, other = both[0]
  mine = Side(np.stack([x.errors for x, _ in both]), first.best_constant, first.episode)
  errors = np.stack([x.errors for _, x in both])
  if all(same_path(*x) for x in both):
    whole = max(float(mine.constant.mean()), 1e-12)
    found = paired((mine.errors - errors) / whole, mine.episode, n_boot, seed)
  else:
    found = unpaired(
      mine, Side(errors, other.best_constant, other.episode), n_boot, seed
    )
  return {
    x.layer: Differences(*(v[i : i + 1] for v in found))
    for i, (x, _) in enumerate(both)
  }


def _against_seen(
  results: Sequence[DecodeResult],
  errors: np.ndarray,
  seen: Mapping[str, DecodeResult],
  n_boot: int,
  seed: int,
) -> list[dict[str, Any]]:
  """Columns against the best of what is seen now, the hardest of them."""
  if not seen:
    none = {'seen': '', 'seen_error': NAN, **_columns('seen', None, 0)}
    return [dict(none) for _ in results]
  best = hardest(seen)
  found = paired(errors - seen[best].errors, results[0].episode, n_boot, seed)
  means = {k: float(x.errors.mean()) for k, x in seen.items()}
  head = {'seen': best, 'seen_error': means[best], **means}
  return [{**head, **_columns('seen', found, i)} for i in range(len(results))]


def hardest(seen: Mapping[str, DecodeResult]) -> str:
  """The name of the least error."""
  return min(seen, key=lambda x: float(seen[x].errors.mean()))


def unbeaten(row: Mapping[str, Any], corrected: bool = False) -> str:
  """The first of the levels that know the time which a layer does not beat; else ''.

  Where all episodes take one path the time tells the place, and a clock is read as a
  place. A level that was not tested counts as beaten.

  Args:
    corrected: by p values that hold for all layers together.
  """
  for name in TIMED:
    p = row.get(f'p_vs_{name}' + ('_all' if corrected else ''), NAN)
    if p == p and not (p <= ALPHA and row['mean'] < row[name]):
      return name
  return ''


def _beats(row: Mapping[str, Any], name: str) -> bool:
  return bool(row[f'diff_{name}'] < 0 and row[f'p_vs_{name}'] <= ALPHA)


def _word(row: Mapping[str, Any], name: str) -> str:
  p = row[f'p_vs_{name}']
  if p != p:
    return 'not tested'
  if p > ALPHA:
    return f'not told apart, p {_p(p)}'
  gap = row[f'diff_{name}'] if name not in TIMED else row['mean'] - row[name]
  return f'{"better" if gap < 0 else "worse"}, p {_p(p)}'


def _p(value: float) -> str:
  return f'{value:.3f}' if value >= 0.001 else '< 0.001'
