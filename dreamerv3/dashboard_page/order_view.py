"""Controls for a world, and the button that has the agent play in it.

show(run, [run])
"""

import atexit
import pathlib
from collections.abc import Sequence
from typing import Any

import streamlit as st

from dreamerv3.dashboard_page import worlds
from dreamerv3.dashboard_page.generation import Generating, Order
from dreamerv3.dashboard_page.worlds import Control
from embodied.run import checkpoint


def show(run: pathlib.Path, found: Sequence[pathlib.Path]) -> None:
  """The part of the page; `found` is not needed."""
  del found
  own = worlds.own_settings(run)
  source = checkpoint.find(run)
  left, right = st.columns(2)
  with left:
    chosen = {x.key: _chosen(x, run) for x in worlds.controls(own)}
  changed = worlds.changes(chosen, own)
  with right:
    count = st.slider('Episodes', 1, 100, 5, key='count', persist_state='session')
    layers = st.toggle(
      'Record all layers',
      key='layers',
      persist_state='session',
      help='For analyses; about twice the space. Else what is shown here alone.',
    )
    order = Order(run, source, changed, layers)
    st.caption(f'{worlds.told(changed)}; kept in {order.folder}')
    _order(order, count)


def _order(order: Order, count: int) -> None:
  """The button, or how far it is, or what came of it."""
  jobs = _jobs()
  job, have = jobs.get(order.folder), order.have(count)
  if job is not None and job.ended_well:
    del jobs[order.folder]
    _open(order)
    st.rerun()
  busy = next((x for x in [*jobs.values()] if x.running), None)
  if have == count and (job is None or not job.running):
    st.success(f'{count} such episodes are there.')
    st.button('Open', on_click=_open, args=(order,), type='primary')
    return
  label = f'Generate {count - have} more' if have else 'Generate'
  if st.button(label, type='primary', disabled=busy is not None):
    jobs[order.folder] = Generating(order, count)
    st.rerun()
  if busy is not None:
    st.fragment(_progress, run_every=1)(busy)
  elif job is not None and job.stopped:
    st.info('Stopped; episodes that have ended are kept.')
  elif job is not None:
    st.error(job.error())


def _progress(job: Generating) -> None:
  if not job.running:
    st.rerun()
  done = job.done()
  st.progress(done / job.count, f'{done} of {job.count} episodes')
  st.caption(job.line())
  st.button('Stop', on_click=job.stop, help='Episodes that have ended are kept.')


def _open(order: Order) -> None:
  """Goes to the episodes of an order."""
  st.session_state['go'] = 'Episodes'
  st.session_state[f'recording-{order.run}'] = order.episodes


@st.cache_resource
def _jobs() -> dict[pathlib.Path, Generating]:
  """What this server has begun, by folder; it ends with the server."""
  jobs: dict[pathlib.Path, Generating] = {}

  @atexit.register
  def end() -> None:
    for job in jobs.values():
      job.stop()

  return jobs


def _chosen(control: Control, run: pathlib.Path) -> Any:
  """A switch or sliders; the value that they stand at."""
  label, own, low, high = control.label.capitalize(), control.own, *control[2:4]
  how: dict[str, Any] = {
    'key': f'{control.key}-{run}',
    'help': f'`--{control.key}`: {control.help}',
    'persist_state': 'session',
  }
  if isinstance(own, bool):
    return st.toggle(label, own, **how)
  if isinstance(own, tuple):
    found = []
    for side, value in zip(('width', 'height'), own, strict=True):
      named = how | {'key': how['key'] + side}
      found.append(st.slider(f'{label}, {side} [tiles]', low, high, value, **named))
    return tuple(found)
  if control.label == 'egocentric view':
    options = [0, *range(3, high + 1, 2)]
    return st.select_slider(
      label, options, own, format_func=lambda x: str(x or 'off'), **how
    )
  return st.number_input(label, low, high, own, **how)
