"""What every recorded unit is tuned to: place, borders, facing, or nothing.

Maps, metrics and classes of all layers, compared with chance.

  python dreamerv3/tuning_curve.py --data logdir/run/trajectories \\
    --save logdir/run/tuning_results
  python dreamerv3/tuning_curve.py --from_pkl tuning_results.pkl
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from dreamerv3.analysis.compatible import check_same, other_episodes, untrained
from dreamerv3.analysis.devices import devices
from dreamerv3.analysis.opening import Placed
from dreamerv3.analysis.tuning import layers as census
from dreamerv3.analysis.tuning import overview, shares
from dreamerv3.analysis.tuning.cell_types import Thresholds
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.base import files, flags
from dreamerv3.base.drawing import FigureFlags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import NO_JOBS, flag
from dreamerv3.data import layers
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.run_info import noting


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuningSettings(Placed, FigureFlags):
  """Measures the spatial tuning of every unit and names its cell type."""

  data: str = flag('', help='Folder of recorded episodes.')
  save: str = flag('', help='Folder to write to; needed with --data.')
  from_pkl: str = flag(
    '',
    help='Look at this tuning_results.pkl instead: in a viewer, or as '
    'figures with --save.',
  )
  layers: tuple[str, ...] = flag((), help=f'{layers.PATTERNS}; all by default.')
  test_data: str = flag(
    '', help='Other episodes of the agent, to test the maps of --data on.'
  )
  control: str = flag('', help='Recording of the untrained network, to compare with.')
  max_neurons: int = flag(0, low=0, help='Random sample of units per layer; 0 for all.')
  no_hd: bool = flag(False, help='Leave out head direction.')
  no_intervals: bool = flag(False, help="Leave out the intervals of classes' shares.")
  no_plots: bool = flag(False, help='Save no figures.')
  interactive: bool = flag(
    False, help='Open the viewer when done; without a screen, write it as a page.'
  )
  min_visits: int = flag(1, low=1, help='Leave out tiles with fewer samples than this.')
  sigma: float = flag(
    0.0,
    low=0,
    high=99,
    help='Standard deviation of the smoothing of maps [tiles]; 0: none.',
  )
  n_shuffles: int = flag(
    200, low=0, help='Null pairings behind each p value; 0 for no tests.'
  )
  null: str = flag(
    'session',
    choices=('session', 'shift'),
    help='Chance: activations paired with the paths of other episodes, '
    'or shifted in time.',
  )
  alpha: float | None = flag(
    None, low=0, high=1, help='Share of pure noise that may be called tuned (0.05).'
  )
  SI_thresh: float | None = flag(
    None,
    help='Spatial information above which a unit counts as spatial, by '
    'thresholds [bits] (0.5).',
  )
  EV_thresh: float | None = flag(
    None,
    help='Held-out variance explained above which a map may be a single '
    'field, by thresholds (0.5).',
  )
  EV_unthresh: float | None = flag(
    None, help='Variance explained up to which a map counts as none (0.15).'
  )
  HD_thresh: float | None = flag(
    None,
    help='Head-direction information above which a unit counts as '
    'directional, by thresholds [bits] (0.5).',
  )
  n_jobs: int = flag(1, low=-1, never=NO_JOBS, help='Processes; -1 for one per CPU.')
  device: str = flag(
    'cpu',
    choices=('cpu', 'cuda'),
    help='Where units are tested against chance: numpy, or torch on the first GPU.',
  )
  seed: int = flag(0, low=0, help='Seed of nulls, samples of units, and examples.')


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command with the arguments of the shell, or with these."""
  args = flags.parse(TuningSettings, argv)
  check_flags(args)
  devices(args.device)
  results = reopen(args) if args.from_pkl else None
  opened = None if results else Recordings.open(args)
  if opened:
    opened.announce(args)
  if args.save:
    save = files.make_folder(args.save)
    inputs = {x: getattr(args, x) for x in ('data', 'test_data', 'control', 'from_pkl')}
    with noting(save, 'tuning_curve', args, inputs, replaces=lambda _: True) as note:
      if opened:
        results = analyse(args, opened)
      assert results
      note.extra |= overview.summary(results)
      for path in save_all(results, save, args):
        note.outputs.append(path)
    print(overview.shares_table(results))
    for line in overview.notes(results):
      print(f'note: {line}')
    pictures = len({x.stem for x in note.outputs if x.suffix[1:] in args.formats})
    print(f'Saved {save}: results, units.csv and {pictures} figures.')
  if results and (args.interactive or not args.save):
    view(results, args)


def check_flags(args: TuningSettings) -> None:
  """Raises UserError for flags that do not go together."""
  if args.from_pkl and args.data:
    raise UserError('Give --data to measure, or --from_pkl to view, not both.')
  if not args.from_pkl and not (args.data and args.save):
    raise UserError('Give --data and --save to measure, or --from_pkl to view results.')
  if args.no_plots or not args.save:
    flags.refuse_idle(args, ('format', 'width'), 'without figures to save')
  if not args.save:
    flags.refuse_idle(args, ('no_plots',), 'without --save')
  if args.from_pkl:
    _check_reopened(args)
  elif args.device != 'cpu' and not args.n_shuffles:
    raise UserError('With --n_shuffles 0 no unit is tested; leave out --device.')


def _check_reopened(args: TuningSettings) -> None:
  """Results are shown as they were measured, and never lose layers."""
  measured = [x for x in _MEASURED if x != 'seed']  # examples are drawn by it, too
  others = ('test_data', 'control', 'area', 'max_episodes', 'device', 'n_jobs')
  if given := flags.changed(args, [*measured, *others]):
    raise UserError(
      f'--from_pkl shows what was measured; leave out {given}, or measure again with '
      '--data.'
    )
  source = pathlib.Path(args.from_pkl).expanduser().resolve()
  if args.layers and args.save and source == _results_path(args).resolve():
    raise UserError(
      f'--layers would drop the other layers from {source}; choose another --save.'
    )


def _results_path(args: TuningSettings) -> pathlib.Path:
  return pathlib.Path(args.save).expanduser() / 'tuning_results.pkl'


@dataclasses.dataclass(frozen=True)
class Recordings:
  """What is measured, opened and known to belong together.

  Attributes:
    data: the recording.
    test: other episodes of the agent, for the held-out variance.
    control: of the untrained network.
    names: layers to measure, in network order.
  """

  data: Trajectories
  test: Trajectories | None
  control: Trajectories | None
  names: Sequence[str]

  @classmethod
  def open(cls, args: TuningSettings) -> 'Recordings':
    """Raises UserError for recordings that do not go together."""

    def lacking(data: Trajectories) -> list[str]:
      return census.lacks(data, measure_of(args))

    data = args.open(args.data, lacking)
    test = args.open(args.test_data, lacking) if args.test_data else None
    control = args.open(args.control, lacking) if args.control else None
    notes: list[str] = []
    if test is not None:
      notes += other_episodes('--data', data.source(), '--test_data', test.source())
    names = layers.select(args.layers, data.layers())
    if control is not None:
      notes += untrained(control, data)
      check_same(data, control, names)
    for note in notes:
      print(flags.spelled(note))
    return cls(data, test, control, names)

  def announce(self, args: TuningSettings) -> None:
    """Prints what the work will need; UserError where the memory is too little."""
    measure = measure_of(args)
    plan = census.foresee(self.data, measure, self.names, self.test, self.control)
    if not args.no_intervals:
      more = shares.seconds(self.data, measure, self.names, self.control)
      plan = dataclasses.replace(plan, seconds=plan.seconds + more)
    print(plan.line())
    plan.check('choose fewer --layers, --max_neurons, --n_jobs or --max_episodes')


def measure_of(args: TuningSettings) -> census.Options:
  """The settings of the measurement itself."""
  options = {x.name for x in dataclasses.fields(census.Options)}
  return census.Options(**{k: v for k, v in vars(args).items() if k in options})


def analyse(args: TuningSettings, opened: Recordings) -> Results:
  """Measures the recording, and the control where one is given."""
  measure, names = measure_of(args), opened.names
  folder = pathlib.Path(args.save).expanduser()  # of the results, whose size they have
  tables = census.run(opened.data, measure, names, opened.test, folder)
  control = opened.control
  compared = census.run(control, measure, names, None, folder) if control else {}
  about = describe(args, opened.data, opened.test, control)
  chosen_limits = limits(args, {})
  if not args.no_intervals:
    rows = shares.class_shares(
      opened.data, measure, list(tables), chosen_limits, control
    )
    about['class_shares'] = shares.with_effects(rows, tables, compared, chosen_limits)
  return Results(about, tables, compared, chosen_limits)


def reopen(args: TuningSettings) -> Results:
  """Results of an earlier run; classes by its thresholds, or by new ones."""
  results = Results.open(args.from_pkl).select(args.layers)
  new = limits(args, dataclasses.asdict(results.limits))
  about = dict(results.metadata)
  # Intervals were measured for their own thresholds.
  known = about.pop('class_shares', []) if new == results.limits else []
  about['class_shares'] = [x for x in known if x['layer'] in results.tables]
  return dataclasses.replace(results, metadata=about, limits=new)


def limits(args: TuningSettings, stored: dict[str, float]) -> Thresholds:
  """The thresholds given as flags, else the stored ones, else the defaults."""
  names = [x.name for x in dataclasses.fields(Thresholds)]
  given = {x: getattr(args, x) for x in names if getattr(args, x) is not None}
  return Thresholds(**{**stored, **given})


def describe(
  args: TuningSettings,
  data: Trajectories,
  test: Trajectories | None,
  control: Trajectories | None,
) -> dict[str, Any]:
  """The metadata of the results."""
  return {
    'data_path': args.data,
    'test_data_path': args.test_data or None,
    'control_path': args.control or None,
    'area': data.metadata.area,
    'n_episodes': len(data),
    'n_test_episodes': 0 if test is None else len(test),
    'n_control_episodes': 0 if control is None else len(control),
    'trained': data.metadata.trained,
    'walkable': data.metadata.walkable(),
    'lacks': census.lacks(data, measure_of(args)),
    **{x: getattr(args, x) for x in _MEASURED},
  }


_MEASURED = (
  'n_shuffles',
  'null',
  'min_visits',
  'min_bbox',
  'sigma',
  'max_neurons',
  'no_hd',
  'seed',
  'spawn_relative',
  'no_intervals',
)


def save_all(
  results: Results, save: pathlib.Path, args: TuningSettings
) -> Iterator[pathlib.Path]:
  """Writes the pickle, tables with a row per unit, and the figures.

  Yields:
    Each path when it is there.
  """
  yield files.save_pickle(save / 'tuning_results.pkl', results.to_dict())
  yield files.save_csv(save / 'units.csv', results.rows())
  if results.control:
    yield files.save_csv(save / 'units_control.csv', results.rows(control=True))
  if results.metadata.get('class_shares'):
    rows = results.metadata['class_shares']
    yield files.save_csv(save / 'class_shares.csv', rows)
  if not args.no_plots:
    yield from save_figures(results, save, args)


def save_figures(
  results: Results, save: pathlib.Path, args: TuningSettings
) -> Iterator[pathlib.Path]:
  """Writes three figures per layer and one of all layers."""
  from dreamerv3.plots import style
  from dreamerv3.plots.units import tuning
  from dreamerv3.plots.units.layer_summary import layer_summary

  for name in results.tables:
    stem = name.replace('/', '_')
    for kind, draw in tuning.FIGURES.items():
      with style.page(args.width):
        figure = draw(results, name, args.seed)
      yield from args.save_figure(save, f'{stem}_{kind}', figure)
  with style.page(args.width):
    figure = layer_summary(results)
  yield from args.save_figure(save, 'layer_summary', figure)


def view(results: Results, args: TuningSettings) -> None:
  """Opens the viewer until it is closed; without a screen, writes it as a page."""
  from dreamerv3.plots.screen import tuning_viewer, windows

  if windows.usable():
    viewer = tuning_viewer.Viewer(results)
    windows.show([viewer.figure])
    return
  from dreamerv3.pages import units

  saved = pathlib.Path(args.from_pkl).expanduser()
  tuning = _results_path(args) if args.save else saved
  path = units.write(tuning.parent / units.NAME, results, tuning, args)
  print(f'No screen here: saved {path}; open it in a browser.')


if __name__ == '__main__':
  flags.run(main)
