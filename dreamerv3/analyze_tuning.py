"""What kinds of maps are there? Groups of units, their measures, their spread.

Reads tuning_results.pkl: clusters of autocorrelograms that are held against shuffled
maps and drawn again, a layout of units by their measures, and histograms with examples.

  python dreamerv3/analyze_tuning.py \\
    --from_pkl logdir/run/tuning_results/tuning_results.pkl --mode autocorr \\
    --save logdir/run/cluster_results
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dreamerv3.analysis.opening import Placed
from dreamerv3.analysis.tuning.kinds import metrics, pictures, study, tables
from dreamerv3.analysis.tuning.kinds.episodes import EpisodeDraws
from dreamerv3.analysis.tuning.kinds.study import LayerKinds
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.base import files, flags, unpickle
from dreamerv3.base.drawing import FigureFlags
from dreamerv3.base.errors import UserError, reading
from dreamerv3.base.flags import flag
from dreamerv3.base.progress import ProgressBar
from dreamerv3.data import layers
from dreamerv3.run_info import Note, noting

if TYPE_CHECKING:
  from dreamerv3.plots.units.kinds import Figures

RESULTS = 'cluster_results.pkl'


@dataclasses.dataclass(frozen=True, kw_only=True)
class KindsSettings(Placed, FigureFlags):
  """Looks for kinds of maps among the units of tuning results."""

  from_pkl: str = flag(
    help='A tuning_results.pkl; or a cluster_results.pkl, to draw it again.'
  )
  save: str = flag('', help='Folder to write to (<from_pkl>/../cluster_results).')
  mode: str = flag(
    'autocorr',
    choices=('autocorr', 'metrics', 'distributions'),
    help='Groups of autocorrelograms, Isomap of the measures, or a histogram of each.',
  )
  layers: tuple[str, ...] = flag((), help=f'{layers.PATTERNS}; all by default.')
  n_components: int = flag(
    50, low=2, help='Most principal components of autocorrelograms that are kept.'
  )
  perplexity: float = flag(30.0, low=1, help='Perplexity of t-SNE.')
  umap_neighbors: int = flag(
    15, low=2, help='Neighbours of UMAP, where umap-learn is installed.'
  )
  min_cluster_size: int = flag(20, low=2, help='Units of the smallest group.')
  isomap_neighbors: int = flag(15, low=2, help='Neighbours of Isomap, in mode metrics.')
  no_normalize: bool = flag(
    False, help='Do not scale each autocorrelogram, or measure, to variance 1.'
  )
  n_shuffles: int = flag(
    99, low=0, help='Shuffled maps, and clouds, behind p; 0 for no test.'
  )
  n_resamples: int = flag(50, low=1, help='Draws of units, and of episodes of --data.')
  max_neurons: int = flag(
    2000, low=0, help='Random sample of units per layer; 0 for all.'
  )
  data: str = flag('', help='Recording of the maps, to draw its episodes again.')
  interactive: bool = flag(False, help='Show the figures in windows when done.')
  seed: int = flag(0, low=0, help='Seed of samples, nulls, draws and pictures.')


_AREA = ('area', 'max_episodes', 'min_bbox', 'spawn_relative')
_CHANCE = ('n_components', 'perplexity', 'umap_neighbors', 'min_cluster_size')
_GROUPS = (*_CHANCE, 'n_shuffles', 'n_resamples', 'data')
_UNITS = ('no_normalize', 'max_neurons', 'seed')


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command with the arguments of the shell, or with these."""
  args = flags.parse(KindsSettings, argv)
  _check(args)
  source = pathlib.Path(args.from_pkl).expanduser()
  opened = _open(args, source)
  draws = _draws(args, opened) if isinstance(opened, Results) else None
  save = files.make_folder(args.save or _folder(source, opened))
  with noting(
    save,
    'analyze_tuning',
    args,
    {x: getattr(args, x) for x in ('from_pkl', 'data')},
    # Each mode has files of its own.
    replaces=(lambda entry: entry.args.get('mode') == args.mode)
    if isinstance(opened, Results)
    else None,
  ) as note:
    from dreamerv3.plots import style  # slow to import

    with style.page(args.width):
      if args.mode != 'autocorr':
        assert isinstance(opened, Results)
        figures = _measures(args, opened, save, note)
      else:
        figures = _groups(args, opened, draws, save, note)
    for name, figure in figures.items():
      note.outputs += args.save_figure(save, name, figure)
  print(f'Saved {save}: {len(figures)} figures.')
  if args.interactive:
    from dreamerv3.plots.screen import windows

    windows.show(figures.values())


def _check(args: KindsSettings) -> None:
  """Refuses flags that would do nothing, before anything is read."""
  if not args.data:
    flags.refuse_idle(args, _AREA, 'without --data')
  if args.mode != 'autocorr':
    flags.refuse_idle(args, _GROUPS, f'with --mode {args.mode}')
  if args.mode != 'metrics':
    flags.refuse_idle(args, ('isomap_neighbors',), f'with --mode {args.mode}')
  if args.mode == 'distributions':
    flags.refuse_idle(args, _UNITS, 'with --mode distributions')
  if args.interactive:
    from dreamerv3.plots.screen import windows

    windows.check('--interactive')


def _open(args: KindsSettings, source: pathlib.Path) -> Results | list[LayerKinds]:
  """Tuning results to work on, or groups to draw again."""
  content = unpickle.load(source)
  if not (isinstance(content, Mapping) and 'kinds' in content):
    return Results.open(source).select(args.layers)
  if args.mode != 'autocorr':
    raise UserError(
      f'{source} holds groups of autocorrelograms; --mode {args.mode} needs '
      'tuning_results.pkl.'
    )
  flags.refuse_idle(args, (*_GROUPS, *_UNITS), 'with results that are only drawn again')
  with reading(source, 'cluster_results.pkl of this program; cluster again'):
    found = study.from_dict(content)
    names = layers.select(args.layers, {x.layer: len(x.units) for x in found})
    return [x for x in found if x.layer in names]


def _folder(source: pathlib.Path, opened: object) -> pathlib.Path:
  """Where to write without --save: beside the tuning results, or where they are."""
  here = source.resolve().parent
  return here.parent / 'cluster_results' if isinstance(opened, Results) else here


def _draws(args: KindsSettings, results: Results) -> EpisodeDraws | None:
  """Draws of the recording's episodes; UserError if the maps are of another."""
  if not args.data:
    return None
  known = results.metadata
  draws = EpisodeDraws(
    args.open(args.data),
    args.n_resamples,
    args.seed,
    int(known.get('min_visits', 1)),
    float(known.get('sigma', 0)),
  )
  for table in results.tables.values():
    draws.check(table)
  return draws


def _groups(
  args: KindsSettings,
  opened: Results | list[LayerKinds],
  draws: EpisodeDraws | None,
  save: pathlib.Path,
  note: Note,
) -> 'Figures':
  """Mode autocorr: groups the units, saves them, and draws."""
  from dreamerv3.plots.units import kinds  # slow to import

  lines: list[str] = []
  if not isinstance(opened, Results):
    found = opened
  else:
    found, lines = _measure(args, opened, draws)
    saved = (
      files.save_pickle(save / RESULTS, study.to_dict(found)),
      files.save_csv(save / 'clusters.csv', tables.groups(found)),
      files.save_csv(save / 'unit_clusters.csv', tables.units(found)),
    )
    note.outputs.extend(saved)
  lines += [x.verdict() for x in found]
  note.extra['verdicts'] = lines
  print('\n'.join(lines))
  if not pictures.has_umap() and isinstance(opened, Results):
    print(f'note: {pictures.LACKING}')
  return _named({x.layer: kinds.groups(x) for x in found})


def _measure(
  args: KindsSettings, results: Results, draws: EpisodeDraws | None
) -> tuple[list[LayerKinds], list[str]]:
  """The layers that could be grouped, and a line for each other one."""
  names = {x.name for x in dataclasses.fields(study.KindsOptions)}
  options = study.KindsOptions(**{k: v for k, v in vars(args).items() if k in names})
  found: list[LayerKinds] = []
  lines = []
  with ProgressBar(len(results.tables), 'layer') as bar:
    for name, one in study.study(results, options, draws):
      if isinstance(one, LayerKinds):
        found.append(one)
      else:
        lines.append(one)
      bar.update(1, name)
  if not found:
    raise UserError(' '.join(lines))
  return found, lines


def _measures(
  args: KindsSettings, results: Results, save: pathlib.Path, note: Note
) -> 'Figures':
  """Modes metrics and distributions: draws the measures of units."""
  from dreamerv3.plots.units import kinds

  made, rows, lines = {}, [], []
  for name, table in results.tables.items():
    if args.mode == 'distributions':
      made[name] = kinds.distributions(table, results.walkable)
      continue
    laid = metrics.LaidOut.of(
      table,
      results.names(name),
      args.isomap_neighbors,
      not args.no_normalize,
      args.max_neurons,
      args.seed,
    )
    if isinstance(laid, str):
      lines.append(laid)
      continue
    rows += laid.rows()
    made[name] = kinds.layout(laid)
  if not made:
    raise UserError(' '.join(lines))
  for line in lines:
    print(line)
  if rows:
    note.outputs.append(files.save_csv(save / 'unit_metrics.csv', rows))
  return _named(made)


def _named(figures: Mapping[str, 'Figures']) -> 'Figures':
  """All figures by their file names."""
  return {
    f'{layer.replace("/", "_")}_{kind}': figure
    for layer, of in figures.items()
    for kind, figure in of.items()
  }


if __name__ == '__main__':
  flags.run(main)
