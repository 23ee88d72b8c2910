"""Looks through recorded episodes step by step: frame, map, vitals, action, reward.

show(run, [run])
"""

import pathlib
from collections import Counter
from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dreamerv3.dashboard_page import episodes, worlds
from dreamerv3.dashboard_page.episodes import EpisodeSummary, ShownEpisode
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.pages.player import VITALS
from dreamerv3.plots import style

PIXELS = 448  # of the frame
FRAME = 0.4  # seconds between two frames
MOST = 1000  # timesteps in a chart
FULL = 9  # of a vital


def show(run: pathlib.Path, found: Sequence[pathlib.Path]) -> None:
  """The part of the page; `found` is not needed."""
  del found
  kept = episodes.recordings(run, worlds.own_settings(run))
  if not kept:
    st.info('No episode was recorded of this run. Make some: New episodes.')
    return
  labels = {x.path: x.label for x in kept}
  path = st.selectbox(
    'Recording',
    [*labels],
    format_func=labels.__getitem__,
    key=f'recording-{run}',
    persist_state='session',
  )
  data = _opened(path, _state(path))
  rows = _summaries(path, _state(path))
  _overview(rows)
  for line in episodes.remarks(data):
    st.caption(line)
  said = {x.episode: x for x in rows}
  columns = st.columns([4, 1, 1], vertical_alignment='bottom')
  number = columns[0].selectbox(
    'Episode',
    [*said],
    format_func=lambda x: _line(said[x]),
    key=f'episode-{path}',
    persist_state='session',
  )
  episode = next(x for x in data.episodes if x.number == number)
  shown = ShownEpisode.of(episode, data.metadata)
  key = f'step-{path}-{number}'
  pace = columns[1].select_slider('Steps per frame', (1, 2, 5, 10), key='pace')
  playing = _plays(columns[2], key, len(episode) - 1)
  st.fragment(_step, run_every=FRAME if playing else None)(shown, key, pace)
  _lines(shown)
  st.dataframe(pd.DataFrame(rows).rename(columns={'reward': 'return'}), hide_index=True)


def _plays(place: DeltaGenerator, key: str, last: int) -> bool:
  """The switch of the player; it goes off at the end of an episode."""
  if st.session_state.get(key, 0) >= last:
    st.session_state['play'] = False
  return place.toggle('Play', key='play', on_change=_from_start, args=(key, last))


def _state(path: pathlib.Path) -> int:
  """Changes when episodes are added."""
  return path.stat().st_mtime_ns


@st.cache_resource(max_entries=4, show_spinner='Opening')
def _opened(path: pathlib.Path, state: int) -> Trajectories:
  del state
  return Trajectories.open(path)


@st.cache_data(max_entries=16, show_spinner='Reading')
def _summaries(path: pathlib.Path, state: int) -> list[EpisodeSummary]:
  return episodes.summaries(_opened(path, state))


def _line(row: EpisodeSummary) -> str:
  return f'{row.episode}: {row.length} steps, return {row.reward}, {_died(row.ending)}'


def _died(ending: str) -> str:
  named = {'alive': 'alive at the end', episodes.UNKNOWN: 'cause of death unknown'}
  return named.get(ending, f'died: {ending}')


def _overview(rows: Sequence[EpisodeSummary]) -> None:
  """Lengths, returns and causes of death of all episodes."""
  columns = st.columns(4)
  spread: dict[str, list[float]] = {
    'Length [steps]': [x.length for x in rows],
    'Return': [x.reward for x in rows],
    'Achievements unlocked': [x.unlocked for x in rows],
  }
  for column, (name, values) in zip(columns, spread.items(), strict=False):
    column.metric(f'{name}, mean of {len(rows)}', f'{np.mean(values):.1f}')
    column.caption(f'{min(values):g} to {max(values):g}')
  causes = Counter(x.ending for x in rows).most_common()
  columns[3].dataframe(
    [{'ended': _died(k), 'episodes': n} for k, n in causes], hide_index=True
  )


def _from_start(key: str, last: int) -> None:
  """What has played to its end plays again."""
  if st.session_state.get(key, 0) >= last:
    st.session_state[key] = 0


def _step(shown: ShownEpisode, key: str, pace: int) -> None:
  """One timestep; a slider, or the clock, chooses it."""
  last = len(shown.episode) - 1
  if st.session_state.get('play'):
    st.session_state[key] = min(st.session_state.get(key, 0) + pace, last)
  t = st.slider('Step', 0, max(last, 1), key=key, persist_state='session')
  t = min(t, last)
  left, middle, right = st.columns([4, 4, 3])
  view = shown.view(t)
  if view is None:
    left.info('No images were recorded.')
  else:
    left.image(_enlarged(view), 'What the agent sees', width='stretch')
  x, y = shown.episode.pos[t]
  about = f'Path so far, on the world as it began; now at x {x}, y {y}'
  middle.image(shown.map(t), about, width='stretch', output_format='JPEG')
  with right:
    _numbers(shown, t)
  if t == last and st.session_state.get('play'):
    st.rerun()


def _numbers(shown: ShownEpisode, t: int) -> None:
  about = [f'**{shown.action(t)}**']
  for name in ('reward', 'value'):
    if name in shown.lines:
      about.append(f'{name} {shown.lines[name][t]:.2f}')
  if 'reward' in shown.lines:
    about.append(f'return so far {shown.lines["reward"][: t + 1].sum():.1f}')
  st.markdown(', '.join(about))
  for name in (x for x in VITALS if x in shown.lines):
    now = int(shown.lines[name][t])
    st.progress(min(now / FULL, 1.0), f'{name} {now}')
  done = {k: at for k, at in shown.unlocked.items() if at <= t}
  lines = [f'- {k.replace("_", " ")}, step {at}' for k, at in done.items()]
  count = f'{len(done)} of {len(shown.unlocked)} unlocked in this episode'
  st.markdown('\n'.join([count, '', *lines]))


def _enlarged(image: np.ndarray) -> np.ndarray:
  times = max(PIXELS // max(image.shape[:2]), 1)
  return image.repeat(times, 0).repeat(times, 1)


def _lines(shown: ShownEpisode) -> None:
  """Vitals, and reward and value, over the whole episode."""
  every = max(len(shown.episode) // MOST, 1)
  table = pd.DataFrame({k: v[::every] for k, v in shown.lines.items()})
  table['step'] = np.arange(len(table)) * every
  columns = st.columns(2)
  for column, names in zip(columns, (VITALS, ('reward', 'value')), strict=True):
    if there := [x for x in names if x in shown.lines]:
      column.altair_chart(_chart(table, there))


def _chart(table: pd.DataFrame, names: list[str]) -> alt.Chart:
  long = table.melt('step', names, 'line', 'y')
  scale = alt.Scale(domain=names, range=list(style.PALETTE[: len(names)]))
  legend = alt.Legend(orient='top', title=None)
  return (
    alt.Chart(long, height=240)
    .mark_line()
    .encode(
      alt.X('step:Q', title='step'),
      alt.Y('y:Q', title=None),
      alt.Color('line:N', scale=scale, legend=legend),
      tooltip=['line', 'step', alt.Tooltip('y', format='.3g')],
    )
  )
