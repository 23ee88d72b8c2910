"""Where the agent went, what it saw and what its units did there.

Reads recorded trajectories; makes pictures (.png), animations (.gif or .mp4)
and a table of the units that go along with the position.

  python dreamerv3/plot_trajectories.py --data logdir/run/trajectories

Longer than other files: a row of the table of plots is no use apart from its flags.
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from dreamerv3.analysis import correlations
from dreamerv3.analysis.opening import Opening
from dreamerv3.base import files, flags
from dreamerv3.base.drawing import FigureFlags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import flag
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.plots import style, trajectories, view, world
from dreamerv3.plots.moving import animate, video
from dreamerv3.plots.screen import windows
from dreamerv3.plots.style import Figure
from dreamerv3.run_info import Entry, Note, noting
from dreamerv3.run_info.chain import read_by

TYPES = (
  'trajectories',
  'heatmap',
  'activation',
  'spatial',
  'world',
  'fullworld',
  'animate',
  'animate_world',
  'worldview',
  'world_only',
)

FILMS = ('animate', 'animate_world', 'worldview')
# Flags of some plots, and these.
USES = {
  'layer': ('activation', 'spatial'),
  'unit': ('activation',),
  'egocentric_view': ('world', 'worldview'),
  'view_half': ('world', 'worldview'),
  'window_tiles': ('worldview',),
  'step_ms': FILMS,
  'mp4': FILMS,
  **dict.fromkeys(
    ('format', 'width', 'show'), tuple(x for x in TYPES if x not in FILMS)
  ),
}

# Small enough to mail: about 10 kB a frame, 5 kB in an MP4.
FRAMES = {'.gif': 600, '.mp4': 3000}
WORLDVIEW_EPISODES = 10
WORLDVIEW_MS = 200
WORLDVIEW_UNIT = 16  # pixels of a tile, as many as the game's pictures have
JOURNEY_MS = 40
JOURNEY_S = 60  # an animation of many paths lasts at most so long [s]
PANELS = 9  # of different worlds


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrajectoryPlotSettings(Opening, FigureFlags):
  """Draws and animates recorded trajectories."""

  data: str = flag(help='Folder of recorded episodes.')
  plot: str = flag('all', help='What to draw.', choices=(*TYPES, 'all'))
  save: str = flag('', help='Folder to write to; DATA/../plots by default.')
  layer: str = flag('deter', help='Layer of activation and spatial.')
  unit: int = flag(0, low=0, help='Unit of that layer, for activation.')
  egocentric_view: int | None = flag(
    None,
    low=0,
    help='N of an N x N egocentric view, 0 for the normal one; '
    'taken from the recording by default.',
  )
  view_half: int = flag(
    4, low=2, high=32, help='Tiles seen to each side in the normal view.'
  )
  window_tiles: int = flag(
    17, low=3, high=101, help='Side of the window of worldview [tiles].'
  )
  step_ms: int | None = flag(
    None,
    low=20,
    high=10000,
    help='How long a frame is shown [ms]; by default '
    f'{WORLDVIEW_MS} in worldview and {JOURNEY_MS} in the others.',
  )
  mp4: bool = flag(False, help='Write animations as MP4 instead of GIF.')
  show: bool = flag(False, help='Open the pictures in windows, too.')


@dataclasses.dataclass
class Drawing:
  """One run of this script: what it draws from, and where it notes what."""

  args: TrajectoryPlotSettings
  data: Trajectories
  save: pathlib.Path
  note: Note
  figures: list[Figure] = dataclasses.field(default_factory=list)

  def picture(self, name: str, figure: Figure) -> None:
    """Saves a figure and notes its file."""
    self.note.outputs += self.args.save_figure(self.save, name, figure)
    self.figures.append(figure)

  def remark(self, line: str) -> None:
    """Says something on stderr and in the provenance."""
    self.note.extra['notes'].append(line)
    print(line, file=sys.stderr)

  @property
  def layer_file(self) -> str:
    """Name of the layer in names of files."""
    return self.data.named(self.args.layer).replace('/', '_')


def main(argv: Sequence[str] | None = None) -> None:
  """Draws what was asked for."""
  args = flags.parse(TrajectoryPlotSettings, argv)
  check_flags(args)
  data = args.open(args.data, lambda _: ())  # kept as notes, too
  chosen, left_out = choose(args, data)
  if args.show:
    windows.check()
  save = files.make_folder(args.save or data.path.resolve().parent / 'plots')
  extra = {
    'episodes': len(data),
    'timesteps': sum(len(x) for x in data.episodes),
    'plots': chosen,
    'left_out': left_out,
    'notes': [],
  }
  with noting(
    save,
    'plot_trajectories',
    args,
    {'data': args.data},
    extra=extra,
    # Pictures of one recording may be added one by one.
    replaces=lambda entry: not _same_data(entry, args.data),
  ) as note:
    run = Drawing(args, data, save, note)
    with style.page(args.width):
      draw_all(run, chosen, left_out)
  print('\n'.join(str(x) for x in note.outputs))
  if args.show:
    windows.show(run.figures)


def check_flags(args: TrajectoryPlotSettings) -> None:
  """Refuses flags that would do nothing, before anything is read."""
  for name, plots in USES.items():
    if args.plot not in ('all', *plots):
      flags.refuse_idle(args, (name,), f'with --plot {args.plot}')


def draw_all(run: Drawing, chosen: Sequence[str], left_out: Mapping[str, str]) -> None:
  """Makes the chosen plots, and says what is left out and lacking."""
  data = run.data
  for line in data.lacks:
    run.remark(f'{data.path}: {line}')
  if not data.metadata.fixed_seed and len(data) > 1:
    run.remark('each episode is in a world of its own: maps add up many places')
  for name, why in left_out.items():
    run.remark(f'left out {name}: {why}')
  for name in chosen:
    if name in PICTURES:
      file, draw = PICTURES[name]
      run.picture(file, draw(data))
    else:
      MAKERS[name](run)


def _same_data(entry: Entry, data: str) -> bool:
  """Whether an earlier run drew the recording in the same folder."""
  here = pathlib.Path(data).expanduser().resolve()
  return any(
    pathlib.Path(entry.folder, x.path).resolve() == here
    for x in read_by(entry)
    if x.role == 'data'
  )


def choose(
  args: TrajectoryPlotSettings, data: Trajectories
) -> tuple[list[str], dict[str, str]]:
  """The plots to make, and those of `all` that the data does not allow.

  Raises:
    UserError: a plot that was asked for by name, or a layer or unit of it,
      is not there.
  """
  if seen_as(args, data).egocentric:  # a bad view is an error whatever is drawn
    flags.refuse_idle(args, ('view_half',), 'with an egocentric view')
  wanted = list(TYPES) if args.plot == 'all' else [args.plot]
  lacks = {x: lacking(x, args, data) for x in wanted}
  left_out = {k: v for k, v in lacks.items() if v}
  if args.plot in left_out:
    raise UserError(f'{data.path}: no {args.plot}: {left_out[args.plot]}.')
  return [x for x in wanted if x not in left_out], left_out


def lacking(name: str, args: TrajectoryPlotSettings, data: Trajectories) -> str:
  """Why a plot cannot be made; empty when it can."""
  if name in ('fullworld', 'animate_world', 'world_only'):
    if data.metadata.world_map is None:
      return 'the recording has no world map'
    if not data.metadata.fixed_seed and name != 'world_only':
      return 'each episode is in a world of its own, so that no map holds'
  if name in ('world', 'worldview') and not _all_have(data, 'image'):
    return 'the recording has no images'
  ego = seen_as(args, data).egocentric
  if name == 'world' and ego and not _all_have(data, 'player_facing'):
    return 'an egocentric view cannot be turned without the facing'
  if name in ('activation', 'spatial'):
    return _lacks_unit(args, data, name)
  return ''


def _lacks_unit(args: TrajectoryPlotSettings, data: Trajectories, name: str) -> str:
  if not data.layers():
    return 'the recording has no layers'
  try:
    units = data.units(args.layer)
  except UserError as e:
    if args.layer != TrajectoryPlotSettings.layer:
      raise
    return str(e).rstrip('.')
  if name == 'activation' and args.unit >= units:
    raise UserError(f'--unit is {args.unit}; {args.layer} has units 0 to {units - 1}.')
  return ''


def seen_as(args: TrajectoryPlotSettings, data: Trajectories) -> view.View:
  """The view that the observations were drawn with."""
  tiles = args.egocentric_view
  if tiles is None:
    tiles = view.recorded(data.metadata.settings)
  shapes = [x.arrays['image'].shape for x in data.episodes if 'image' in x.arrays]
  size = shapes[0][2] if shapes else 64
  return view.View.ego(tiles, size) if tiles else view.View.normal(args.view_half)


def plot_activation(run: Drawing) -> None:
  """One unit along the path."""
  unit = run.args.unit
  figure = trajectories.activation(run.data.layer(run.args.layer), unit, run.data)
  run.picture(f'{run.layer_file}_{unit}_activation', figure)


def plot_spatial(run: Drawing) -> None:
  """Units that go along with the position, and their table."""
  units = correlations.correlate(run.data.layer(run.args.layer))
  path = run.save / f'{run.layer_file}_spatial.csv'
  run.note.outputs.append(files.save_csv(path, units.table()))
  run.picture(f'{run.layer_file}_spatial', trajectories.spatial(units))
  if not units.held_out:
    run.remark('spatial: one episode, so that r is not held out and has no p')
  print(units.summary())


def plot_world(run: Drawing) -> None:
  """One picture of the world; one per episode where their worlds differ."""
  episodes, differ = run.data.episodes, not run.data.metadata.fixed_seed
  looks = (_mosaic(run, k) for k in range(len(episodes)))
  total, share, first = view.overlay(looks, keep=PANELS)
  if run.data.metadata.world_map is None and share > view.DIFFERENT:
    differ = True
    run.remark(
      f'world: the episodes show {share:.0%} of the tiles they share '
      'differently, so each is drawn as a world of its own'
    )
  parts: list = [(total, episodes)]
  if differ:
    parts = [(x, [e]) for x, e in zip(first, episodes, strict=False)]
    if len(episodes) > PANELS:
      run.remark(f'world: the first {PANELS} of {len(episodes)} worlds are drawn')
  run.picture('world_overlay', trajectories.seen_world(parts, run.data.grid))


def plot_animate(run: Drawing) -> None:
  """All paths as they grow, on an empty map."""
  data = run.data
  pos = np.concatenate([x.pos for x in data.episodes])
  walkable = trajectories.known_map(data.metadata)
  image = animate.floor_plan(data.grid.count(pos) > 0, walkable)
  around = world.box(pos, data.grid, trajectories.MARGIN)
  unit = animate.tile_pixels(max(around[2:]))
  scene = animate.Scene.scaled(image, data.grid.width, unit).cut(*around)
  _journeys(run, 'trajectories', scene)


def plot_animate_world(run: Drawing) -> None:
  """All paths as they grow, on the map of the world."""
  metadata = run.data.metadata
  unit = animate.tile_pixels(max(metadata.area))
  assert metadata.world_map is not None
  image = world.world_image(metadata.world_map, metadata.materials, unit)
  _journeys(run, 'fullworld_trajectories', animate.Scene(image, unit))


def plot_worldview(run: Drawing) -> None:
  """What the agent saw, beside where it was."""
  limit = run.args.max_episodes or WORLDVIEW_EPISODES
  if len(run.data) > limit:
    run.remark(
      f'worldview: the first {limit} of {len(run.data)} episodes; '
      '--max_episodes N shows more'
    )
  episodes = run.data.episodes[:limit]
  seen, metadata = seen_as(run.args, run.data), run.data.metadata
  terrain = None
  if trajectories.known_map(metadata) is not None:
    terrain = metadata.world_map
  else:
    run.remark('worldview: no map, so the world is what the episode itself saw')

  def scene(k: int) -> animate.Scene:
    image = (
      world.world_image(terrain, metadata.materials, WORLDVIEW_UNIT)
      if terrain is not None
      else _mosaic(run, k).image()
    )
    return animate.Scene.scaled(image, run.data.grid.width, WORLDVIEW_UNIT)

  shown = animate.plan([len(x) for x in episodes], FRAMES[_form(run)])

  def frames(plan: animate.FramePlan) -> Iterator[np.ndarray]:
    return animate.worldview(episodes, plan, scene, seen, run.args.window_tiles)

  _film(run, 'worldview_agentview', frames, shown, WORLDVIEW_MS)


def _journeys(run: Drawing, name: str, scene: animate.Scene) -> None:
  episodes = run.data.episodes
  step = run.args.step_ms or JOURNEY_MS
  limit = min(FRAMES[_form(run)], max(JOURNEY_S * 1000 // step, 1))
  shown = animate.plan([len(x) for x in episodes], limit)
  colors = animate.hex_colors(trajectories.episode_colors(len(episodes)))

  def frames(plan: animate.FramePlan) -> Iterator[np.ndarray]:
    return animate.journeys(episodes, plan, scene, colors)

  _film(run, name, frames, shown, JOURNEY_MS)


def _film(
  run: Drawing,
  name: str,
  frames: Callable[[animate.FramePlan], Iterator[np.ndarray]],
  shown: animate.FramePlan,
  step_ms: int,
) -> None:
  """Writes an animation, and says so where steps were left out."""
  path = run.save / f'{name}{_form(run)}'
  if shown.every > 1:
    run.remark(
      f'{path.name}: shows one timestep in {shown.every}, to stay short and '
      'small; --max_episodes shows fewer episodes in full'
    )
  sample = np.concatenate(list(frames(shown.thinner(8))))
  step_ms = run.args.step_ms or step_ms
  run.note.outputs.append(video.write(path, frames(shown), len(shown), step_ms, sample))


def _mosaic(run: Drawing, k: int) -> view.Mosaic:
  episode = run.data.episodes[k]
  seen = seen_as(run.args, run.data)
  return view.mosaic(
    episode.read('image'), episode.pos, episode.facing, seen, run.data.grid
  )


def _form(run: Drawing) -> str:
  return '.mp4' if run.args.mp4 else '.gif'


def _all_have(data: Trajectories, key: str) -> bool:
  return all(key in x.arrays for x in data.episodes)


# Plots that need the recording alone: name of the file, function.
PICTURES: dict[str, tuple[str, Callable[[Trajectories], Figure]]] = {
  'trajectories': ('trajectories', trajectories.paths),
  'heatmap': ('heatmap', trajectories.occupancy),
  'fullworld': ('fullworld_overlay', trajectories.full_world),
  'world_only': ('world_only', trajectories.world_only),
}

MAKERS: dict[str, Callable[[Drawing], None]] = {
  'activation': plot_activation,
  'spatial': plot_spatial,
  'world': plot_world,
  'animate': plot_animate,
  'animate_world': plot_animate_world,
  'worldview': plot_worldview,
}


if __name__ == '__main__':
  flags.run(main)
