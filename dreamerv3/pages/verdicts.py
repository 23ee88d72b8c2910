"""What may be said of a run: the sentences that its analyses came to.

For `summarize.py` and `report.py`, so that both say the same.

  for said in verdicts(pathlib.Path('logdir/run')): print(said.entry.stage, said.lines)
"""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dreamerv3.analysis.decoding.comparisons import DETER, unbeaten, verdict
from dreamerv3.base.errors import UserError
from dreamerv3.run_info import Entry, read_run_info

# Stages in the order of the pipeline.
ORDER = (
  *('decode_position', 'blind_steps', 'tuning_curve', 'analyze_tuning'),
  *('manifold_analysis', 'dream_decode'),
)
# Stages whose entries hold their sentences as they are.
TOLD = ('blind_steps', 'analyze_tuning', 'manifold_analysis')
# Classes that name nothing.
NAMELESS = ('untuned', 'dead', 'weak')


class Said(NamedTuple):
  """The sentences of one analysis.

  Attributes:
    folder: of its results.
    entry: of the command.
    lines: a sentence each.
  """

  folder: pathlib.Path
  entry: Entry
  lines: tuple[str, ...]


def verdicts(results: pathlib.Path) -> Iterator[Said]:
  """What each analysis says of the run, the newest of each folder."""
  entries = {}
  for path in sorted(results.rglob('run_info.json')):
    with contextlib.suppress(UserError):  # a foreign file says nothing of the run
      for entry in read_run_info(path.parent):
        if entry.stage in ORDER and entry.extra:
          entries[ORDER.index(entry.stage), str(path.parent)] = entry
  for (_, folder), entry in sorted(entries.items(), key=lambda x: x[0]):
    if lines := tuple(lines_of(entry)):
      yield Said(pathlib.Path(folder), entry, lines)


def distinct(said: Sequence[Said]) -> Iterator[tuple[Said, tuple[str, ...]]]:
  """Each with its sentences but those that one before it has of the same layer."""
  seen: set[str] = set()
  for one in said:
    lines = []
    for line in one.lines:
      key = _unnamed(line)
      if key not in seen:
        lines.append(line)
      seen.add(key)
    if lines:
      yield one, tuple(lines)


def _unnamed(line: str) -> str:
  """A sentence without the name of the recurrent state, which has two."""
  for name in DETER:
    line = line.removeprefix(f'{name}: ')
  return line


def lines_of(entry: Entry) -> Iterator[str]:
  """The sentences of one entry; none of other stages."""
  extra = entry.extra
  if entry.stage == 'decode_position':
    yield from decoding(extra)
  elif entry.stage == 'tuning_curve':
    yield from tuning(extra)
  elif entry.stage in TOLD:
    yield from map(str, extra.get('verdicts', []))
  elif entry.stage == 'dream_decode' and 'verdict' in extra:
    yield str(extra['verdict'])


def decoding(extra: Mapping[str, Any]) -> Iterator[str]:
  """The sentence on the recurrent state, and on how many layers differ from chance."""
  rows = [x for x in extra.get('summary', []) if 'p_vs_chance_all' in x]
  for row in rows:
    if row['layer'] in DETER:
      yield verdict({k: number(v) for k, v in row.items()})
  if len(rows) > 3:
    known = [{k: number(v) for k, v in x.items()} for x in rows]
    better = [
      x
      for x in known
      if x['p_vs_chance_all'] <= 0.05
      and x['mean'] < x['best_constant']
      and not unbeaten(x, corrected=True)
    ]
    count = f'{len(better)} of {len(rows)}'
    yield f'{count} layers beat the hardest chance level (corrected for their number).'


def tuning(extra: Mapping[str, Any]) -> Iterator[str]:
  """The commonest tested classes of each layer, beside the control's shares."""
  if measured := extra.get('class_shares'):
    for layer in dict.fromkeys(x['layer'] for x in measured):
      rows = [x for x in measured if x['layer'] == layer]
      yield f'{layer}: {_commonest({x["class"]: _share(x) for x in rows})}.'
    return
  control = extra.get('control_fractions', {})
  for layer, kinds in extra.get('fractions', {}).items():
    shares = kinds.get('by_test') or {}
    beside = control.get(layer, {}).get('by_test') or {}
    texts = {
      x: (
        share,
        f'{share:.0%}' + (f' (control {beside.get(x, 0):.0%})' if beside else ''),
      )
      for x, share in shares.items()
    }
    yield f'{layer}: {_commonest(texts)}.'


def _commonest(shares: Mapping[str, tuple[float, str]]) -> str:
  """Three classes at most, by {class: (share, its text)}."""
  named = sorted((x for x in shares if x not in NAMELESS), key=lambda x: -shares[x][0])
  text = [
    f'{x.replace("_", " ")} {shares[x][1]}' for x in named[:3] if shares[x][0] > 0
  ]
  return ', '.join(text) or 'no unit is named'


def _share(row: Mapping[str, Any]) -> tuple[float, str]:
  """A share with its interval over episodes, and the control's at equal samples."""
  share, low, high = (number(row[x]) for x in ('share', 'low', 'high'))
  text = f'{share:.0%}' + (f' [{low:.0%}, {high:.0%}]' if low == low else '')
  other = number(row.get('control_share', 'nan'))
  return share, text + (f' (control {other:.0%})' if other == other else '')


def number(value: Any) -> Any:
  """A number as provenance holds it, where NaN is text."""
  return float(value) if value in ('nan', 'inf', '-inf') else value
