"""Where is the agent? Read from its activations by a linear decoder.

Held-out error, chance levels and maps of probability, for one representation
(standard mode) or for every recorded layer.

  python dreamerv3/decode_position.py --data logdir/run/trajectories \\
    --save logdir/run/decoder_results --n_jobs -1 --save_model
  python dreamerv3/decode_position.py --mode layers --data ... --save ...
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from dreamerv3.analysis.decoding import run, store
from dreamerv3.analysis.decoding.comparisons import DETER, layer_pairs, verdict
from dreamerv3.analysis.decoding.findings import Findings
from dreamerv3.analysis.decoding.foresee import foresee
from dreamerv3.analysis.decoding.linear.fit import FitOptions
from dreamerv3.analysis.decoding.protocol import Plan, Protocol, make_plan
from dreamerv3.analysis.decoding.result import DecodeResult, table
from dreamerv3.analysis.devices import devices
from dreamerv3.analysis.opening import Placed
from dreamerv3.base import files, flags
from dreamerv3.base.drawing import FigureFlags, only_draws
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import NO_JOBS, flag
from dreamerv3.data import layers
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.run_info import Note, noting

LEAK = (
  'Warning: --cv timesteps tests on neighbours of the frames it trained on. '
  'They leak: activations without any position decode well this way.'
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodeSettings(Placed, FigureFlags):
  """Decodes the position from recorded activations, and measures chance."""

  data: str = flag('', help='Folder of recorded episodes.')
  save: str = flag(
    '', help='Folder to write to (<data>/../decoder_results, or that of --from_pkl).'
  )
  mode: str = flag(
    'standard', choices=('standard', 'layers'), help='Those of --repr, or every layer.'
  )
  repr: str = flag('all', help='Standard mode: deter, stoch, combined (both), or all.')
  layers: tuple[str, ...] = flag(
    (), help=f'Layers mode. {layers.PATTERNS}; all by default.'
  )
  method: str = flag(
    'classification',
    choices=('classification', 'ridge'),
    help='Decoder: a softmax over tiles, or ridge regression to (x, y).',
  )
  perception: bool = flag(
    True, help='Decode the present view, too: memory must read the place better.'
  )
  save_model: bool = flag(False, help='Save the decoders, for dreams and --from_model.')
  n_jobs: int = flag(
    1, low=-1, never=NO_JOBS, help='Fits at a time; -1 for one per CPU. Same numbers.'
  )
  device: str = flag(
    'cpu', choices=('cpu', 'cuda'), help='Where to fit; give --n_jobs for several GPUs.'
  )
  n_iters: int = flag(
    5000,
    low=0,
    help='Most gradient steps (32 timesteps each) after the closed-form fit.',
  )
  patience: int = flag(
    500,
    low=0,
    help='Stop after this many iterations without a lower validation error, '
    'and keep the best weights; 0 never stops early.',
  )
  holdout_frac: float = flag(
    0.2, low=0, high=0.9, help='Share of the episodes to test on; 0 to cross-validate.'
  )
  n_cv_folds: int = flag(
    0, low=0, help='Folds of whole episodes; 0 for 10 in standard, 5 in layers mode.'
  )
  cv: str = flag(
    'episodes',
    choices=('episodes', 'timesteps'),
    help='What is held out. Timesteps leak: for comparison with older work.',
  )
  test_data: str = flag('', help='Test on this recording, train on all of --data.')
  control: str = flag('', help='Recording of the untrained network, to compare with.')
  from_model: str = flag(
    '', help='Only evaluate decoders that were saved here (folder or file).'
  )
  from_pkl: str = flag(
    '', help='Draw these decode_results.pkl or layer_decode_results.pkl again.'
  )
  resume: str = flag(
    '', help='Layers mode: continue from this checkpoint (file or folder).'
  )
  max_samples: int | None = flag(
    None, low=0, help='Most timesteps to train on; 0: all (layers mode: 10000).'
  )
  n_boot: int = flag(1000, low=0, help='Draws of episodes behind the 95 % intervals.')
  seed: int = flag(0, low=0, help='Seed of splits, pairings, fits and draws.')


# Flags, when they would do nothing, and why.
_FITS = (
  'method perception device n_jobs n_iters patience holdout_frac n_cv_folds '
  'repr cv max_samples resume test_data control save_model'
)
IDLE: tuple[tuple[str, Callable[[Any], object], str], ...] = (
  ('repr', lambda x: x.mode == 'layers', 'without --mode standard'),
  ('layers resume', lambda x: x.mode != 'layers', 'without --mode layers'),
  (_FITS, lambda x: x.from_model, 'with --from_model, which only evaluates'),
  ('holdout_frac n_cv_folds cv', lambda x: x.test_data, 'with --test_data'),
  ('n_cv_folds', lambda x: x.holdout_frac, 'without --holdout_frac 0'),
  ('patience', lambda x: not x.n_iters, 'with --n_iters 0'),
  ('n_iters patience', lambda x: x.method == 'ridge', 'with --method ridge'),
)
# What the results say of how they were made.
PROTOCOL = (
  *('cv', 'holdout_frac', 'seed', 'test_data', 'from_model', 'spawn_relative'),
  'method',
)
# Settings that results depend on, besides data and split.
KEPT = (
  *('cv', 'holdout_frac', 'n_iters', 'patience', 'seed'),
  *('method', 'min_bbox', 'max_episodes', 'test_data'),
)
# Settings that name what is read.
READS = ('data', 'test_data', 'control', 'from_model', 'resume')


@dataclasses.dataclass(frozen=True)
class DecodingWork:
  """Work of which nothing is left to refuse, in a folder and with a note."""

  data: Trajectories
  work: Callable[[pathlib.Path, Note], Findings]


def main(argv: Sequence[str] | None = None) -> None:
  """Decodes, saves, draws and prints, as the flags say."""
  args = flags.parse(DecodeSettings, argv)
  check_flags(args)
  found = _draw_again(args) if args.from_pkl else _measure(args)
  print(table(found.rows))
  told = [x for x in found.rows if x['layer'] in DETER]
  for row in told or found.rows[:1]:
    print(verdict(row))
  if found.leaks:
    print(LEAK)


def _measure(args: DecodeSettings) -> Findings:
  devices(args.device)
  if args.cv == 'timesteps':
    print(LEAK, file=sys.stderr)
  study = _evaluation(args) if args.from_model else _fitting(args)
  save = _folder(args)
  with noting(
    save,
    'decode_position',
    args,
    {x: getattr(args, x) for x in READS},
    extra=_about(study.data, args),
    # Each mode has files of its own; decoders say themselves what they know.
    replaces=lambda entry: entry.args.get('mode') == args.mode,
    keep=('classifier_*.pkl', 'layer_decoders/*', store.CHECKPOINT),
  ) as note:
    found = study.work(save, note)
    note.extra['summary'] = found.rows
    for path in itertools.chain(found.save(save), _draw(found, args, save)):
      note.outputs.append(path)
  return found


def _about(data: Trajectories, args: DecodeSettings) -> dict[str, Any]:
  """What the provenance says of the data."""
  return {
    'sub_mode': args.mode + ('/from_model' if args.from_model else ''),
    'n_samples': len(data.track()),
    'n_episodes': len(data),
    'grid': data.grid.shape,
    'metric': 'manhattan',
    'lacks': data.lacks,
  }


def check_flags(args: DecodeSettings) -> None:
  """Refuses flags that would do nothing, before anything is read."""
  if args.from_pkl:
    only_draws(args)
    return
  if not args.data:
    raise UserError('Give --data to decode, or --from_pkl to draw again.')
  for names, idle, why in IDLE:
    if idle(args):
      flags.refuse_idle(args, names.split(), why)
  if args.n_cv_folds == 1:
    raise UserError('--n_cv_folds is 1; expected at least 2, or 0 for as usual.')


def _folder(args: DecodeSettings) -> pathlib.Path:
  """The folder to write to, made once nothing is left to refuse."""
  # Of '.', too, the parent is another folder than the recording.
  data = pathlib.Path(args.data).expanduser().resolve()
  return files.make_folder(args.save or data.parent / 'decoder_results')


def _tell(notes: Iterable[str]) -> None:
  for note in notes:
    print(flags.spelled(note))


def _plan(data: Trajectories, args: DecodeSettings, test: str = '') -> Plan:
  plan = make_plan(data, args.open(test) if test else None, Protocol.of(args))
  _tell(plan.notes)
  return plan


def _job(args: DecodeSettings) -> run.FitJob:
  return run.FitJob(
    FitOptions(args.n_iters, args.patience, args.seed, args.device, method=args.method),
    n_jobs=args.n_jobs,
    save=args.save_model,
    most=Protocol.of(args).most,
    n_boot=args.n_boot,
    seed=args.seed,
  )


def _fitting(args: DecodeSettings) -> DecodingWork:
  """Fits decoders, and those of the untrained network beside them."""
  plan, job = _plan(args.open(args.data), args, args.test_data), _job(args)
  against = None
  if args.control:
    control = args.open(args.control)
    _tell(run.open_control(plan, control))
    # The untrained agent has episodes of its own, of which it holds out some.
    against = _plan(control, args)
  done = _done(plan, args)
  ahead = foresee([x for x in (plan, against) if x], job, args.perception)
  print(ahead.line())
  ahead.check('choose fewer `layers` or `max_samples`')

  def work(save: pathlib.Path, note: Note) -> Findings:
    shelf = store.Shelf(save, args.mode, args.save_model, done)
    note.outputs = shelf.outputs
    results = run.fill(shelf, plan, job)
    others = {}
    if against is not None:
      others = run.control_results(against, [x.layer for x in results], job)
    seen = run.perceive(plan, results, job) if args.perception else run.NOTHING
    _tell(seen.notes)
    rows = run.table_rows(results, others, seen, job)
    rows = [{**x, **plan.trained()} for x in rows]
    return _findings(plan.data, args, results, rows, others, seen)

  return DecodingWork(plan.data, work)


def _done(plan: Plan, args: DecodeSettings) -> store.FitCheckpoint:
  """The layers that an earlier run has done, if it is to be gone on with."""
  keep = {x: getattr(args, x) for x in KEPT} | {'max_samples': Protocol.of(args).most}
  known = store.fingerprint(plan.data, plan.chosen, plan.folds, keep)
  if args.resume:
    return store.FitCheckpoint.resume(args.resume, known)
  return store.FitCheckpoint(known)


def _evaluation(args: DecodeSettings) -> DecodingWork:
  """Saved decoders on a recording that they have not seen."""
  data = args.open(args.data)
  decoders = store.load_decoders(args.from_model)
  # Short, and the only check whether they fit each other.
  results, notes = run.evaluate(data, decoders, args.layers)
  _tell(notes)
  rows = run.table_rows(results, {}, run.NOTHING, _job(args))
  found = _findings(data, args, results, rows, {}, run.NOTHING)
  return DecodingWork(data, lambda *_: found)


def _findings(
  data: Trajectories,
  args: DecodeSettings,
  results: list[DecodeResult],
  rows: list[dict[str, Any]],
  control: dict[str, DecodeResult],
  seen: run.Seen,
) -> Findings:
  """All that is written and drawn."""
  return Findings(
    mode=args.mode,
    results=results,
    rows=rows,
    pairs=layer_pairs(results, args.n_boot, args.seed),
    control=control,
    perception=seen.alone,
    memory=seen.both,
    protocol={x: getattr(args, x) for x in PROTOCOL},
    timesteps=len(data.track()),
    metadata=data.metadata,
    numbers=[x.number for x in data.episodes],
  )


def _draw(
  found: Findings, args: DecodeSettings, save: pathlib.Path
) -> Iterator[pathlib.Path]:
  """Writes the figures; a path when each is there."""
  from dreamerv3.plots import style  # slow to import
  from dreamerv3.plots.positions import decoding

  with style.page(args.width):
    made = decoding.all_figures(found)
  for stem, figure in made.items():
    yield from args.save_figure(save, stem, figure)


def _draw_again(args: DecodeSettings) -> Findings:
  """The figures of an earlier run; nothing is measured, and nothing deleted."""
  source = pathlib.Path(args.from_pkl).expanduser()
  found = Findings.open(source)
  if not found.numbers:
    print(
      f'{source} was written before worlds and numbers of episodes were kept in it: '
      'maps of probability are left out; decode again for them.'
    )
  args = dataclasses.replace(args, mode=found.mode)
  save = files.make_folder(args.save or source.resolve().parent)
  told = {'summary': found.rows}
  with noting(save, 'decode_position', args, {'from_pkl': source}, extra=told) as note:
    for path in _draw(found, args, save):
      note.outputs.append(path)
  return found


if __name__ == '__main__':
  flags.run(main)
