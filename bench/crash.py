"""Does a run survive being killed at any moment, and lose or double nothing?

  python bench/crash.py                          # 10 kills of each kind
  python bench/crash.py --kinds training recording --kills 3 --seed 1

Each kind is run once without a kill. Then it is started again and again, and
killed with its children by SIGKILL, until that many kills are done; the last
start runs to the end, and so do those that are faster than their kill, after
which a new folder is begun.

  training    random actions in a dummy game, a checkpoint every few steps:
              kills at any moment from the start of the program to its end
  checkpoint  the same, killed while a checkpoint is being written
  learning    the same with the debug agent in Crafter
  recording   four episodes of that agent with all layers
  decoding    all layers of a small recording, with --resume

What is checked at the end of each folder: training logged every step in order
and no line twice, its scores are those of its metrics, its last checkpoint is
of the last step, and the replay holds each step once and no torn file. A recording
has the bytes, and results have the values, of the run without a kill.

A kill has survived if the next start went on and these checks held.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import io
import json
import os
import pathlib
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from dreamerv3.base import files, unpickle
from embodied.core.chunkfiles import NAME
from embodied.run import checkpoint
from tests import synthetic

STEPS = 5000
ENVS = 2
DUMMY = (
  '--task dummy_disc --random_agent True --run.envs 2 --env.dummy.length 50 '
  '--batch_size 2 --batch_length 5 --report_length 5 --replay.chunksize 64'
)
DEBUG = '--configs crafter_small debug --jax.debug False --run.envs 2'
RECORDED = ('episode', 'all_episodes', 'metadata')  # bytes count
RARE = 'run_info.json'  # says when and how often a program was started
EARLY = 0.1  # share of the run within which nothing is worth a kill

Command = Callable[[pathlib.Path], list[str]]
Check = Callable[[pathlib.Path, pathlib.Path], list[str]]


@dataclasses.dataclass(frozen=True)
class Case:
  """A program that is killed.

  Attributes:
    command: the words after `python`, for the folder to write to.
    check: what is wrong in the folder, against that of the run without a kill.
    moment: returns when the process should be killed, given the seconds that
      the run without a kill took; False if it ended before.
  """

  command: Command
  check: Check
  moment: Callable[[subprocess.Popen, pathlib.Path, float], bool]


def anytime(process: subprocess.Popen, _folder: pathlib.Path, seconds: float) -> bool:
  """Waits for a moment that is drawn from the whole run."""
  try:
    process.wait(random.uniform(EARLY, 1) * seconds)
  except subprocess.TimeoutExpired:
    return True
  return False


def in_a_save(process: subprocess.Popen, folder: pathlib.Path, _seconds: float) -> bool:
  """Waits until a checkpoint is being written, one of the first ones seen."""
  skip = random.randrange(10)
  seen: set[str] = set()
  while process.poll() is None:
    for path in half_written(folder / 'ckpt'):
      seen.add(path)
      if len(seen) > skip:
        time.sleep(random.uniform(0, 0.01))
        return process.poll() is None
  return False


def half_written(folder: pathlib.Path) -> Iterator[str]:
  """Checkpoints in the folder without the mark that ends their writing."""
  if folder.is_dir():
    for entry in os.scandir(folder):
      if entry.is_dir() and not (pathlib.Path(entry.path) / 'done').exists():
        yield entry.name


def training(flags: str, steps: int) -> Command:
  """Trains `steps` steps and saves whenever the save before is done."""
  more = f'--run.steps {steps} --run.save_every -1 --run.usage.nvsmi False'
  words = ['dreamerv3/main.py', *flags.split(), *more.split(), '--logdir']
  return lambda folder: [*words, str(folder)]


def recording(agent: pathlib.Path) -> Command:
  """Records four episodes of an agent."""
  more = (
    '--script eval_trajectory --eval_trajectory.num_episodes 4 '
    '--eval_trajectory.envs 2 --jax.platform cpu --eval_trajectory.save_path'
  )
  words = ['dreamerv3/main.py', '--logdir', str(agent), *more.split()]
  return lambda folder: [*words, str(folder)]


def decoding(data: pathlib.Path) -> Command:
  """Decodes all layers, and goes on from what was kept."""

  def command(folder: pathlib.Path) -> list[str]:
    words = ['dreamerv3/decode_position.py', '--data', str(data), '--save']
    words += [str(folder), '--mode', 'layers', '--save_model', '--n_boot', '50']
    kept = folder / 'layer_decode_checkpoint.pkl'
    return [*words, '--resume', str(kept)] if kept.exists() else words

  return command


def trained(steps: int) -> Check:
  """Checks of a training run of so many steps."""

  def check(folder: pathlib.Path, _whole: pathlib.Path) -> list[str]:
    wrong = []
    metrics, scores = (lines(folder / f'{x}.jsonl') for x in ('metrics', 'scores'))
    for name, found in (('metrics', metrics), ('scores', scores)):
      at = [x['step'] for x in found]
      if at != sorted(set(at)) or max(at, default=0) > steps:
        wrong.append(f'steps of {name}.jsonl are not in order, once each')
    logged = [(x['step'], x['episode/score']) for x in metrics if 'episode/score' in x]
    if logged != [(x['step'], x['episode/score']) for x in scores]:
      wrong.append('scores.jsonl and metrics.jsonl tell other scores')
    last = checkpoint.find(folder)
    if checkpoint.step_of(last) != steps:
      wrong.append(f'the last checkpoint is of step {checkpoint.step_of(last)}')
    return wrong + replayed(folder / 'replay', last / 'replay.pkl', steps)

  return check


def replayed(folder: pathlib.Path, state: pathlib.Path, steps: int) -> list[str]:
  """Whether a replay has each step once, and its folder nothing else."""
  chunks = checkpoint.read(state)['chunks']
  named = {x for c in chunks for x in (c['file'], *c['patches'])}
  there = {x.name for x in folder.iterdir()}
  wrong = []
  if named - there:
    wrong.append(f'{len(named - there)} files of the replay are missing')
  # Of each environment, the chunk that grew at the save before stays for one more.
  strange = sorted(there - named)
  if len(strange) > ENVS or not all(NAME.fullmatch(x) for x in strange):
    wrong.append(f'strange in replay: {strange[:3]}')
  ids: collections.Counter[bytes] = collections.Counter()
  for chunk in chunks:
    with np.load(folder / chunk['file']) as data:
      ids.update(bytes(x) for x in data['stepid'][: chunk['length']])
  if len(ids) != steps or max(ids.values()) > 1:
    wrong.append(f'the replay holds {len(ids)} of {steps} steps')
  return wrong


def same(folder: pathlib.Path, whole: pathlib.Path) -> list[str]:
  """Whether two folders hold the same files, but for when they were made."""
  names = [
    {x.relative_to(y): x for x in y.rglob('*') if x.is_file() and not hidden(x)}
    for y in (folder, whole)
  ]
  wrong = [f'{x} is in one of both' for x in names[0].keys() ^ names[1].keys()]
  for name in names[0].keys() & names[1].keys():
    if content(names[0][name]) != content(names[1][name]):
      wrong.append(f'{name} differs')
  return sorted(wrong)


def content(path: pathlib.Path) -> bytes:
  """The bytes of a file; of results, those of its values.

  A result that was read again does not share what the others have in common.
  """
  if path.suffix != '.pkl' or path.name.startswith(RECORDED):
    return path.read_bytes()
  stream = io.BytesIO()
  pickler = pickle.Pickler(stream, files.PROTOCOL)
  pickler.fast = True  # equal objects are written as often as they are met
  pickler.dump(unpickle.load(path))
  return stream.getvalue()


def hidden(path: pathlib.Path) -> bool:
  """Whether two runs that did the same may differ in this file."""
  return path.name == RARE or path.suffix == '.lock'


def lines(path: pathlib.Path) -> list[dict]:
  """What was logged; no file before the first episode has ended."""
  if not path.exists():
    return []
  """The records of a .jsonl file."""
  return [json.loads(x) for x in path.read_text().splitlines()]


class Crashes:
  """Kills one program again and again; counts what survived.

  Attributes:
    tried, survived: kills.
    runs: starts that ended by themselves.
    wrong: what the checks and the starts said.
  """

  def __init__(self, name: str, case: Case, folder: pathlib.Path):
    self.name, self.case, self.place = name, case, folder / 'run'
    self.tried = self.survived = self.runs = 0
    self.wrong: list[str] = []
    self._pending = 0  # kills in the folder in use

  def run(self, kills: int) -> None:
    """Kills so many times, then lets the last start end."""
    began = time.monotonic()
    code = self._start().wait()
    whole = self._put_aside('whole')
    if code:
      raise SystemExit(f'{self.name} fails without a kill; see {_log(whole)}')
    seconds = time.monotonic() - began
    print(f'{self.name}: {seconds:.0f} s without a kill', flush=True)
    while self.tried < kills or self._pending:
      process = self._start()
      if self.tried < kills and self.case.moment(process, self.place, seconds):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.tried += 1
        self._pending += 1
        print('.', end='', flush=True)
      else:
        self._judge(process.wait(), whole)
    print(f' {self.tried} tried, {self.survived} survived', flush=True)

  def _start(self) -> subprocess.Popen:
    with _log(self.place).open('a') as log:
      words = [sys.executable, *self.case.command(self.place)]
      return subprocess.Popen(
        words, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
      )

  def _judge(self, code: int, whole: pathlib.Path) -> None:
    """Counts the kills of a folder whose last start ended by itself."""
    folder = self._put_aside(f'killed{self.runs}')
    self.runs += 1
    wrong = [f'exit code {code}'] if code else self.case.check(folder, whole)
    if wrong:
      self.wrong += [f'{folder}: {x}; see {_log(folder)}' for x in wrong]
    else:
      self.survived += self._pending
    self._pending = 0

  def _put_aside(self, name: str) -> pathlib.Path:
    """All run in a folder of one name, which a recording's settings hold."""
    _log(self.place).rename(_log(self.place.with_name(name)))
    return self.place.rename(self.place.with_name(name))


def _log(folder: pathlib.Path) -> pathlib.Path:
  return folder.with_suffix('.log')


def cases(work: pathlib.Path, kinds: list[str]) -> dict[str, Case]:
  """The programs by kind, with what they read made in `work`."""
  dummy, agent = training(DUMMY, STEPS), training(DEBUG, 120)
  learner, data = work / 'agent', work / 'data'
  if 'recording' in kinds:
    words = [sys.executable, *agent(learner)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
  if 'decoding' in kinds:
    codes = {f'enc/cnn{i}': synthetic.one_hot_places for i in range(12)}
    synthetic.record(data, codes, tiles=synthetic.world())
  found = {
    'training': Case(dummy, trained(STEPS), anytime),
    'checkpoint': Case(dummy, trained(STEPS), in_a_save),
    'learning': Case(agent, trained(120), anytime),
    'recording': Case(recording(learner), same, anytime),
    'decoding': Case(decoding(data), same, anytime),
  }
  return {k: found[k] for k in kinds}


def main() -> None:
  """Kills, reruns and compares; prints tried and survived."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  kinds = ['training', 'checkpoint', 'learning', 'recording', 'decoding']
  parser.add_argument('--kinds', nargs='*', default=kinds, choices=kinds)
  parser.add_argument('--kills', type=int, default=10, help='of each kind')
  parser.add_argument('--seed', type=int, default=0, help='of the moments')
  args = parser.parse_args()
  random.seed(args.seed)
  work = pathlib.Path(tempfile.mkdtemp(prefix='crash-'))
  done = []
  for name, case in cases(work, args.kinds).items():
    place = work / name
    place.mkdir()
    done.append(Crashes(name, case, place))
    done[-1].run(args.kills)
  print(f'\n{"kind":12}{"tried":>8}{"survived":>10}{"to the end":>12}')
  for x in done:
    print(f'{x.name:12}{x.tried:8}{x.survived:10}{x.runs:12}')
  wrong = [line for x in done for line in x.wrong]
  print('\n'.join(wrong))
  print(f'Folders and logs: {work}')
  sys.exit(bool(wrong))


if __name__ == '__main__':
  main()
