"""Which comes first, the code of space or the score? A run over its checkpoints.

Reads what `main.py --script replay_activations --replay_activations.checkpoints all`
has recorded: the networks of all kept checkpoints on one path.

  python dreamerv3/over_training.py --logdir logdir/run \\
    --data logdir/run/trajectories_checkpoints --save logdir/run/checkpoint_results
  python dreamerv3/over_training.py --from_csv a/over_training.csv \\
    b/over_training.csv --save logdir/growth
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import csv
import dataclasses
import io
import itertools
import re
from collections.abc import Iterator, Sequence

from dreamerv3.analysis import growth, learning
from dreamerv3.analysis.compatible import untrained
from dreamerv3.analysis.opening import Placed
from dreamerv3.base import files, flags, regular
from dreamerv3.base.drawing import FigureFlags
from dreamerv3.base.errors import UserError, reading
from dreamerv3.base.flags import NO_JOBS, flag
from dreamerv3.base.progress import ProgressBar
from dreamerv3.data.metrics_log import MetricsLog
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.run_info import noting

TABLE = 'over_training.csv'
STEP = re.compile(r'step_(\d+)')
MOST_BYTES = 1 << 28  # of a table
AGAIN = ('from_csv', 'save', 'format', 'width')  # serve to draw tables again


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrowthSettings(Placed, FigureFlags):
  """Decodes the position from each checkpoint of a run, beside its score."""

  data: str = flag('', help='Folder of recordings step_*, one per checkpoint.')
  logdir: str = flag('', help='Folder of the run, for its learning curve.')
  save: str = flag('', help='Folder to write to (<data>/../checkpoint_results).')
  control: str = flag('', help='Recording of the untrained network, as step 0.')
  layer: str = flag('dyn/deter', help='Layer that is decoded.')
  geometry: bool = flag(
    False, help='Also correlate distances in the code with those in space (sRSA).'
  )
  max_wake_samples: int = flag(2000, low=20, help='Timesteps that sRSA compares.')
  smooth: int = flag(50, low=1, help='Episodes that a mean of the score is taken over.')
  from_csv: tuple[str, ...] = flag(
    (), help='Put these over_training.csv of several runs together instead.'
  )
  n_iters: int = flag(5000, low=0, help='Most gradient steps of each fit.')
  n_jobs: int = flag(
    1, low=-1, never=NO_JOBS, help='Fits at a time; -1 for all cores. Same numbers.'
  )
  n_boot: int = flag(500, low=1, help='Draws of episodes behind the 95 % intervals.')
  seed: int = flag(0, low=0, help='Seed of splits, fits and draws.')


def main(argv: Sequence[str] | None = None) -> None:
  """Measures, saves, draws and says what the flags ask for."""
  args = flags.parse(GrowthSettings, argv)
  check_flags(args)
  opened = None if args.from_csv else _open(args)
  found = [] if opened else reopen(args.from_csv)
  data = pathlib.Path(args.data).expanduser().resolve()
  save = files.make_folder(args.save or data.parent / 'checkpoint_results')
  names = ('data', 'logdir', 'control', 'from_csv')
  with noting(
    save,
    'over_training',
    args,
    {x: getattr(args, x) for x in names},
    replaces=lambda _: True,
  ) as note:
    if opened:
      found = [_measure(args, opened)]
    from dreamerv3.plots import style
    from dreamerv3.plots.runs import growth as drawing  # slow to import

    table = [x for run in found for x in growth.rows(run)]
    note.outputs.append(files.save_csv(save / TABLE, table))
    with style.page(args.width):
      figure = drawing.over_training(found)
    note.outputs += args.save_figure(save, 'over_training', figure)
    note.extra['verdict'] = growth.which_first(found)
  for run in found:
    print('\n'.join(lines(run)))
  print(note.extra['verdict'])
  print(f'Saved {save}')


def check_flags(args: GrowthSettings) -> None:
  """Flags that do not go together."""
  if bool(args.from_csv) == bool(args.data):
    raise UserError('Give --data to measure a run, or --from_csv to put runs together.')
  others = flags.changed(args, [x for x in vars(args) if x not in AGAIN])
  if args.from_csv and others:
    raise UserError(f'--from_csv holds what was measured; leave out {others}.')
  if args.from_csv and not args.save:
    raise UserError('--save is missing; give a folder for the runs together.')
  together = pathlib.Path(args.save, TABLE).expanduser().resolve()
  tables = [pathlib.Path(x).expanduser().resolve() for x in args.from_csv]
  if len(tables) > 1 and together in tables:
    raise UserError(
      f'{together} is one of these tables and would be written over; give another '
      '--save.'
    )
  if not args.geometry:
    flags.refuse_idle(args, ('max_wake_samples',), 'without --geometry')
  if not args.logdir:
    flags.refuse_idle(args, ('smooth',), 'without --logdir')


def _open(args: GrowthSettings) -> dict[int, Trajectories]:
  """{step: recording}, the untrained network as step 0, in their order."""
  folder = pathlib.Path(args.data).expanduser()
  names = {x: STEP.fullmatch(x.name) for x in sorted(folder.glob('step_*'))}
  found = {int(m[1]): args.open(x) for x, m in names.items() if m}
  if not found:
    raise UserError(
      f'{folder} has no recordings step_*; make them with main.py --script '
      'replay_activations --replay_activations.checkpoints all.'
    )
  if args.control:
    control = args.open(args.control)
    for note in untrained(control):
      print(flags.spelled(note))
    found = {0: control, **found}
  paths = {k: [x.pos.tobytes() for x in v.episodes] for k, v in found.items()}
  first = next(iter(paths.values()))
  for step, mine in paths.items():
    if mine != first:
      raise UserError(
        f'Step {step} was led along other episodes than the first; record again '
        'along one path.'
      )
  return found


def _measure(args: GrowthSettings, opened: dict[int, Trajectories]) -> growth.Growth:
  names = [x.name for x in dataclasses.fields(growth.GrowthOptions)]
  options = growth.GrowthOptions(**{x: getattr(args, x) for x in names})
  codes = []
  with ProgressBar(len(opened), 'checkpoint') as bar:
    for step, data in opened.items():
      codes.append(growth.measure(step, data, args.layer, options))
      bar.update(1, f'step {step}: {codes[-1].error.value:.2f} tiles')
  score = None
  if args.logdir:
    log = MetricsLog.open(args.logdir)
    score = learning.curves(log, min(args.smooth, learning.widest(log))).score
  name = args.logdir or str(pathlib.Path(args.data).expanduser().resolve().parent)
  return growth.Growth(name, tuple(codes), score)


def reopen(paths: Sequence[str]) -> list[growth.Growth]:
  """Runs of tables that earlier calls have written; UserError for one run twice."""
  found = []
  for path in paths:
    with reading(path, f'{TABLE} of this program; measure again'):
      text = regular.read_text(pathlib.Path(path).expanduser(), MOST_BYTES)
      found += growth.from_rows([*csv.DictReader(io.StringIO(text))])
  names = [x.run for x in found]
  for name in names:
    if names.count(name) > 1:
      raise UserError(f'{name} is in two of the tables; each run counts once.')
  for first, second in itertools.combinations(found, 2):
    if growth.same(first, second):
      raise UserError(
        f'{first.run} and {second.run} have the same errors at all steps: one run '
        'under two names, which would count as two; give one of them.'
      )
  return found


def lines(run: growth.Growth) -> Iterator[str]:
  """A run as text: a line per checkpoint."""
  yield f'{run.run}, held-out error of the best constant {run.codes[0].constant:.2f}'
  for x in run.codes:
    error = x.error
    text = f'  step {x.step:>9,}  {error.value:.2f} tiles'
    text += f' ({error.low:.2f} to {error.high:.2f})' if error.low == error.low else ''
    if x.srsa.value == x.srsa.value:
      text += f', sRSA {x.srsa.value:.3f} ({x.srsa.low:.3f} to {x.srsa.high:.3f})'
    yield text


if __name__ == '__main__':
  flags.run(main)
