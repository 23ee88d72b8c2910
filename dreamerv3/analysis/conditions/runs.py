"""Trained agents that are compared: their labels, seeds, settings and results.

  runs = parse(['logdir/a0:wide', 'logdir/a1:wide', 'logdir/b0:narrow'])
  path = runs[0].find(('tuning_results',), ('tuning_results.pkl',))

Several runs with one label are the seeds of one condition.
"""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dreamerv3.base import shipped, unpickle, yaml_file
from dreamerv3.base.errors import UserError

CONFIG = 'config.yaml'
LOGS = ('scores.jsonl', 'metrics.jsonl')
RECORDINGS = ('trajectories', 'trajectories_untrained')


@dataclasses.dataclass(frozen=True)
class Run:
  """An agent that was trained, with what was found out about it.

  Attributes:
    path: its logdir, or the folder with the results about an agent that ships.
    label: its condition.
  """

  path: pathlib.Path
  label: str

  @property
  def name(self) -> str:
    """How tables and notes call it."""
    return str(self.path)

  @functools.cached_property
  def homes(self) -> tuple[pathlib.Path, ...]:
    """Folders that may hold its results: its own, and of a shipped one another."""
    return tuple(dict.fromkeys((self.path, shipped.results_of(self.path))))

  @functools.cached_property
  def trained_in(self) -> pathlib.Path:
    """Folder with its settings and logs; of results, that of the agent they are of."""
    if any((self.path / x).is_file() for x in (CONFIG, *LOGS)):
      return self.path
    checkpoint = self.recorded.get('checkpoint')
    if isinstance(checkpoint, str) and pathlib.Path(checkpoint).parent.name == 'ckpt':
      agent = pathlib.Path(checkpoint).parents[1]
      for folder in (agent, pathlib.Path(*agent.parts[-2:])):  # there, or moved along
        if folder.is_dir():
          return folder
    return self.path

  @functools.cached_property
  def recorded(self) -> Mapping[str, Any]:
    """Metadata of its recording; empty where there is none that can be read."""
    path = self.find(RECORDINGS[:1], ('metadata.pkl',))
    if path is None:
      return {}
    try:
      found = unpickle.load(path)
    except UserError:
      return {}
    return found if isinstance(found, dict) else {}

  @functools.cached_property
  def settings(self) -> Mapping[str, Any]:
    """Its config.yaml; else what its recording says of it; else nothing.

    Raises:
      UserError: config.yaml is damaged.
    """
    path = self.trained_in / CONFIG
    if path.is_file():
      found = yaml_file.load(path)
    else:
      found = self.recorded.get('settings', {})
    return found if isinstance(found, dict) else {}

  @functools.cached_property
  def seed(self) -> int | None:
    """Seed of its training, by its settings or else its name; None if unknown."""
    value = self.settings.get('seed')
    if isinstance(value, int):
      return value
    match = re.search(r'(?:seed|_s)[_-]?(\d+)(?!.*\d)', self.path.name)
    return int(match[1]) if match else None

  def setting(self, key: str) -> Any:
    """The value of a setting, e.g. `env.crafter.area`.

    Raises:
      UserError: its config.yaml does not have it.
    """
    value: Any = self.settings
    for part in key.split('.'):
      if not isinstance(value, dict) or part not in value:
        raise UserError(
          f'{self.trained_in / CONFIG} has no setting {key}; name one that all runs '
          'have, as their config.yaml spells it.'
        )
      value = value[part]
    return value

  def find(self, folders: Sequence[str], names: Sequence[str]) -> pathlib.Path | None:
    """The first of some result files that is there; None without any."""
    for home in self.homes:
      for folder in folders:
        for name in names:
          path = home / folder / name
          if path.is_file():
            return path
    return None


def parse(
  texts: Sequence[str], label_of: Callable[[Run], str] | None = None
) -> list[Run]:
  """Runs from words `RUN:label`.

  Args:
    label_of: gives a label to words `RUN` without one; None refuses them.

  Raises:
    UserError: no label, no such folder, or a run that is named twice.
  """
  runs = [_parse(x, label_of) for x in texts]
  seen: dict[pathlib.Path, str] = {}
  for run in runs:
    place = run.path.resolve()
    if place in seen:
      raise UserError(
        f'{run.name} is named twice ({seen[place]} and {run.label}); each run counts '
        'once.'
      )
    seen[place] = run.label
  return runs


def _parse(text: str, label_of: Callable[[Run], str] | None) -> Run:
  plain = pathlib.Path(text).expanduser()
  if label_of and plain.is_dir():
    return Run(plain, label_of(Run(plain, '')))
  folder, _, label = text.rpartition(':')
  if not folder or not label.strip() or '/' in label:
    raise UserError(
      f'{text!r} is no RUN:label; expected the folder of a run, a colon and the name '
      'of its condition.'
    )
  path = pathlib.Path(folder).expanduser()
  if not path.is_dir():
    raise UserError(f'{path} is no folder; give the logdir of a run before the colon.')
  return Run(path, label.strip())


def labels(runs: Sequence[Run]) -> list[str]:
  """The conditions, in the order in which they are first named."""
  return list(dict.fromkeys(x.label for x in runs))
