"""Still pictures: maps by hand, and pixels of the rendered figure."""

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from dreamerv3.analysis import correlations
from dreamerv3.data.grid import Grid
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.plots import style, trajectories, world
from dreamerv3.plots.view import Mosaic
from tests import synthetic

WALLS = ((3, 3), (3, 4), (3, 5), (9, 1))


@pytest.fixture
def data(tmp_path):
  folder = synthetic.record(
    tmp_path / 'one',
    {'dyn/deter': synthetic.one_hot_places},
    episodes=1,
    length=40,
    tiles=synthetic.world(walls=WALLS),
    start=(6, 8),
  )
  return Trajectories.open(folder)


class Canvas:
  """Pixels of a rendered figure, by tile."""

  def __init__(self, figure):
    figure.canvas.draw()
    self.ax = figure.axes[0]
    self.pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]

  def at(self, x, y):
    """Colour at a point of the world, 0..1."""
    column, row = self.ax.transData.transform((x, y))
    value = self.pixels[len(self.pixels) - 1 - int(row), int(column)]
    return value / 255

  def row(self, y):
    return self.ax.transData.transform((0, y))[1]


def map_values(figure) -> Any:
  """Values of the first map, (H, W), masked where they are unknown."""
  return figure.axes[0].images[0].get_array()


def test_the_full_world_is_where_the_map_says(data):
  canvas = Canvas(trajectories.full_world(data))
  assert canvas.row(0) > canvas.row(9)  # north is up
  visited = {tuple(x) for x in data.episodes[0].pos.tolist()}
  for x, y in np.ndindex(*data.grid.shape):
    color = canvas.at(x + 0.3, y + 0.3)
    green = color[1] > color[0] + 0.1
    if (x, y) in WALLS:
      assert not green, (x, y)
    elif (x, y) not in visited:
      assert green, (x, y)


def test_the_path_runs_along_its_tiles(data):
  canvas = Canvas(trajectories.full_world(data))
  pos = data.episodes[0].pos
  marks = [to_rgb(x) for x in (style.BLUE, 'white', 'black')]
  for x, y in pos:
    color = canvas.at(x, y)
    assert min(np.abs(color - np.array(m)).max() for m in marks) < 0.12
  start, end = pos[0], pos[-1]
  if (start != end).any():
    assert np.abs(canvas.at(*start) - to_rgb('white')).max() < 0.1
  assert np.abs(canvas.at(*end) - to_rgb('black')).max() < 0.1


def test_occupancy_counts_every_timestep(data):
  figure = trajectories.occupancy(data)
  shown = np.ma.filled(map_values(figure).astype(float), 0).T
  pos = data.episodes[0].pos
  for x, y in np.ndindex(*data.grid.shape):
    assert shown[x, y] == ((pos == (x, y)).all(1)).sum()
  assert shown.sum() == len(data.episodes[0])


def test_activation_of_a_place_unit_is_one_tile(data):
  samples = data.layer('deter')
  place = tuple(samples.pos[5])
  unit = data.grid.to_class(np.array(place))
  figure = trajectories.activation(samples, int(unit), data)
  shown = map_values(figure).T
  assert shown[place] == 1
  visited = {tuple(x) for x in samples.pos.tolist()}
  for x, y in np.ndindex(*data.grid.shape):
    assert shown.mask[x, y] == ((x, y) not in visited)
    if not shown.mask[x, y] and (x, y) != place:
      assert shown[x, y] == 0


@pytest.mark.parametrize(
  ('pos', 'expected'),
  [
    ([(5, 5)], (2, 2, 7, 7)),
    ([(0, 0)], (0, 0, 7, 7)),  # moved inside
    ([(19, 9)], (13, 3, 7, 7)),
    ([(0, 0), (19, 0)], (0, 0, 20, 10)),  # no larger than the world
  ],
)
def test_the_box_is_square_and_inside(pos, expected):
  assert world.box(np.array(pos), Grid(20, 10), 3) == expected


@pytest.mark.parametrize('axis', [0, 1])
def test_a_long_world_leaves_room_for_title_and_legend(tmp_path, axis):
  tiles = np.concatenate([synthetic.world()] * 3, axis)
  codes = {'dyn/deter': synthetic.noise}
  folder = synthetic.record(tmp_path / 'r', codes, episodes=9, tiles=tiles)
  figure = trajectories.paths(Trajectories.open(folder))
  figure.canvas.draw()
  ax = figure.axes[0]
  legend = ax.get_legend()
  assert legend is not None
  below, title = legend.get_window_extent(), ax.title.get_window_extent()
  assert min(below.x0, below.y0, title.x0) >= 0
  assert max(below.x1, title.x1) <= figure.bbox.x1
  assert below.y1 <= ax.xaxis.label.get_window_extent().y0


def test_many_episodes_get_a_scale_instead_of_a_legend(tmp_path):
  folder = synthetic.record(tmp_path / 'r', {}, episodes=12, length=8)
  figure = trajectories.paths(Trajectories.open(folder))
  legend = figure.axes[0].get_legend()
  assert legend is not None
  assert [x.get_text() for x in legend.get_texts()] == ['start', 'end']
  assert any(x.get_ylabel() == 'episode' for x in figure.axes)
  few = trajectories.paths(Trajectories.open(folder, max_episodes=3))
  legend = few.axes[0].get_legend()
  assert legend is not None
  names = [x.get_text() for x in legend.get_texts()]
  assert len(names) == 2 + 3
  assert names[2].startswith('1: return ')


def test_a_world_that_changes_has_no_walls(data, tmp_path):
  import dataclasses

  metadata = dataclasses.replace(data.metadata, fixed_seed=False)
  assert trajectories.known_map(data.metadata) is not None
  assert trajectories.known_map(metadata) is None


def test_spatial_shows_every_unit_and_the_strongest(recording):
  samples = Trajectories.open(recording).layer('enc/cnn0')
  units = correlations.correlate(samples, n_null=30, n_boot=30)
  left, right = trajectories.spatial(units).axes
  assert left.lines[0].get_xdata() == pytest.approx(units.r[:, 0])
  assert left.lines[0].get_ydata() == pytest.approx(units.r[:, 1])
  names = [x.get_text() for x in right.get_yticklabels()]
  assert [int(x.split()[0]) for x in names] == units.order()[:10].tolist()
  dots = right.lines[-1].get_xdata()
  assert dots == pytest.approx(units.strongest()[units.order()[:10]])


def test_seen_world_has_a_panel_for_each_world(data):
  grid = data.grid
  colors = np.zeros((grid.size, 2 * 2 * 3), np.float32)
  colors[:] = np.tile([10, 200, 30], 4)
  counts = np.zeros(grid.size, np.int64)
  counts[: grid.height] = 1  # the column x = 0
  mosaic = Mosaic(grid, 2, colors, counts)
  figure = trajectories.seen_world([(mosaic, data.episodes)] * 4, grid)
  drawn = [x for x in figure.axes if x.images]
  assert len(drawn) == 4
  picture = map_values(figure)
  assert (picture[:, :2] == (10, 200, 30)).all()
  assert (picture[:, 2:] == 217).all()
  assert drawn[0].images[0].get_extent() == list(world.extent(grid))
