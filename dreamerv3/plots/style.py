"""One look for all figures: legible, colour-blind-safe, drawn off screen.

fig, axes = new_figure(1, 2)
axes[0, 0].plot(error, color=BLUE)
"""

import contextlib
import contextvars
import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import (
  EngFormatter,
  LogFormatterSciNotation,
  MaxNLocator,
  NullFormatter,
)

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
PALE_HEAT = 'magma_r'  # over a pale ground: what is probable is dark
SIGNED = 'RdBu_r'
# Of lines over a pale floor or over grass: no pale end.
ORDER = ListedColormap(matplotlib.colormaps['plasma'](np.linspace(0, 0.88, 256)))

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

# Width of a figure [inch]; a slide is enlarged to 13.33 inch, text and all.
PAGES = {'single': 89 / 25.4, 'double': 183 / 25.4, 'slide': 5.6}
SMALL = 6.0  # smallest text [pt]
LETTER = 0.56  # mean width of a letter, of its size
LEAST = 1.45  # narrowest panel of several [inch]

RC: dict[Any, Any] = {
  'figure.dpi': 100,
  'font.size': 7,
  'figure.titlesize': 7.5,
  'axes.titlesize': 7.5,
  'axes.labelsize': 7,
  'xtick.labelsize': 6.5,
  'ytick.labelsize': 6.5,
  'legend.fontsize': 6.5,
  'axes.linewidth': 0.6,
  'xtick.major.width': 0.6,
  'ytick.major.width': 0.6,
  'xtick.major.size': 2.5,
  'ytick.major.size': 2.5,
  'lines.linewidth': 1.2,
  'hatch.linewidth': 0.6,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.prop_cycle': cycler(color=PALETTE),
  'legend.frameon': False,
  'image.interpolation': 'nearest',
  'image.cmap': SEQUENTIAL,
  'svg.fonttype': 'none',
  'svg.hashsalt': 'dreamerv3-space',
  'pdf.fonttype': 42,
}


# What is read on a screen, at arm's length.
SCREEN: dict[Any, Any] = {
  'font.size': 9,
  'axes.titlesize': 9,
  'axes.labelsize': 9,
  'xtick.labelsize': 8,
  'ytick.labelsize': 8,
  'legend.fontsize': 8,
}
_page: contextvars.ContextVar[str] = contextvars.ContextVar('page', default='auto')


@contextlib.contextmanager
def page(width: str) -> Iterator[None]:
  """Figures that are made within it are as wide as asked for.

  Args:
    width: 'single', 'double' or 'slide' of PAGES, or 'auto': what each needs, a
      double column at most.
  """
  token = _page.set(width)
  try:
    yield
  finally:
    _page.reset(token)


def across(count: int, most: int, least: float = LEAST) -> int:
  """Panels side by side: `most` of them where the page has room.

  Args:
    count: of all panels.
    least: width of a panel [inch].
  """
  wide = PAGES.get(_page.get(), PAGES['double'])
  return max(min(count, most, int(wide / least)), 1)


def use() -> None:
  """Sets the look for figures that pyplot makes (windows on a screen)."""
  matplotlib.rcParams.update({**RC, **SCREEN})


def new_figure(
  rows: int = 1,
  cols: int = 1,
  width: float = 4.0,
  height: float = 3.0,
  screen: bool = False,
  **options: Any,
) -> tuple[Figure, np.ndarray]:
  """A figure that needs no display, and its axes (rows, cols).

  Args:
    rows, cols: panels.
    width, height: of one panel [inch]; panels shrink together where the page is
      narrower than all of them, and are stretched by a quarter at most.
    screen: for a window, in larger text and on no page.
    options: for `Figure.subplots`, e.g. sharex.
  """
  matplotlib.rcParams.update({**RC, **SCREEN} if screen else RC)
  total = cols * width
  wide = PAGES.get(_page.get(), min(total, PAGES['double']))
  wide = total if screen else wide
  scale = min(wide / total, 1.25)
  # Text keeps its size: panels that shrink lose less in height.
  tall = max(scale, 0.8) if screen is False else 1.0
  figure = _Literal(figsize=(wide, rows * height * tall), layout='constrained')
  FigureCanvasAgg(figure)
  axes = figure.subplots(rows, cols, squeeze=False, **options)
  return figure, axes


class _Powers(LogFormatterSciNotation):
  """As matplotlib writes powers of ten, but in characters: 10⁻³."""

  def __call__(self, x: float, pos: int | None = None) -> str:
    text = re.sub(
      r'\^\{(.*?)\}', lambda p: p[1].translate(_RAISED), super().__call__(x, pos)
    )
    text = text.removeprefix(r'$\mathdefault{').removesuffix('}$')
    return text.replace(r'\times', TIMES).replace('-', MINUS)


TIMES, MINUS = '\u00d7', '\u2212'
_RAISED = str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹')


def log_ticks(axis: Axis) -> None:
  """Labels an axis that was made logarithmic; matplotlib's own labels are formulas."""
  axis.set_major_formatter(_Powers())
  if not isinstance(axis.get_minor_formatter(), NullFormatter):
    axis.set_minor_formatter(_Powers(labelOnlyBase=False))


class _Literal(Figure):
  """Draws text as it is: a name of a run with two `$` is no formula."""

  def draw(self, renderer: Any) -> None:
    for text in self.findobj(Text):
      text.set_parse_math(False)
    super().draw(renderer)


def color(i: int) -> str:
  """The colour of the i-th of several things; after eight they begin again."""
  return PALETTE[i % len(PALETTE)]


def step_axis(ax: Axes, most: int = 6) -> None:
  """An x axis of environment steps: 40k, 1M, at most so many intervals."""
  ax.set_xlabel('environment steps')
  ax.xaxis.set_major_formatter(EngFormatter(sep=''))
  ax.xaxis.set_major_locator(MaxNLocator(most))


def legend_above(figure: Figure, ax: Axes) -> None:
  """What a panel shows, above it, in as many columns as the figure has room for."""
  handles, labels = ax.get_legend_handles_labels()
  cols = columns(figure, labels)
  figure.legend(handles, labels, loc='outside upper center', ncols=cols)


def columns(figure: Figure, labels: Iterable[str], part: float = 1.0) -> int:
  """Columns of a legend for which a part of the figure's width has room."""
  widest = max(map(len, labels)) * LETTER * RC['legend.fontsize'] + 30  # [pt], and mark
  return max(int(figure.get_figwidth() * part * 72 / widest), 1)


def headline(figure: Figure, text: str) -> None:
  """A title over all panels, in lines that fit the figure's width."""
  figure.suptitle(folded(figure, text))


def folded(figure: Figure, text: str, part: float = 1.0) -> str:
  """A text in lines that fit a part of the figure's width; its ends of line stay."""
  room = int(figure.get_figwidth() * part * 72 / (LETTER * RC['figure.titlesize']))
  lines = (textwrap.wrap(x, max(room, 20)) or [''] for x in text.split('\n'))
  return '\n'.join(y for x in lines for y in x)


def decimals(values: np.ndarray) -> int:
  """Of all numbers of a panel: 2, or as many as tell their range apart, 4 at most."""
  spread = float(np.nanmax(values) - np.nanmin(values))
  return 2 if spread == 0 else int(np.clip(np.ceil(1 - np.log10(spread)), 2, 4))


def ink(color: str) -> tuple[float, float, float]:
  """A colour, darkened where text of it would be pale on white.

  Until its contrast is 4.5, that of WCAG 2.1: 1.05 / (luminance + 0.05).
  """
  rgb = np.array(to_rgb(color))
  while 1.05 / (_luminance(rgb) + 0.05) < 4.5:
    rgb = rgb * 0.95
  red, green, blue = rgb.tolist()
  return red, green, blue


def _luminance(rgb: np.ndarray) -> float:
  linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
  return float(linear @ (0.2126, 0.7152, 0.0722))


def layer_color(name: str) -> str:
  """The colour of a layer's part of the network."""
  group = layers.group(name)
  return GROUPS.get(group) or GROUPS.get(group.partition('/')[0], GREY)
