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
from collections.abc import Mapping, Sequence
from typing import Any

import tqdm

from dreamerv3 import leftovers
from dreamerv3.analysis.compatible import check_same, other_episodes, untrained
from dreamerv3.analysis.decoding import layers as decode
from dreamerv3.analysis.decoding import store as decode_store
from dreamerv3.analysis.decoding.fit import FitOptions, devices
from dreamerv3.analysis.decoding.protocol import REPRS, Plan, Protocol, make_plan
from dreamerv3.analysis.decoding.result import DecodeResult, summary, table
from dreamerv3.analysis.decoding.store import Checkpoint
from dreamerv3.analysis.opening import Placed
from dreamerv3.base import files, flags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import NO_JOBS, flag
from dreamerv3.data import layers
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.run_info import log_run_info

LEAK = (
  'Warning: --cv timesteps tests on neighbours of the frames it trained on. '
  'They leak: activations without any position decode well this way.'
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(Placed):
  """Decodes the position from recorded activations, and measures chance."""

  data: str = flag(help='Folder of recorded episodes.')
  save: str = flag('', help='Folder to write to (<data>/../decoder_results).')
  mode: str = flag(
    'standard',
    choices=('standard', 'layers'),
    help='The representations of --repr, or every recorded layer.',
  )
  repr: str = flag(
    'all',
    choices=('deter', 'stoch', 'combined', 'all'),
    help='Standard mode: what to decode; combined is both side by side.',
  )
  layers: tuple[str, ...] = flag((), help='Layers mode: names (regex); all by default.')
  save_model: bool = flag(False, help='Save the decoders.')
  n_jobs: int = flag(
    1,
    low=-1,
    never=NO_JOBS,
    help='Fits at a time, one core each; -1 for all cores. Same numbers.',
  )
  device: str = flag(
    'cpu',
    choices=('cpu', 'cuda'),
    help='Where to fit; several GPUs take turns, use --n_jobs for as many.',
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
  max_samples: int = flag(
    10000, low=0, help='Layers mode: most timesteps to train on; 0 for all.'
  )
  n_boot: int = flag(1000, low=0, help='Draws of episodes behind the 95 % intervals.')
  seed: int = flag(0, low=0, help='Of splits, pairings, fits and draws.')


def main(argv: Sequence[str] | None = None) -> None:
  args = flags.parse(Settings, argv)
  _check(args)
  data = args.open(args.data)
  # Of '.', too, the parent is another folder than the recording.
  data_path = pathlib.Path(args.data).expanduser().resolve()
  folder = data_path.parent / 'decoder_results'
  outputs: list[pathlib.Path] = []
  against, trained = None, {}
  # The folder is made once nothing is left to refuse, and before long work.
  if args.from_model:
    results = _evaluate(data, args)
    save = files.make_folder(args.save or folder)
  else:
    plan = _plan(data, args)
    against = _open_control(plan, args)
    data, save = plan.data, files.make_folder(args.save or folder)
    results, trained = _decode(plan, args, save, outputs), plan.trained()
  control = _control(against, args, [x.layer for x in results])
  rows = [{**_row(x, control, args), **trained} for x in results]
  outputs += _save(results, rows, control, data, args, save)
  print(table(rows))
  if args.cv == 'timesteps':
    print(LEAK)
  # Each mode has files of its own; decoders say themselves what they know.
  leftovers.clear(
    save,
    'decode_position',
    outputs,
    lambda entry: entry['args'].get('mode') == args.mode,
    ('classifier_*.pkl', 'layer_decoders/*', decode_store.CHECKPOINT),
  )
  log_run_info(
    save,
    'decode_position',
    args,
    outputs,
    extra={
      'sub_mode': args.mode + ('/from_model' if args.from_model else ''),
      'n_samples': len(data.track()),
      'n_episodes': len(data),
      'grid': data.grid.shape,
      'metric': 'manhattan',
      'lacks': data.lacks,
      'summary': rows,
    },
  )


def _check(args: Settings) -> None:
  devices(args.device)
  if args.resume and args.mode != 'layers':
    raise UserError('--resume works with --mode layers; add it.')
  _check_mode(args)
  if args.from_model:
    given = [
      f'--{x}'
      for x in ('resume', 'test_data', 'control', 'save_model')
      if getattr(args, x)
    ]
    if given:
      raise UserError(f'--from_model only evaluates; leave out {" and ".join(given)}.')
  if args.test_data and args.cv == 'timesteps':
    raise UserError('--cv timesteps splits one recording; leave out --test_data.')
  if args.cv == 'timesteps':
    print(LEAK, file=sys.stderr)


def _check_mode(args: Settings) -> None:
  """Flags of the other mode would do nothing."""
  other = ('repr',) if args.mode == 'layers' else ('layers', 'max_samples')
  named = {x.name: x for x in dataclasses.fields(Settings)}
  given = [f'--{x}' for x in other if getattr(args, x) != named[x].default]
  if given:
    right = 'standard' if args.mode == 'layers' else 'layers'
    work = 'works' if len(given) == 1 else 'work'
    raise UserError(
      f'{" and ".join(given)} {work} with --mode {right} alone; change the '
      'mode, or leave it out.'
    )
  if args.n_cv_folds == 1:
    raise UserError('--n_cv_folds is 1; expected at least 2, or 0 for as usual.')


def _plan(data: Trajectories, args: Settings) -> Plan:
  test = args.open(args.test_data) if args.test_data else None
  names = [x.name for x in dataclasses.fields(Protocol)]
  return make_plan(data, test, Protocol(**{x: getattr(args, x) for x in names}))


def _decode(
  plan: Plan, args: Settings, save: pathlib.Path, outputs: list[pathlib.Path]
) -> list[DecodeResult]:
  """All results in network order; layers that are done are on disk."""
  keep = {
    x: getattr(args, x)
    for x in (
      'cv',
      'holdout_frac',
      'max_samples',
      'n_iters',
      'patience',
      'seed',
      'min_bbox',
      'max_episodes',
      'test_data',
    )
  }
  known = decode_store.fingerprint(plan.data, plan.chosen, plan.folds, keep)
  store = Checkpoint(known)
  if args.resume:
    store = Checkpoint.resume(args.resume, known)
  models = save
  if args.save_model and args.mode == 'layers':
    models = files.make_folder(save / 'layer_decoders')
  todo = [
    x
    for x in plan.chosen
    if x not in store.results
    or (
      args.save_model and not decode_store.decoder_path(models, x, args.mode).exists()
    )
  ]
  options = FitOptions(args.n_iters, args.patience, args.seed, args.device)
  refit = args.save_model and len(plan.folds) > 1
  most = args.max_samples if args.mode == 'layers' else 0
  work = decode.decode_layers(
    plan.data, todo, plan.folds, options, args.n_jobs, refit, most
  )
  bar = tqdm.tqdm(total=len(todo), unit='layer', disable=None)
  with contextlib.closing(work), bar:
    for result, decoder in work:
      if args.save_model:
        decode_store.save_decoder(models, decoder, args.mode)
      store.results[result.layer] = result
      if args.mode == 'layers':
        store.save(save / decode_store.CHECKPOINT)
      bar.update()
      print(f'{result.layer}: {result.errors.mean():.2f} tiles', flush=True)
  for copy, original in plan.copies.items():
    same = store.results[original]
    store.results[copy] = dataclasses.replace(same, layer=copy)
  if args.mode == 'layers':
    outputs.append(store.save(save / decode_store.CHECKPOINT))
  names = plan.names if args.mode == 'layers' else plan.chosen
  if args.save_model:
    outputs += decode_store.finish_decoders(
      models, names, plan.copies, plan.data, args.mode
    )
  return [store.results[x] for x in names]


def _evaluate(data: Trajectories, args: Settings) -> list[DecodeResult]:
  decoders = decode_store.load_decoders(args.from_model)
  sizes = {**data.layers(), **{k: 0 for k, v in REPRS.items() if v in data.layers()}}
  if len(set(REPRS) & set(sizes)) == len(REPRS):
    sizes['combined'] = 0
  common = [x for x in layers.order(decoders) if x in sizes]
  if args.mode == 'layers' and args.layers:
    common = layers.select(args.layers, common)
  if not common:
    raise UserError(
      f'{args.from_model} decodes {", ".join(decoders)}, and {args.data} has '
      f'{", ".join(sizes)}: no layer is in both.'
    )
  fitted = [decoders[x].trained_on for x in common]
  for known in {str(x): x for x in fitted}.values():
    other_episodes('--from_model', known, '--data', data.source())
  return [decode.evaluate(data, decoders[x], x) for x in common]


def _open_control(plan: Plan, args: Settings) -> Trajectories | None:
  """The recording of the untrained network, known to be one to compare with."""
  if not args.control:
    return None
  control = args.open(args.control)
  untrained(control)
  layers = {REPRS.get(x, x) for x in plan.names} & control.layers().keys()
  check_same(plan.data, control, sorted(layers))
  return control


def _control(
  control: Trajectories | None, args: Settings, names: list[str]
) -> dict[str, DecodeResult]:
  """The same work on the recording of the untrained network."""
  if control is None:
    return {}
  # The untrained agent has episodes of its own, of which it holds out some.
  args = dataclasses.replace(args, test_data='')
  plan = _plan(control, args)
  todo = [x for x in plan.chosen if x in names]
  options = FitOptions(args.n_iters, args.patience, args.seed, args.device)
  work = decode.decode_layers(plan.data, todo, plan.folds, options, args.n_jobs)
  with contextlib.closing(work):
    found = {result.layer: result for result, _ in work}
  for copy, original in plan.copies.items():
    if original in found:
      found[copy] = dataclasses.replace(found[original], layer=copy)
  return found


def _row(
  result: DecodeResult, control: Mapping[str, DecodeResult], args: Settings
) -> dict[str, Any]:
  row = summary(result, args.n_boot, args.seed)
  other, nan = control.get(result.layer), float('nan')
  row['control'] = nan if other is None else float(other.errors.mean())
  # It walks paths of its own, which can be easier or harder to guess.
  row['control_constant'] = nan if other is None else float(other.constant.mean())
  return row


def _save(
  results: Sequence[DecodeResult],
  rows: Sequence[Mapping[str, Any]],
  control: Mapping[str, DecodeResult],
  data: Trajectories,
  args: Settings,
  save: pathlib.Path,
) -> list[pathlib.Path]:
  """Results, the table and the figures."""
  from dreamerv3.plots import decoding  # slow to import

  extra = {
    'protocol': dict(
      cv=args.cv,
      holdout_frac=args.holdout_frac,
      seed=args.seed,
      test_data=args.test_data,
      from_model=args.from_model,
      spawn_relative=args.spawn_relative,
    ),
    'control': {k: v.to_dict() for k, v in control.items()},
  }
  standard = args.mode == 'standard'
  name = 'decode_results.pkl' if standard else 'layer_decode_results.pkl'
  values = decode_store.results_dict(results, data, rows, extra)
  # Both modes may save into one folder.
  csv = 'summary.csv' if standard else 'layer_summary.csv'
  outputs = [
    files.save_pickle(save / name, values),
    files.save_csv(save / csv, rows),
  ]
  others = {k: summary(v, args.n_boot, args.seed) for k, v in control.items()}
  made = decoding.all_figures(
    results,
    rows,
    others,
    data.metadata,
    [x.number for x in data.episodes],
    args.mode,
    args.cv == 'timesteps',
  )
  figures = [files.save_figure(save / f'{k}.png', v) for k, v in made.items()]
  return outputs + figures


if __name__ == '__main__':
  flags.run(main)
