"""Has an agent play in a chosen world: a command in a process of its own.

  order = Order(run, checkpoint, {'env.crafter.disable_mobs': True})
  playing = Generating(order, 5)
  while playing.running: print(playing.done(), playing.line())

Episodes lie in `<results>/dashboard/<digest of flags and checkpoint>/trajectories`, so
that the same order finds them again, and more of them are added to those.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from dreamerv3.base import files, regular
from dreamerv3.dashboard_page import worlds
from dreamerv3.dashboard_page.runs import results_of

MAIN = pathlib.Path(__file__).resolve().parents[1] / 'main.py'
CACHE = 'dashboard'
LIGHT = 'val/value'  # the layer that is recorded where not all are
END = 1 << 14  # bytes of what a command said that are looked at


@dataclasses.dataclass(frozen=True)
class Order:
  """Which episodes are asked for.

  Attributes:
    run: folder of the run; checkpoint: folder of its agent.
    changed: settings that differ from the run's own, by their flags.
    layers: record them all, for analyses, and not the value alone.
  """

  run: pathlib.Path
  checkpoint: pathlib.Path
  changed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  layers: bool = False

  @property
  def folder(self) -> pathlib.Path:
    """Where they are kept; the same for an equal order."""
    asked = [self.checkpoint.name, self.layers, sorted(self.changed.items())]
    name = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]
    return results_of(self.run) / CACHE / name

  @property
  def episodes(self) -> pathlib.Path:
    """The recording in it."""
    return self.folder / 'trajectories'

  def have(self, count: int) -> int:
    """How many of the first episodes are there."""
    names = (f'episode_{k:03d}.pkl' for k in range(1, count + 1))
    return sum((self.episodes / x).is_file() for x in names)

  def command(self, count: int) -> list[str]:
    """What records the first episodes, those left out that are there."""
    given = {
      'logdir': self.folder,
      'script': 'eval_trajectory',
      'run.from_checkpoint': self.checkpoint,
      'eval_trajectory.num_episodes': count,
      'eval_trajectory.layers': '.*' if self.layers else LIGHT,
      'eval_trajectory.all_episodes': False,
      'jax.prealloc': False,  # beside a run that trains on the same GPU
    }
    words = [str(y) for k, v in given.items() for y in (f'--{k}', v)]
    own = worlds.own_settings(self.run)
    return [sys.executable, str(MAIN), *words, *worlds.words(self.changed, own)]


class Generating:
  """An order in the making.

  Args:
    order: what is asked for.
    count: the first so many episodes of it.

  Raises:
    UserError: nothing can be written there.
  """

  def __init__(self, order: Order, count: int):
    self.order, self.count = order, count
    self.stopped = False
    files.make_folder(order.folder)
    self._log = order.folder / 'log.txt'
    with self._log.open('wb') as said:
      self._process = subprocess.Popen(
        order.command(count),
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=subprocess.STDOUT,
        env={**os.environ, 'PYTHONUNBUFFERED': '1'},
      )

  @property
  def running(self) -> bool:
    """Whether the command has not ended."""
    return self._process.poll() is None

  @property
  def ended_well(self) -> bool:
    """Whether all episodes are there."""
    return self._process.poll() == 0

  def done(self) -> int:
    """Episodes that are there."""
    return self.order.have(self.count)

  def line(self) -> str:
    """The last that the command said."""
    return (self._lines() or ['starting'])[-1]

  def error(self) -> str:
    """Why it has failed, in one line; empty if it did not, or was stopped."""
    if self.stopped or self.running or self.ended_well:
      return ''
    found = [x for x in self._lines() if 'error:' in x]
    code = self._process.returncode
    last = found[-1].partition('error:')[2].strip() if found else self.line()
    return last or f'The command ended with exit code {code}.'

  def stop(self) -> None:
    """Ends it; episodes that have ended are kept."""
    self.stopped = self.running
    self._process.terminate()

  def _lines(self) -> list[str]:
    with regular.opened(self._log) as file:
      size = regular.size_of(file)
      raw = regular.read_at(file, max(0, size - END), END)
    return [x for x in raw.decode(errors='replace').splitlines() if x.strip()]
