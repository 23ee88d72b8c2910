"""One look for all figures: legible, colour-blind-safe, drawn off screen.

fig, axes = new_figure(1, 2)
axes[0, 0].plot(error, color=BLUE)
"""

from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dreamerv3.data import layers

# Okabe and Ito's palette, distinct under every common colour blindness
# (https://jfly.uni-koeln.de/color).
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE = (
  '#000000',
  '#e69f00',
  '#56b4e9',
  '#009e73',
  '#f0e442',
  '#0072b2',
  '#d55e00',
  '#cc79a7',
)
PALETTE = (BLUE, RED, GREEN, ORANGE, SKY, PURPLE, YELLOW, BLACK)
GREY = '#888888'

SEQUENTIAL = 'viridis'
HEAT = 'magma'

# Parts of the network, in the order in which it computes them.
GROUPS = {
  'enc/cnn': '#0072b2',
  'enc/mlp': '#3f93c9',
  'enc/tokens': '#56b4e9',
  'dyn/stoch': '#e69f00',
  'dyn/deter': '#d55e00',
  'dyn': '#b8860b',
  'dec': '#8c6bb1',
  'rew': '#999999',
  'con': '#bbbbbb',
  'pol': '#009e73',
  'val': '#cc79a7',
}

RC: dict[Any, Any] = {
  'figure.dpi': 100,
  'font.size': 9,
  'axes.titlesize': 9,
  'axes.labelsize': 9,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.prop_cycle': cycler(color=PALETTE),
  'legend.frameon': False,
  'legend.fontsize': 8,
  'image.interpolation': 'nearest',
  'image.cmap': SEQUENTIAL,
  'svg.fonttype': 'none',
  'pdf.fonttype': 42,
}


def use() -> None:
  """Sets the look for figures that pyplot makes (windows on a screen)."""
  matplotlib.rcParams.update(RC)


def new_figure(
  rows: int = 1,
  cols: int = 1,
  width: float = 4.0,
  height: float = 3.0,
  **options: Any,
) -> tuple[Figure, np.ndarray]:
  """A figure that needs no display, and its axes (rows, cols).

  Args:
    rows, cols: panels.
    width, height: of one panel [inch].
    options: for `Figure.subplots`, e.g. sharex.
  """
  use()
  figure = Figure(figsize=(cols * width, rows * height), layout='constrained')
  FigureCanvasAgg(figure)
  axes = figure.subplots(rows, cols, squeeze=False, **options)
  return figure, axes


def layer_color(name: str) -> str:
  """The colour of a layer's part of the network."""
  group = layers.group(name)
  return GROUPS.get(group) or GROUPS.get(group.partition('/')[0], GREY)
