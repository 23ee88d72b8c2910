"""Where a decoder takes the agent to be: maps of probability, step by step.

fig = probmaps(result, episode=3, title='deter, held-out episode 4')
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dreamerv3.analysis.decoding.result import DecodeResult
from dreamerv3.data.metadata import Metadata
from dreamerv3.plots import style, world


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
  cols = min(4, len(places))
  count = -(-len(places) // cols)
  fig, axes = style.new_figure(count, cols, width=2.5, height=2.5)
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
  handles, labels = axes.flat[0].get_legend_handles_labels()
  fig.legend(handles, labels, loc='outside upper center', ncols=2)
  note = '' if metadata is not None else '; grey: never visited in training'
  fig.supxlabel(
    f"{title}; colour: probability relative to the panel's largest{note}",
    fontsize=8,
  )
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
    world.draw_world(ax, metadata, dim=0.75)
  # Probable is bright on grey, and dark on the pale world.
  cmap = style.HEAT if metadata is None else 'RdPu'
  world.draw_map(
    ax,
    share,
    cmap=cmap,
    colorbar=False,
    vmin=0,
    vmax=1,
    background=world.UNVISITED if metadata is None else None,
    alpha=None if metadata is None else _fade(share),
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


def _fade(share: np.ndarray) -> np.ndarray:
  """Improbable tiles let the world through; (W, H) to an image's (H, W)."""
  return np.where(share > 0.05, 0.15 + 0.85 * share, 0.0).T


def _window(result: DecodeResult, episode: int) -> tuple[int, int, int, int]:
  """The square part of the world where things happen, with a margin."""
  rows = result.example_rows[result.episode[result.example_rows] == episode]
  points = np.concatenate([result.pos[rows], result.pred[rows]])
  return world.box(points, result.grid, 6)
