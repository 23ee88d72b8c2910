"""The page that dashboard.py serves; Streamlit runs it anew at every click.

page([pathlib.Path('logdir')])
"""

import pathlib
import sys
from collections.abc import Callable, Sequence

import streamlit as st

from dreamerv3.base.errors import UserError
from dreamerv3.dashboard_page import curves_view, episode_view, order_view, runs
from embodied.run.checkpoint import CheckpointError

PARTS: dict[str, Callable[[pathlib.Path, Sequence[pathlib.Path]], None]] = {
  'Training': curves_view.show,
  'New episodes': order_view.show,
  'Episodes': episode_view.show,
}
FIRST = 'Training'


def page(folders: Sequence[pathlib.Path]) -> None:
  """All of it: a run is chosen, and what is to be seen of it.

  Args:
    folders: with runs, or runs.
  """
  st.set_page_config('DreamerV3: runs and episodes', layout='wide')
  st.markdown(STYLE, unsafe_allow_html=True)
  found = runs.find(folders)
  if not found:
    named = ' '.join(map(str, folders))
    st.info(f'No run in {named}: no config.yaml in it or below. Train one first.')
    return
  left, right = st.columns(2)
  run = left.selectbox('Run', found, format_func=str, key='run')
  if wanted := st.session_state.pop('go', None):  # a part that another one asks for
    st.session_state['part'] = wanted
  st.session_state.setdefault('part', FIRST)
  part = right.segmented_control('Show', [*PARTS], required=True, key='part')
  try:
    PARTS[part or FIRST](run, found)
  except (UserError, CheckpointError, OSError) as e:
    st.error(str(e))


# Less empty space at the top, and pictures with whole pixels.
STYLE = """<style>
.stMainBlockContainer { padding-top: 2.5rem; }
.stImage img { image-rendering: pixelated; }
</style>"""


if __name__ == '__main__':
  page([pathlib.Path(x) for x in sys.argv[1:]])
