"""How long does an agent know where it is without sight?

Decodes replays whose images are withheld from some timestep on: error against steps in
the dark, beside the sighted error, the best constant, and the untrained network.

  python dreamerv3/blind_steps.py --data logdir/run/other_episodes \\
    --blind logdir/run/blind_20 logdir/run/blind_60 \\
    --from_model logdir/run/decoder_results --save logdir/run/blind_results
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
from collections.abc import Iterable, Sequence

from dreamerv3.analysis.compatible import same_path, untrained
from dreamerv3.analysis.decoding import store
from dreamerv3.analysis.decoding.comparisons import DETER
from dreamerv3.analysis.opening import Placed
from dreamerv3.analysis.without_sight import blind, blind_study
from dreamerv3.analysis.without_sight.blind import BlindCurves
from dreamerv3.analysis.without_sight.blind_study import BlindStudy
from dreamerv3.base import files, flags, unpickle
from dreamerv3.base.drawing import FigureFlags, only_draws
from dreamerv3.base.errors import UserError, reading
from dreamerv3.base.flags import flag
from dreamerv3.run_info import noting

RESULTS = 'blind_results.pkl'


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlindSettings(Placed, FigureFlags):
  """Measures how long a decoded position outlasts sight."""

  data: str = flag('', help='Recording of episodes that no decoder was fitted to.')
  blind: tuple[str, ...] = flag(
    (), help='Its replays with --replay_activations.observe N, one folder per N.'
  )
  from_model: str = flag('', help='Decoders of other episodes (folder or file).')
  control: str = flag('', help='The same path through the untrained network.')
  control_blind: tuple[str, ...] = flag((), help='Replays of the control, as --blind.')
  control_model: str = flag('', help='Decoders of the untrained network.')
  layer: str = flag(
    '', help='Layer, or representation, that is decoded (deter, or the only one).'
  )
  horizon: int = flag(
    50,
    low=1,
    help='Steps without sight; starts whose episode ends before are left out.',
  )
  save: str = flag('', help='Folder to write to (<data>/../blind_results).')
  from_pkl: str = flag('', help='Draw these blind_results.pkl again.')
  n_boot: int = flag(1000, low=1, help='Draws of episodes behind the 95 % intervals.')
  seed: int = flag(0, low=0, help='Seed of draws and flips.')


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command with the arguments of the shell, or with these."""
  args = flags.parse(BlindSettings, argv)
  _check(args)
  found = _reopen(pathlib.Path(args.from_pkl).expanduser()) if args.from_pkl else None
  measured = found is None
  if found is None:
    found = _measure(args)
  save = files.make_folder(args.save or _folder(args))
  inputs = {
    **{x: getattr(args, x) for x in ('data', 'from_model', 'from_pkl')},
    **{x: getattr(args, x) for x in ('control', 'control_model')},
    **{f'blind_{i}': x for i, x in enumerate((*args.blind, *args.control_blind))},
  }
  with noting(
    save,
    'blind_steps',
    args,
    inputs,
    replaces=(lambda _: True) if measured else None,
  ) as note:
    if measured:
      note.outputs.append(files.save_pickle(save / RESULTS, blind_study.to_dict(found)))
      note.outputs.append(files.save_csv(save / 'blind_steps.csv', found.rows()))
    note.extra['verdicts'] = [found.verdict()]
    from dreamerv3.plots import style  # slow to import
    from dreamerv3.plots.positions.blind import blind_steps

    with style.page(args.width):
      figure = blind_steps(found)
    note.outputs += args.save_figure(save, 'blind_steps', figure)
  curves = found.trained.curves
  if curves.short:
    print(
      f'{curves.short} starts left out: the episode ends within {curves.steps} steps.'
    )
  print(found.verdict())
  print(f'Saved {save}')


def _check(args: BlindSettings) -> None:
  """Flags that do not go together."""
  if args.from_pkl:
    only_draws(args)
    return
  if not (args.data and args.blind and args.from_model):
    raise UserError(
      'Give --data, --blind and --from_model to measure, or --from_pkl to draw again.'
    )
  sides = [bool(x) for x in (args.control, args.control_blind, args.control_model)]
  if any(sides) and not all(sides):
    raise UserError('--control, --control_blind and --control_model go together.')


def _folder(args: BlindSettings) -> pathlib.Path:
  """Where to write without --save."""
  if args.from_pkl:
    return pathlib.Path(args.from_pkl).expanduser().resolve().parent
  return pathlib.Path(args.data).expanduser().resolve().parent / 'blind_results'


def _measure(args: BlindSettings) -> BlindStudy:
  data = args.open(args.data)
  curves = _curves(args, args.data, args.blind, args.from_model)
  control = None
  if args.control:
    other = args.open(args.control)
    for note in untrained(other):
      print(flags.spelled(note))
    if not same_path(data, other):
      raise UserError(
        f'{args.control} went other ways than {args.data}; replay that with '
        '--replay_activations.load_checkpoint False.'
      )
    control = _curves(args, args.control, args.control_blind, args.control_model)
  return BlindStudy.of(curves, control, args.n_boot, args.seed)


def _curves(
  args: BlindSettings, sighted: str, dark: Sequence[str], model: str
) -> BlindCurves:
  decoders = store.load_decoders(model)
  layer = args.layer or _usual(decoders, model)
  opened = [args.open(x) for x in dark]
  return blind.gather(args.open(sighted), opened, decoders, layer, args.horizon)


def _usual(decoders: Iterable[str], model: str) -> str:
  """The layer that is decoded if none is named."""
  names = list(decoders)
  known = [x for x in DETER if x in names] or names
  if len(known) > 1:
    raise UserError(f'{model} holds {", ".join(names)}; choose one with --layer.')
  return known[0]


def _reopen(path: pathlib.Path) -> BlindStudy:
  with reading(path, 'blind_results.pkl of this program; measure again'):
    return blind_study.from_dict(unpickle.load(path))


if __name__ == '__main__':
  flags.run(main)
