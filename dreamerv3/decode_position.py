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

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from dreamerv3.analysis.decoding import run, store
from dreamerv3.analysis.decoding.comparisons import DETER, layer_pairs, verdict
from dreamerv3.analysis.decoding.foresee import foresee
from dreamerv3.analysis.decoding.linear.devices import devices
from dreamerv3.analysis.decoding.linear.fit import FitOptions
from dreamerv3.analysis.decoding.protocol import Plan, Protocol, make_plan
from dreamerv3.analysis.decoding.result import DecodeResult, summary, table
from dreamerv3.analysis.opening import Placed
from dreamerv3.base import files, flags
from dreamerv3.base.drawing import FigureFlags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import NO_JOBS, flag
from dreamerv3.base.progress import ProgressBar
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

  data: str = flag(help='Folder of recorded episodes.')
  save: str = flag('', help='Folder to write to (<data>/../decoder_results).')
  mode: str = flag(
    'standard', choices=('standard', 'layers'), help='--repr, or every recorded layer.'
  )
  repr: str = flag(
    'all',
    help='Standard mode: deter, stoch, combined (both side by side), or all.',
  )
  layers: tuple[str, ...] = flag(
    (), help=f'Layers mode. {layers.PATTERNS}; all by default.'
  )
  method: str = flag(
    'classification',
    choices=('classification', 'ridge'),
    help='A softmax over tiles, or ridge regression to (x, y).',
  )
  perception: bool = flag(
    True, help='Decode what is seen now, too: what exceeds it is memory.'
  )
  save_model: bool = flag(False, help='Save the decoders.')
  n_jobs: int = flag(
    1, low=-1, never=NO_JOBS, help='Fits at a time; -1 for one per CPU. Same numbers.'
  )
  device: str = flag(
    'cpu', choices=('cpu', 'cuda'), help='Where to fit; give --n_jobs for several GPUs.'
  )
  n_iters: int = flag(
    5000,
    low=0,
    help='Most iterations (of 32 timesteps) that improve the closed form.',
  )
  patience: int = flag(
    500,
    low=0,
    help='Stop after this many iterations without a lower validation error, '
    'and keep the best weights; 0 never stops early.',
  )
  holdout_frac: float = flag(
    0.2,
    low=0,
    high=0.9,
    help='Share of the episodes to test on; 0 for cross-validation.',
  )
  n_cv_folds: int = flag(
    0,
    low=0,
    help='Folds of whole episodes; 0 for 10 in standard and 5 in layers mode.',
  )
  cv: str = flag(
    'episodes',
    choices=('episodes', 'timesteps'),
    help='What is held out. Timesteps leak: for comparison with older work.',
  )
  test_data: str = flag('', help='Test on these episodes, train on all others.')
  control: str = flag('', help='Recording of the untrained network, drawn beside.')
  from_model: str = flag(
    '', help='Only evaluate decoders that were saved here (folder or file).'
  )
  resume: str = flag(
    '', help='Layers mode: continue from this checkpoint (file or folder).'
  )
  max_samples: int | None = flag(
    None, low=0, help='Most timesteps to train on; 0 for all (layers mode: 10000).'
  )
  n_boot: int = flag(1000, low=0, help='Draws of episodes behind the 95 % intervals.')
  seed: int = flag(0, low=0, help='Of splits, pairings, fits and draws.')


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


class Found(NamedTuple):
  """What a run found: a result and a row per layer, the control's, perception's."""

  results: list[DecodeResult]
  control: dict[str, DecodeResult]
  rows: list[dict[str, Any]]
  seen: run.Seen = run.NOTHING


@dataclasses.dataclass(frozen=True)
class DecodingWork:
  """Work of which nothing is left to refuse.

  Attributes:
    data: the recording.
    work: does it; is given the folder to save to, and the note of the run.
  """

  data: Trajectories
  work: Callable[[pathlib.Path, Note], Found]


def main(argv: Sequence[str] | None = None) -> None:
  """Decodes, saves, draws and prints, as the flags say."""
  args = flags.parse(DecodeSettings, argv)
  check_flags(args)
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
    for path in _save(found, study.data, args, save):
      note.outputs.append(path)
  print(table(found.rows))
  told = [x for x in found.rows if x['layer'] in DETER]
  for row in told or found.rows[:1]:
    print(verdict(row))
  if args.cv == 'timesteps':
    print(LEAK)


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
  usual = {x.name: x.default for x in dataclasses.fields(DecodeSettings)}
  for names, idle, why in IDLE:
    given = [f'--{x}' for x in names.split() if getattr(args, x) != usual[x]]
    if given and idle(args):
      raise UserError(f'{" and ".join(given)} would do nothing {why}; leave it out.')
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
  plan = make_plan(data, args.open(test) if test else None, _protocol(args))
  _tell(plan.notes)
  return plan


def _protocol(args: DecodeSettings) -> Protocol:
  names = [x.name for x in dataclasses.fields(Protocol)]
  return Protocol(**{x: getattr(args, x) for x in names})


def _job(args: DecodeSettings) -> run.FitJob:
  return run.FitJob(
    FitOptions(args.n_iters, args.patience, args.seed, args.device, method=args.method),
    n_jobs=args.n_jobs,
    save=args.save_model,
    most=_protocol(args).most,
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

  def work(save: pathlib.Path, note: Note) -> Found:
    shelf = store.Shelf(save, args.mode, args.save_model, done)
    note.outputs = shelf.outputs
    results = _decode(plan, args, shelf)
    others = {}
    if against is not None:
      others = run.control_results(against, [x.layer for x in results], job)
    seen = run.perceive(plan, results, job) if args.perception else run.NOTHING
    _tell(seen.notes)
    rows = run.table_rows(results, others, seen, job)
    rows = [{**x, **plan.trained()} for x in rows]
    return Found(results, others, rows, seen)

  return DecodingWork(plan.data, work)


def _done(plan: Plan, args: DecodeSettings) -> store.FitCheckpoint:
  """The layers that an earlier run has done, if it is to be gone on with."""
  keep = {x: getattr(args, x) for x in KEPT} | {'max_samples': _protocol(args).most}
  known = store.fingerprint(plan.data, plan.chosen, plan.folds, keep)
  if args.resume:
    return store.FitCheckpoint.resume(args.resume, known)
  return store.FitCheckpoint(known)


def _decode(plan: Plan, args: DecodeSettings, shelf: store.Shelf) -> list[DecodeResult]:
  """All results in network order; what is done is on disk."""
  todo = shelf.todo(plan.chosen)
  work = run.work(plan, todo, _job(args))
  with contextlib.closing(work), ProgressBar(len(todo), 'layer') as bar:
    for result, decoder in work:
      shelf.keep(result, decoder)
      bar.update(1, result.layer)
      print(f'{result.layer}: {result.errors.mean():.2f} tiles', flush=True)
  names = plan.names if args.mode == 'layers' else plan.chosen
  return shelf.finish(names, plan.copies, plan.data)


def _evaluation(args: DecodeSettings) -> DecodingWork:
  """Saved decoders on a recording that they have not seen."""
  data = args.open(args.data)
  decoders = store.load_decoders(args.from_model)
  # Short, and the only check whether they fit each other.
  results, notes = run.evaluate(data, decoders, args.layers)
  _tell(notes)
  rows = run.table_rows(results, {}, run.NOTHING, _job(args))
  return DecodingWork(data, lambda *_: Found(results, {}, rows))


def _save(
  found: Found, data: Trajectories, args: DecodeSettings, save: pathlib.Path
) -> Iterator[pathlib.Path]:
  """Writes results, the table and the figures; a path when each is there."""
  from dreamerv3.plots import style  # slow to import
  from dreamerv3.plots.positions import decoding

  extra = {
    'protocol': {x: getattr(args, x) for x in PROTOCOL},
    'control': {k: v.to_dict() for k, v in found.control.items()},
    'perception': {k: v.to_dict() for k, v in found.seen.alone.items()},
    'memory': {k: v.to_dict() for k, v in found.seen.both.items()},
  }
  pairs = layer_pairs(found.results, args.n_boot, args.seed)
  tables = store.Tables(found.results, found.rows, pairs, extra)
  yield from tables.save(save, args.mode, data)
  others = {k: summary(v, args.n_boot, args.seed) for k, v in found.control.items()}
  with style.page(args.width):
    numbers = [x.number for x in data.episodes]
    leaks = args.cv == 'timesteps'
    made = decoding.all_figures(
      found.results, found.rows, others, data.metadata, numbers, args.mode, leaks
    )
  for stem, figure in made.items():
    yield from args.save_figure(save, stem, figure)


if __name__ == '__main__':
  flags.run(main)
