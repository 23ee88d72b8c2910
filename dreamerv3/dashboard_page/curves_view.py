"""Learning curves of some runs in the browser, drawn again while they train.

show(run, [run, other])
"""

import pathlib
from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from dreamerv3.analysis import learning
from dreamerv3.base.errors import UserError
from dreamerv3.dashboard_page import runs
from dreamerv3.data.metrics_log import Following, MetricsLog
from dreamerv3.plots import style

EVERY = 5  # seconds between two looks at a run that trains
POINTS = 400  # of a curve
FEW = 10  # so many points are marked, since they make no line
COLORS = (*style.PALETTE[:-1], style.GREY)  # black would not be seen on a dark page
PLOT, LINE, GAP = 260, 22, 50  # of a chart, and of its legend [pixels]
TITLES = {
  'score': 'Episode score: sum of rewards',
  'crafter_score': 'Crafter score [%]',
  'cumulative_reward': 'Cumulative reward',
}
FIRST = ('score', 'crafter_score', 'loss/image', 'loss/policy')


def show(run: pathlib.Path, found: Sequence[pathlib.Path]) -> None:
  """The part of the page.

  Args:
    run: that is chosen; found: all of them.
  """
  left, right = st.columns(2)
  chosen = left.multiselect(
    'Runs in one figure',
    found,
    default=[run],
    format_func=str,
    key=f'runs-{run}',
    persist_state='session',
  )
  window = right.slider(
    'Episodes in a mean',
    1,
    200,
    50,
    key='window',
    help='A fifth of all at most.',
    persist_state='session',
  )
  live = any(runs.look(x).trains for x in found)
  st.fragment(_curves, run_every=EVERY if live else None)(found, chosen, window)


def _curves(
  found: Sequence[pathlib.Path], chosen: Sequence[pathlib.Path], window: int
) -> None:
  states = [runs.look(x) for x in found]
  st.dataframe(
    [{'run': str(x.path), 'steps': x.steps, 'state': x.word} for x in states],
    hide_index=True,
  )
  tables = []
  trains = {x.path for x in states if x.trains}
  for path in chosen:
    try:
      tables.append(_table(_following(path).read(), window))
    except (UserError, OSError) as e:  # of one run; the others are drawn
      st.warning(f'{path} has logged nothing yet.' if path in trains else str(e))
  if not tables:
    return
  table = pd.concat(tables)
  known = list(dict.fromkeys(table['curve']))
  names = st.multiselect('Curves', known, [x for x in FIRST if x in known])
  for i in range(0, len(names), 2):
    for column, name in zip(st.columns(2), names[i : i + 2], strict=False):
      part = table[table['curve'] == name]
      column.altair_chart(_chart(part, name, list(map(str, chosen))))


def _table(log: MetricsLog, window: int) -> pd.DataFrame:
  """All curves of a run in long form: run, curve, step, value."""
  curves = learning.curves(log, min(window, learning.widest(log)))
  rows = learning.rows([curves], POINTS)
  return pd.DataFrame(rows, columns=['run', 'curve', 'step', 'value'])


def _following(path: pathlib.Path) -> Following:
  """The log of a run, as far as this visitor has seen it."""
  logs: dict[pathlib.Path, Following] = st.session_state.setdefault('logs', {})
  return logs.setdefault(path, Following(path))


def _chart(table: pd.DataFrame, name: str, names: list[str]) -> alt.Chart:
  colors = [COLORS[i % len(COLORS)] for i in range(len(names))]
  legend = alt.Legend(orient='bottom', columns=1, labelLimit=0, title=None)
  several = len(names) > 1
  few = table.groupby('run').size().min() < FEW
  height = PLOT + (GAP + LINE * len(names) if several else 0)
  return (
    alt.Chart(table, title=TITLES.get(name, name), height=height)
    .mark_line(point={'size': 15} if few else False)
    .encode(
      alt.X('step:Q', title='environment steps', axis=alt.Axis(format='~s')),
      alt.Y('value:Q', title=None, scale=alt.Scale(zero=False)),
      alt.Color(
        'run:N',
        scale=alt.Scale(domain=names, range=colors),
        legend=legend if several else None,
      ),
      tooltip=['run', 'step', alt.Tooltip('value', format='.3g')],
    )
  )
