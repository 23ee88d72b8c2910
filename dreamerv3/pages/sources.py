"""What a run has given so far, and which command makes what is missing.

run = Sources.find(pathlib.Path('agents/crafter_small_size1m'))
run.tuning        # .../tuning_results/tuning_results.pkl, or None
for need in run.missing(): print(need.command)
"""

import dataclasses
import pathlib
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from dreamerv3.base import shipped
from dreamerv3.base.errors import UserError
from dreamerv3.run_info import Entry, read_run_info
from dreamerv3.run_info.chain import find


class Missing(NamedTuple):
  """Something that the page would show.

  Attributes:
    what: in words; command: that makes it.
  """

  what: str
  command: str


@dataclasses.dataclass(frozen=True)
class Sources:
  """Files and folders of a run's results; None for what is not there.

  Attributes:
    logdir: of the run, as it was named.
    results: where its results lie, see `shipped.results_of`.
    recording: the recording that units were measured on, or the run's own.
    control: a recording of the untrained network.
    tuning: tuning_results.pkl; decoder: a saved decoder of the recurrent state.
    decoding: folder of decoding results.
    dreams: dream_results.pkl; geometry: manifold_results.pkl.
    learning: training_progress.png.
  """

  logdir: pathlib.Path
  results: pathlib.Path
  recording: pathlib.Path | None
  control: pathlib.Path | None
  tuning: pathlib.Path | None
  decoder: pathlib.Path | None
  decoding: pathlib.Path | None
  dreams: pathlib.Path | None
  geometry: pathlib.Path | None
  learning: pathlib.Path | None

  @classmethod
  def find(cls, logdir: pathlib.Path) -> 'Sources':
    """Looks through the results of a run.

    Raises:
      UserError: no such folder, or nothing in it that a page could show.
    """
    if not logdir.is_dir():
      raise UserError(f'{logdir} is no folder; give that of a training run.')
    results = shipped.results_of(logdir)
    tuning = first(results, 'tuning_results', 'tuning_results.pkl')
    found = cls(
      logdir=logdir,
      results=results,
      recording=measured(tuning) or _recording(results, 'trajectories'),
      control=_recording(results, 'trajectories_untrained', named=True),
      tuning=tuning,
      decoder=first(results, 'decoder_results', 'classifier_deter.pkl')
      or first(results, 'layer_results', 'layer_decoders/dyn_deter.pkl'),
      decoding=first(results, 'decoder_results', '*decode_results.pkl'),
      dreams=first(results, 'dream_results', 'dream_results.pkl'),
      geometry=first(results, 'manifold_results', 'manifold_results.pkl'),
      learning=first(results, 'plots', 'training_progress.png'),
    )
    if not any(getattr(found, x) for x in WHAT if x != 'control'):
      raise UserError(
        f'{logdir} holds nothing to show yet; record it first: '
        f'{next(found.missing()).command}'
      )
    return found

  def missing(self) -> Iterator[Missing]:
    """What is not there, in the order in which it can be made."""
    run, out = (shlex.quote(str(x)) for x in (self.logdir, self.results))
    said = set()
    for name, (what, command) in WHAT.items():
      if getattr(self, name) is None and command not in said:
        said.add(command)
        yield Missing(what, command.format(run=run, out=out))


MAIN = 'python dreamerv3/main.py --logdir {run} --script '
PAIR = '--data {out}/trajectories --control {out}/trajectories_untrained'
WHAT = {
  'learning': ('Learning curves', 'python dreamerv3/plot_training.py --logdir {run}'),
  'recording': ('Recorded episodes', MAIN + 'eval_trajectory'),
  'control': (
    'The untrained network on the same path, which everything is compared with',
    MAIN
    + 'replay_activations --replay_activations.source_data {out}/trajectories '
    + '--replay_activations.load_checkpoint False '
    + '--replay_activations.save_path {out}/trajectories_untrained',
  ),
  'decoding': (
    'Decoding of the position',
    f'python dreamerv3/decode_position.py {PAIR} --repr deter --save_model '
    '--save {out}/decoder_results',
  ),
  'decoder': (
    'A saved decoder, which the player and dreams need',
    f'python dreamerv3/decode_position.py {PAIR} --repr deter --save_model '
    '--save {out}/decoder_results',
  ),
  'tuning': (
    'Tuning of the units, which the explorer shows',
    f'python dreamerv3/tuning_curve.py {PAIR} --save {{out}}/tuning_results',
  ),
  'dreams': (
    'Dreams',
    MAIN + 'dream_decode '
    '--dream_decode.decoder_model {out}/decoder_results/classifier_deter.pkl',
  ),
  'geometry': (
    'Geometry of the code',
    f'python dreamerv3/manifold_analysis.py {PAIR} --save {{out}}/manifold_results',
  ),
}


def first(results: pathlib.Path, folder: str, name: str) -> pathlib.Path | None:
  """A file of that name: in the usual folder, else the first by name anywhere."""
  for found in (results / folder).glob(name), results.rglob(name):
    if paths := sorted(x for x in found if x.is_file()):
      return paths[0]
  return None


def _recording(
  results: pathlib.Path, name: str, named: bool = False
) -> pathlib.Path | None:
  """A folder of episodes: that of the usual name, else the first one.

  Args:
    named: no other will do.
  """
  usual = sorted((results / name).glob('episode_*.pkl'))
  others = [] if named else sorted(results.glob('*/episode_*.pkl'))
  paths = usual or others
  return paths[0].parent if paths else None


def measured(tuning: pathlib.Path | None) -> pathlib.Path | None:
  """The recording that a tuning_results.pkl was measured on, if it is here."""
  if tuning is None:
    return None
  for entry in reversed(_entries(tuning.parent)):
    for known in entry.inputs if entry.stage == 'tuning_curve' else ():
      if known.role != 'data':
        continue
      place = find(entry, known)
      if not place.remark and any(place.path.glob('episode_*.pkl')):
        return place.path
  return None


def _entries(folder: pathlib.Path) -> list[Entry]:
  try:
    return read_run_info(folder)
  except UserError:
    return []
