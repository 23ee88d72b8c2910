"""What each stage of a study runs, of what, and where it leaves its results.

  kind = KINDS['decode']
  print(kind.program, kind.needs, kind.folder)

In the order of the pipeline. Paths are seen from the folder of a run.
"""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping


@dataclasses.dataclass(frozen=True)
class StageKind:
  """A command of this project as a stage of a study.

  Attributes:
    program: name of the command.
    script: of main.py, else empty.
    folder: where results go; '' is the run itself.
    proof: a file that is there once it is done, seen from `folder`.
    places: {flag: path} that the study sets; '' is the run itself.
    fixed: {flag: word} that the study sets.
    needs: stages whose results it reads.
    optional: {stage: (flag, path)} that it reads where the study has them.
    usual: {flag: word} that holds unless the study says otherwise.
    gpu: whether a GPU makes it faster by much.
  """

  program: str
  script: str = ''
  folder: str = ''
  proof: str = 'run_info.json'
  places: Mapping[str, str] = dataclasses.field(default_factory=dict)
  fixed: Mapping[str, str] = dataclasses.field(default_factory=dict)
  needs: tuple[str, ...] = ('record',)
  optional: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
  usual: Mapping[str, str] = dataclasses.field(default_factory=dict)
  gpu: bool = False

  @property
  def block(self) -> str:
    """The group of main.py's flags that a stage's settings are names of."""
    return '' if self.script in ('', 'train') else self.script

  @property
  def ours(self) -> set[str]:
    """Flags that a study sets and its file may not."""
    found = {*self.places, *self.fixed, *(x for x, _ in self.optional.values())}
    found |= {'logdir', 'script', 'seed'} if self.program == 'main' else set()
    return found | {x.rpartition('.')[2] for x in found}


CONTROL: Mapping[str, tuple[str, str]] = {
  'control': ('control', 'trajectories_untrained')
}
DATA = 'trajectories'

KINDS: Mapping[str, StageKind] = {
  'train': StageKind(
    'main', 'train', proof='ckpt/latest', places={'logdir': ''}, needs=(), gpu=True
  ),
  'record': StageKind(
    'main',
    'eval_trajectory',
    DATA,
    places={'logdir': '', 'eval_trajectory.save_path': DATA},
    needs=('train',),
    gpu=True,
  ),
  'control': StageKind(
    'main',
    'replay_activations',
    'trajectories_untrained',
    places={
      'logdir': '',
      'replay_activations.source_data': DATA,
      'replay_activations.save_path': 'trajectories_untrained',
    },
    fixed={'replay_activations.load_checkpoint': 'False'},
    gpu=True,
  ),
  'checkpoints': StageKind(
    'main',
    'replay_activations',
    'trajectories_checkpoints',
    proof='.',
    places={
      'logdir': '',
      'replay_activations.source_data': DATA,
      'replay_activations.save_path': 'trajectories_checkpoints',
    },
    fixed={'replay_activations.checkpoints': 'all'},
    gpu=True,
  ),
  'decode': StageKind(
    'decode_position',
    folder='decoder_results',
    places={'data': DATA, 'save': 'decoder_results'},
    fixed={'mode': 'standard'},
    optional=CONTROL,
    usual={'save_model': 'True'},
  ),
  'layers': StageKind(
    'decode_position',
    folder='layer_decoder_results',
    places={'data': DATA, 'save': 'layer_decoder_results'},
    fixed={'mode': 'layers'},
    optional=CONTROL,
  ),
  'tune': StageKind(
    'tuning_curve',
    folder='tuning_results',
    places={'data': DATA, 'save': 'tuning_results'},
    optional=CONTROL,
  ),
  'dreams': StageKind(
    'main',
    'dream_decode',
    'dream_results',
    places={
      'logdir': '',
      'dream_decode.decoder_model': 'decoder_results/classifier_deter.pkl',
      'dream_decode.save_path': 'dream_results',
    },
    needs=('train', 'decode'),
    gpu=True,
  ),
  'manifold': StageKind(
    'manifold_analysis',
    folder='manifold_results',
    places={'data': DATA, 'save': 'manifold_results'},
    optional={**CONTROL, 'dreams': ('dream_data', 'dream_results/dream_results.pkl')},
  ),
  'growth': StageKind(
    'over_training',
    folder='checkpoint_results',
    proof='over_training.csv',
    places={
      'logdir': '',
      'data': 'trajectories_checkpoints',
      'save': 'checkpoint_results',
    },
    needs=('train', 'checkpoints'),
    optional=CONTROL,
  ),
  'plots': StageKind(
    'plot_trajectories', folder='plots', places={'data': DATA, 'save': 'plots'}
  ),
}


def nearest(name: str, known: Iterable[str]) -> str:
  """'; did you mean x?', or what there is."""
  known = [*known]
  found = difflib.get_close_matches(name, known, 1, 0.6)
  return f'; did you mean {found[0]}?' if found else f'; known: {", ".join(known)}'
