"""What shape does a layer's code of the world have?

Similarity of distances in space and in the code between episodes (sRSA), with and
without what the view tells, dimension, saturation, a two-dimensional picture, and how
far dreams lie from waking states.

  python dreamerv3/manifold_analysis.py --data logdir/run/trajectories \\
    --control logdir/run/trajectories_untrained --save logdir/run/manifold_results
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from dreamerv3.analysis.compatible import check_same
from dreamerv3.analysis.geometry import study, table
from dreamerv3.analysis.geometry.foresee import foresee
from dreamerv3.analysis.opening import Placed
from dreamerv3.base import files, flags, unpickle
from dreamerv3.base.drawing import FigureFlags, only_draws
from dreamerv3.base.errors import UserError, reading
from dreamerv3.base.flags import flag
from dreamerv3.base.progress import ProgressBar
from dreamerv3.data import layers
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.run_info import noting

RESULTS = 'manifold_results.pkl'
Dreams = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ManifoldSettings(Placed, FigureFlags):
  """Measures the geometry of the code of space in recorded layers."""

  data: str = flag('', help='Folder of recorded episodes.')
  save: str = flag(
    '', help='Folder to write to (<data>/../manifold_results, or that of --from_pkl).'
  )
  control: str = flag('', help='Recording of another network, to compare with.')
  dream_data: str = flag(
    '', help='A dream_results.pkl, to measure how far dreams lie from waking states.'
  )
  layers: tuple[str, ...] = flag(
    ('dyn/deter',), help=f'{layers.PATTERNS}; of dreams dyn/deter alone.'
  )
  max_wake_samples: int = flag(4000, low=20, help='Timesteps that are compared.')
  n_neighbors: int = flag(
    150, low=2, help='Neighbours of Isomap; a quarter of the states at most.'
  )
  no_isomap: bool = flag(False, help='Draw principal components instead of Isomap.')
  no_hill: bool = flag(
    False, help='Leave out the fit of a saturating (Hill) curve to code over space.'
  )
  n_shuffles: int = flag(200, low=0, help='Null pairings behind p; 0 for no test.')
  n_boot: int = flag(500, low=1, help='Draws of episodes behind the 95 % intervals.')
  from_pkl: str = flag('', help='Draw these manifold_results.pkl again.')
  seed: int = flag(0, low=0, help='Seed of samples, nulls and draws.')


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command with the arguments of the shell, or with these."""
  args = flags.parse(ManifoldSettings, argv)
  check_flags(args)
  found = reopen(pathlib.Path(args.from_pkl).expanduser()) if args.from_pkl else []
  opened = None if args.from_pkl else _open(args)
  save = files.make_folder(args.save or _folder(args))
  names = ('data', 'control', 'dream_data', 'from_pkl')
  inputs = {x: getattr(args, x) for x in names}
  with noting(
    save,
    'manifold_analysis',
    args,
    inputs,
    replaces=None if args.from_pkl else lambda _: True,
  ) as note:
    if opened:
      found = _measure(args, *opened)
      note.outputs.append(files.save_pickle(save / RESULTS, study.to_dict(found)))
      path = save / 'manifold_summary.csv'
      note.outputs.append(files.save_csv(path, table.rows(found)))
    note.extra['verdicts'] = [table.verdict(x) for x in found]
    for path in _draw(found, save, args):
      note.outputs.append(path)
  print('\n'.join([*table.lines(found), *note.extra['verdicts']]))
  print(f'Saved {save}')


def _folder(args: ManifoldSettings) -> pathlib.Path:
  """Where to write without --save."""
  if args.from_pkl:
    return pathlib.Path(args.from_pkl).expanduser().parent
  return pathlib.Path(args.data).expanduser().resolve().parent / 'manifold_results'


def check_flags(args: ManifoldSettings) -> None:
  """Flags that do not go together."""
  if bool(args.from_pkl) == bool(args.data):
    raise UserError('Give --data to measure, or --from_pkl to draw again.')
  if args.from_pkl:
    only_draws(args)
  if args.no_isomap:
    flags.refuse_idle(args, ('n_neighbors',), 'with --no_isomap')


def _open(args: ManifoldSettings) -> tuple[Trajectories, Trajectories | None, Dreams]:
  data = args.open(args.data)
  control = args.open(args.control) if args.control else None
  for x in (data, control):
    if x is not None and len(x) < 2:
      raise UserError(
        f'{x.path} has one episode; distances are compared between episodes, so '
        'record more.'
      )
  names = layers.select(args.layers, data.layers())
  if args.dream_data and 'dyn/deter' not in names:
    raise UserError(
      '--dream_data holds dreams of dyn/deter, which --layers leaves out.'
    )
  if control is not None:
    check_same(data, control, names)
  plan = foresee(data, names, _options(args), 1 if control is None else 2)
  print(plan.line())
  plan.check('choose fewer --layers or --max_wake_samples')
  return data, control, _dreams(args.dream_data)


def _dreams(path: str) -> Dreams:
  """Replayed dreams of dyn/deter from dream_results.pkl."""
  if not path:
    return {}
  file = pathlib.Path(path).expanduser()
  with reading(file, 'dream_results.pkl of dream_decode; dream again'):
    values = unpickle.load(file)
    if 'replay_deter' not in values:
      raise UserError(
        f'{file} has no dreamed states; dream again with '
        '--dream_decode.save_activations True.'
      )
    states = np.asarray(values['replay_deter'], np.float32)
    return {'dyn/deter': (states, np.asarray(values['valid'])[:, 1:])}


def _options(args: ManifoldSettings) -> study.GeometryOptions:
  names = [x.name for x in dataclasses.fields(study.GeometryOptions)]
  return study.GeometryOptions(**{x: getattr(args, x) for x in names})


def _measure(
  args: ManifoldSettings,
  data: Trajectories,
  control: Trajectories | None,
  dreams: Dreams,
) -> list[study.GeometryComparison]:
  names = layers.select(args.layers, data.layers())
  work = study.study(data, names, _options(args), control, dreams)
  found = []
  with ProgressBar(len(names), 'layer') as bar:
    for one in work:
      found.append(one)
      bar.update(1, one.geometry.layer)
  return found


def reopen(path: pathlib.Path) -> list[study.GeometryComparison]:
  """The results of an earlier call."""
  with reading(path, 'manifold_results.pkl of this program; measure again'):
    return study.from_dict(unpickle.load(path))


def _draw(
  found: Sequence[study.GeometryComparison], save: pathlib.Path, args: FigureFlags
) -> Iterator[pathlib.Path]:
  from dreamerv3.plots import manifold, style  # slow to import

  with style.page(args.width):
    made = manifold.all_figures(found)
  for name, figure in made.items():
    yield from args.save_figure(save, name, figure)


if __name__ == '__main__':
  flags.run(main)
