"""Where the agent went and what its units did there, as still pictures.

figure = trajectories.paths(Trajectories.open('logdir/run/trajectories'))

All maps have north up and are aligned with the tiles of the world.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from dreamerv3.analysis.bootstrap import NONE
from dreamerv3.analysis.correlations import AXES, SpatialUnits
from dreamerv3.analysis.decoding.occupancy import tile_means
from dreamerv3.data.coverage import coverage_of
from dreamerv3.data.episode import Episode
from dreamerv3.data.grid import Grid
from dreamerv3.data.metadata import Metadata
from dreamerv3.data.samples import Samples
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.plots import style, world
from dreamerv3.plots.view import Mosaic

# Beyond this many episodes a legend is longer than the map.
NAMED = 10
MARGIN = 3  # tiles around what is shown of the world
SIDE = 4.2  # of a map [inch]


def paths(data: Trajectories) -> Figure:
  """All paths over the outlines of the walkable area, where it is known."""
  figure, ax = _map_figure(data.grid)
  world.draw_floor(ax, data.grid, known_map(data.metadata))
  draw_paths(ax, data.episodes)
  zoom(ax, data)
  _title(ax, f'Paths of {count(len(data), "episode")}{_covered(data)}')
  return figure


def occupancy(data: Trajectories) -> Figure:
  """Timesteps spent on each tile, on a logarithmic scale."""
  figure, ax = _map_figure(data.grid)
  visits = data.grid.count(np.concatenate([x.pos for x in data.episodes]))
  world.draw_map(
    ax,
    np.where(visits, visits, np.nan),
    label='timesteps on the tile',
    cmap=style.HEAT,
    walkable=known_map(data.metadata),
    norm=LogNorm(1, max(visits.max(), 2)),
  )
  zoom(ax, data)
  _title(
    ax,
    f'{count((visits > 0).sum(), "tile")} visited in '
    f'{count(visits.sum(), "timestep")}, {count(len(data), "episode")}'
    f'{_covered(data)}',
  )
  return figure


def activation(samples: Samples, unit: int, data: Trajectories) -> Figure:
  """Mean activation of one unit on each tile; grey where never visited."""
  figure, ax = _map_figure(data.grid)
  means = tile_means(samples.pos, samples.X[:, unit], data.grid)
  top = float(np.nanmax(np.abs(means)))
  signed = np.nanmin(means) < 0 < np.nanmax(means)
  scale: dict[str, Any] = {}
  if signed:
    scale = dict(cmap=style.SIGNED, vmin=-top, vmax=top)
  world.draw_map(
    ax,
    means,
    label='mean activation',
    walkable=known_map(data.metadata),
    **scale,
  )
  zoom(ax, data)
  _title(ax, f'{samples.layer}, unit {unit}: mean over {len(samples)} timesteps')
  return figure


def spatial(units: SpatialUnits, best: int = 10) -> Figure:
  """Correlation of each unit with x and y, and the strongest units."""
  wide = style.across(2, 2, 2.0)
  figure, axes = style.new_figure(2 // wide, wide, 3.5, 3.2)
  left, right = axes.flat
  left.plot(*units.r.T, '.', color=style.BLUE, ms=4, alpha=0.6)
  for line in (left.axhline, left.axvline):
    line(0, color=style.GREY, lw=0.6)
  left.set(
    xlabel='r with x (east)',
    ylabel='r with y (south)',
    xlim=(-1, 1),
    ylim=(-1, 1),
    title=f'{len(units.r)} units of {units.layer}',
  )
  left.set_aspect('equal')
  left.set(xticks=(-1, -0.5, 0, 0.5, 1), yticks=(-1, -0.5, 0, 0.5, 1))
  _strongest(right, units, units.order()[:best])
  episodes, steps = units.counts
  pearson = 'r: correlation of activation and coordinate,'
  what = f'{pearson} from {episodes} held-out episodes, {steps} timesteps'
  if np.isnan(units.low).all():
    what += f', {NONE}'
  if not units.held_out:
    what = f'{pearson} from the only episode, {steps} timesteps: nothing held out'
  style.headline(figure, what)
  return figure


def _strongest(ax: Axes, units: SpatialUnits, chosen: np.ndarray) -> None:
  """r of some units with interval, beside 95 % of what chance gives."""
  rows = np.arange(len(chosen))
  r = units.strongest()[chosen]
  ax.axvline(0, color=style.GREY, lw=0.6)
  if units.n_null:
    limit = units.null[chosen]
    ax.barh(
      rows,
      2 * limit,
      left=-limit,
      height=0.8,
      color='#dddddd',
      label=f'95 % of {units.n_null} null pairings',
    )
  known = np.isfinite(units.low[chosen])
  ax.hlines(
    rows[known],
    units.low[chosen][known],
    units.high[chosen][known],
    color=style.RED,
    lw=2,
    label='95 % interval' if known.any() else '_',
  )
  ax.plot(r, rows, 'o', color=style.RED, ms=4)
  names = [f'{i} ({AXES[units.axis[i]]})' for i in chosen]
  ax.set_yticks(rows, names)
  ax.set(xlim=(-1, 1), xlabel='r', ylabel='unit (axis)')
  ax.set_xticks([-1, -0.5, 0, 0.5, 1])
  ax.invert_yaxis()
  chosen_in = 'other episodes' if units.held_out else 'this episode'
  ax.set_title(f'strongest in {chosen_in}')
  if units.n_null:
    ax.legend(loc='upper center', bbox_to_anchor=(0.5, -0.13), ncols=2)


def seen_world(parts: Sequence[tuple[Mosaic, Sequence[Episode]]], grid: Grid) -> Figure:
  """The world made of the observations, with the paths through it.

  Args:
    parts: one panel each: what was seen, and the episodes that saw it. Several
      panels where episodes were not in the same world.
  """
  cols = style.across(len(parts), 3, 2.0)
  rows = -(-len(parts) // cols)
  side = SIDE if len(parts) == 1 else 2.6
  figure, axes = style.new_figure(rows, cols, side, side)
  for ax in axes.flat[len(parts) :]:
    ax.set_axis_off()
  for ax, (mosaic, episodes) in zip(axes.flat, parts, strict=False):
    world.frame(ax, grid)
    ax.imshow(mosaic.image(), extent=world.extent(grid))
    draw_paths(ax, episodes)
    _limit(ax, np.argwhere(mosaic.seen), grid, 1)
    share = mosaic.seen.mean()
    ax.set_title(
      f'{_whose(episodes)}: {share:.0%} of the world seen', fontsize=style.SMALL
    )
  return figure


def _covered(data: Trajectories) -> str:
  """A second line for titles; nothing where the world is not known."""
  found = coverage_of(data)
  return '' if found is None else f'\n{found.line()}'


def full_world(data: Trajectories) -> Figure:
  """All paths on the map of the whole world."""
  figure, ax = _map_figure(data.grid)
  world.draw_world(ax, data.metadata)
  draw_paths(ax, data.episodes)
  _title(ax, f'Paths of {count(len(data), "episode")}{_covered(data)}')
  return figure


def world_only(data: Trajectories) -> Figure:
  """The map at the start of an episode."""
  figure, ax = _map_figure(data.grid)
  world.draw_world(ax, data.metadata)
  ax.set_title(f'World of {data.grid.width} x {data.grid.height} tiles')
  return figure


def draw_paths(ax: Axes, episodes: Sequence[Episode]) -> None:
  """Draws each path with its start (white dot) and end (black square).

  Paths are shifted by parts of a tile, so that those along the same tiles
  stay apart. Up to ten episodes are named with their return.
  """
  for form, fill, label in (('o', 'white', 'start'), ('s', 'black', 'end')):
    ax.plot([], [], form, mfc=fill, mec='black', mew=0.6, ms=4, label=label)
  colors = episode_colors(len(episodes))
  shifts = np.linspace(-0.25, 0.25, len(episodes)) if len(episodes) > 1 else [0]
  thin = len(episodes) > NAMED
  for episode, color, shift in zip(episodes, colors, shifts, strict=True):
    x, y = (episode.pos + shift).T
    label = f'{episode.number}: return {total_reward(episode):.1f}'
    ax.plot(
      x,
      y,
      color='white',
      lw=1.2 if thin else 3.2,
      alpha=0.7,
      zorder=4,
      solid_joinstyle='round',
    )
    ax.plot(
      x,
      y,
      color=color,
      lw=0.7 if thin else 1.7,
      zorder=5,
      label='_' if thin else label,
      solid_joinstyle='round',
    )
    size = 3 if thin else 6
    mark: dict[str, Any] = dict(ls='', ms=size, mec='black', mew=0.6, zorder=6)
    ax.plot(x[0], y[0], 'o', mfc='white', **mark)
    ax.plot(x[-1], y[-1], 's', mfc='black', **mark)
  figure, place = ax.get_figure(root=True), ax.get_subplotspec()
  assert figure is not None
  assert place is not None
  handles, labels = ax.get_legend_handles_labels()
  cols = style.columns(figure, labels, 1 / place.get_gridspec().ncols)
  below: dict[str, Any] = dict(loc='upper center', bbox_to_anchor=(0.5, 0))
  ax.legend(handles, labels, **below, borderaxespad=5, ncols=cols)
  if len(episodes) > NAMED:
    norm = Normalize(episodes[0].number, episodes[-1].number)
    figure.colorbar(
      ScalarMappable(norm, style.ORDER), ax=ax, label='episode', shrink=0.8
    )


def episode_colors(number: int) -> list:
  """A colour for each episode: distinct ones for a few, else a scale."""
  if number <= len(style.PALETTE):
    return list(style.PALETTE[:number])
  return [style.ORDER(x) for x in np.linspace(0, 1, number)]


def total_reward(episode: Episode) -> float:
  """Return of an episode; NaN where it was not recorded."""
  if 'total_reward' in episode.values:
    return float(episode.values['total_reward'])
  if 'reward' in episode.arrays:
    return float(episode.read('reward').sum())
  return float('nan')


def known_map(metadata: Metadata) -> np.ndarray | None:
  """Walkable tiles (W, H), where one map holds for all episodes."""
  return metadata.walkable() if metadata.fixed_seed else None


def zoom(ax: Axes, data: Trajectories) -> None:
  """Shows the part of the world that was visited, and a margin around it."""
  _limit(ax, np.concatenate([x.pos for x in data.episodes]), data.grid, MARGIN)


def _limit(ax: Axes, pos: np.ndarray, grid: Grid, margin: int) -> None:
  world.zoom(ax, world.box(pos, grid, margin))


def _whose(episodes: Sequence[Episode]) -> str:
  if len(episodes) == 1:
    return f'episode {episodes[0].number}'
  return f'{len(episodes)} episodes'


def _title(ax: Axes, text: str) -> None:
  """A title in lines that fit; a world may be narrow."""
  figure = ax.get_figure(root=True)
  assert figure is not None
  ax.set_title(style.folded(figure, text))


def _map_figure(grid: Grid) -> tuple[Figure, Axes]:
  width, height = grid.shape
  long = max(width, height)
  figure, axes = style.new_figure(
    1, 1, SIDE * max(width / long, 0.6) + 0.8, SIDE * max(height / long, 0.6) + 0.8
  )
  return figure, axes[0, 0]


def count(number: int, noun: str) -> str:
  """'1 episode', '1,200 episodes'."""
  return f'{number:,} {noun}' + ('' if number == 1 else 's')
