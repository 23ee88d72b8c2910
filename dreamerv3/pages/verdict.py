"""The first part of a page: what may be said of a run, against what, how sure.

  html = verdict(sources.results)

The sentences are those of `verdicts`, as `summarize.py --verdicts` prints them.
"""

import pathlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from dreamerv3.pages.verdicts import Said, distinct, number, verdicts

QUESTIONS = {
  'decode_position': 'Does its state tell where it is?',
  'blind_steps': 'How long does it know the place without sight?',
  'tuning_curve': 'What are single units tuned to?',
  'analyze_tuning': 'What kinds of maps are there?',
  'manifold_analysis': 'Is the code laid out like the world?',
  'dream_decode': 'Does it keep its place in dreams?',
}
SURE = (
  'How sure? Errors are of episodes that the decoder did not see; p values are '
  'two-sided and intervals 95 %, both over whole episodes. Compared is with a guess '
  'that knows only where the agent tends to be, with what the picture of the moment '
  'shows, and with the same network untrained on the same path. All of it is of one '
  'trained network: it says nothing of others.'
)
ROW, LEFT, WIDE, RIGHT = 26, 150, 560, 60  # of the drawing [px]


def verdict(results: pathlib.Path) -> str:
  """Cards of sentences, and the errors of decoding as a drawing; '' for none."""
  said = list(verdicts(results))
  if not said:
    return ''
  cards = ''.join(
    _card(stage, [x for x in said if x.entry.stage == stage])
    for stage in dict.fromkeys(x.entry.stage for x in said)
  )
  return (
    '<section id="verdict"><h2>What is known about space in this agent</h2>'
    f'<div class="verdicts">{cards}</div>{_errors(said)}'
    f'<p class="note">{escape(SURE)}</p></section>'
  )


def _card(stage: str, said: Sequence[Said]) -> str:
  title = QUESTIONS[stage]
  lines = ''.join(f'<p>{escape(x)}</p>' for _, kept in distinct(said) for x in kept)
  folders = ', '.join(dict.fromkeys(x.folder.name for x in said))
  return (
    f'<div class="card"><h3>{escape(title)}</h3>{lines}'
    f'<p class="note">{escape(stage)}: {escape(folders)}</p></div>'
  )


def _errors(said: Sequence[Said]) -> str:
  """Error of each layer with its interval, beside what it is compared with."""
  tables = [x.entry.extra.get('summary', []) for x in said]
  rows = [x for x in max(tables, key=len, default=[]) if _known(x, 'mean')]
  if not rows:
    return ''
  most = max(number(x[k]) for x in rows for k in _ENDS if _known(x, k)) * 1.05
  most = max(most, 1.0)

  def at(value: Any) -> float:
    return LEFT + WIDE * number(value) / most

  height = ROW * len(rows)
  parts = [_axis(most, height)]
  for key, dash in (('best_constant', ''), ('seen_error', '2 3')):
    if _known(rows[0], key):
      x = at(rows[0][key])
      parts.append(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}" '
        f'stroke="currentColor" stroke-dasharray="{dash}"/>'
      )
  parts += [_row(x, i, at) for i, x in enumerate(rows)]
  whole = LEFT + WIDE + RIGHT
  seen = escape(str(rows[0].get('seen') or 'none'))
  return (
    f'<figure class="errors"><svg viewBox="0 0 {whole} {height + 44}" role="img" '
    'style="width:100%;max-width:820px" aria-label="Errors of decoding">'
    f'{"".join(parts)}</svg><figcaption>Mean error of the decoded position [tiles] on '
    'held-out episodes: dot and line, the layer with its 95 % interval; square, the '
    'untrained network; full line, the best constant guess; dotted line, what is seen '
    f'now ({seen}). Further left is better.</figcaption></figure>'
  )


_ENDS = ('mean', 'high', 'best_constant', 'control', 'seen_error')


def _known(row: Mapping[str, Any], key: str) -> bool:
  value = number(row.get(key, 'nan'))
  return isinstance(value, int | float) and value == value


def _axis(most: float, height: int) -> str:
  step = next(x for x in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1e9) if most / x <= 8)
  marks = ''
  for i in range(int(most / step) + 1):
    x = LEFT + WIDE * i * step / most
    marks += (
      f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}" stroke="var(--grid)"/>'
      f'<text x="{x:.1f}" y="{height + 18}" text-anchor="middle">{i * step:g}</text>'
    )
  return (
    f'{marks}<text x="{LEFT + WIDE / 2}" y="{height + 38}" '
    'text-anchor="middle">error [tiles]</text>'
  )


def _row(row: Mapping[str, Any], i: int, at: Any) -> str:
  y = ROW * i + ROW / 2
  name = str(row['layer'])
  name = name if len(name) <= 20 else f'{name[:19]}…'
  parts = f'<text x="{LEFT - 8}" y="{y + 5}" text-anchor="end">{escape(name)}</text>'
  if _known(row, 'low') and _known(row, 'high'):
    parts += (
      f'<line x1="{at(row["low"]):.1f}" x2="{at(row["high"]):.1f}" y1="{y}" y2="{y}" '
      'stroke="var(--line1)" stroke-width="3"/>'
    )
  if _known(row, 'control'):
    parts += (
      f'<rect x="{at(row["control"]) - 5:.1f}" y="{y - 5}" width="10" height="10" '
      'fill="var(--paper)" stroke="var(--line2)" stroke-width="2"/>'
    )
  value = number(row['mean'])
  return parts + (
    f'<circle cx="{at(value):.1f}" cy="{y}" r="6" fill="var(--line1)"/>'
    f'<text x="{LEFT + WIDE + 10}" y="{y + 5}">{value:.2f}</text>'
  )
