"""Where a decoder takes the agent to be: maps of probability, step by step.

fig = probmaps(result, episode=3, title='deter, held-out episode 4')
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from dreamerv3.analysis.decoding.result import DecodeResult
from dreamerv3.data.metadata import Metadata
from dreamerv3.plots import style, world

FAINT = 0.03  # of a panel's largest probability; less lets the world through


def probmaps(
  result: DecodeResult,
  episode: int,
  title: str,
  metadata: Metadata | None = None,
) -> Figure:
  """Decoded probability at evenly spaced steps of one held-out episode.

  Args:
    episode: one of those with maps, title: what it is called.
    metadata: draws the maps over the world where it is given.
  """
  places = np.flatnonzero(result.episode[result.example_rows] == episode)
  cols = style.across(len(places), 4)
  count = -(-len(places) // cols)
  fig, axes = style.new_figure(count, cols, width=1.95, height=1.95)
  fig.set_layout_engine('constrained', h_pad=0.08)  # titles clear of ticks above
  window = _window(result, episode)
  for ax in axes.flat[len(places) :]:
    ax.set_visible(False)
  for i, (ax, place) in enumerate(zip(axes.flat, places, strict=False)):
    row = result.example_rows[place]
    _probmap(ax, result, int(place), int(row), metadata)
    world.zoom(ax, window)
    ax.set_title(f't = {result.t[row]}, error {result.errors[row]:.0f}')
    last_in_column = i + cols >= len(places)
    ax.set_xlabel('x [tiles]' if last_in_column else '')
    ax.set_ylabel('y [tiles], south down' if i % cols == 0 else '')
  fig.colorbar(
    ScalarMappable(
      Normalize(0, 1), style.HEAT if metadata is None else style.PALE_HEAT
    ),
    ax=axes,
    shrink=0.5,
    label="probability / the panel's largest",
  )
  handles, labels = axes.flat[0].get_legend_handles_labels()
  fig.legend(handles, labels, loc='outside upper center', ncols=2)
  note = '; grey: never visited in training'
  if metadata is not None:
    note = f'; tiles below {FAINT:.0%} of the largest are left clear'
  fig.supxlabel(f'{title}{note}', fontsize=style.SMALL)
  return fig


def _probmap(
  ax: Axes,
  result: DecodeResult,
  place: int,
  row: int,
  metadata: Metadata | None,
) -> None:
  share = result.proba[place] / max(result.proba[place].max(), 1e-12)
  if metadata is None:
    trained = result.fold_visits[result.fold[row]] > 0
    share = np.where(trained, share, np.nan)
  else:
    world.draw_world(ax, metadata, dim=0.5)
    share = np.where(share >= FAINT, share, np.nan)
  world.draw_map(
    ax,
    share,
    cmap=style.HEAT if metadata is None else style.PALE_HEAT,
    colorbar=False,
    vmin=0,
    vmax=1,
    background=world.UNVISITED if metadata is None else None,
  )
  ax.plot(
    *result.pos[row],
    'o',
    ms=9,
    mfc='none',
    mec='cyan',
    mew=2,
    label='true position',
  )
  ax.plot(
    *result.pred[row],
    '*',
    ms=8,
    color='lime',
    mec='black',
    mew=0.5,
    label='decoded tile',
  )


def _window(result: DecodeResult, episode: int) -> tuple[int, int, int, int]:
  """The square part of the world where things happen, with a margin."""
  rows = result.example_rows[result.episode[result.example_rows] == episode]
  points = np.concatenate([result.pos[rows], result.pred[rows]])
  return world.box(points, result.grid, 6)
