"""Does any wrong byte get past the readers? For whoever opens files of others.

  python bench/fuzz.py --minutes 5

Takes one small file of each kind, changes bytes of it at random, and opens and uses
it as the programs do. What may happen: it opens, or it is refused in one line. What
may not: another exception, a crash, a hang, memory beyond the limit. Each kind runs
in a process of its own; the same seed makes the same files. Prints, per kind, how
many were tried, refused (a chunk: skipped), opened and failed; a failure is kept as
a file.
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import argparse
import contextlib
import io
import resource
import signal
import subprocess
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from dreamerv3.analysis.decoding import store
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.setup import config, rundir
from embodied.core.replay import Replay
from embodied.run.checkpoint import Checkpoint, CheckpointError
from tests import synthetic
from tests.plots import tuning_results

MEMORY = 4 << 30  # bytes of addresses of a process
SLOW = 20  # seconds after which a file counts as a hang
RAW = np.frombuffer(b'().]}aesuRbctq\x85\x86\x87\x93\x94\x80\xff\x00\x01\x7f', np.uint8)
REPORT = ('tried', 'refused', 'opened', 'failed')

Read = Callable[[pathlib.Path], Any]  # of the folder that holds all files


def main() -> None:
  """Fuzzes the kinds one after another; exit code 1 if anything failed."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--minutes', type=float, default=1.0, help='for all kinds')
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--kinds', nargs='*', default=list(KINDS), choices=list(KINDS))
  parser.add_argument('--failures', default='', help='folder that keeps failed files')
  parser.add_argument('--here', action='store_true', help='all in this process')
  args = parser.parse_args()
  failed = 0
  keep = files.make_folder(args.failures or tempfile.mkdtemp(prefix='fuzz-'))
  minutes = args.minutes / len(args.kinds)
  for kind in args.kinds:
    counts = (_work if args.here else _apart)(kind, minutes, args.seed, keep)
    failed += counts['failed']
    print(f'{kind:12}' + '  '.join(f'{x} {counts[x]}' for x in REPORT), flush=True)
  if failed:
    print(f'The files that failed are in {keep}.')
  sys.exit(1 if failed else 0)


def _apart(kind: str, minutes: float, seed: int, keep: pathlib.Path) -> dict[str, int]:
  """Fuzzes one kind in another process; a crash of it is a failure."""
  command = [sys.executable, str(pathlib.Path(__file__).resolve()), '--here']
  flags = {'kinds': kind, 'minutes': minutes, 'seed': seed, 'failures': keep}
  for name, value in flags.items():
    command += [f'--{name}', str(value)]
  process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
  try:
    out, _ = process.communicate(timeout=minutes * 60 + 120 + 2 * SLOW)
  except subprocess.TimeoutExpired:
    process.kill()
    out, _ = process.communicate()
  words = out.split()
  counts = {x: int(words[words.index(x) + 1]) if x in words else 0 for x in REPORT}
  if process.returncode and not counts['failed']:
    print(f'{kind}: the process ended with {process.returncode}', file=sys.stderr)
    counts['failed'] += 1
  return counts


def _work(kind: str, minutes: float, seed: int, keep: pathlib.Path) -> dict[str, int]:
  """Fuzzes one kind in this process."""
  resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
  signal.signal(signal.SIGALRM, _too_slow)
  warnings.simplefilter('ignore')
  make, read = KINDS[kind]
  rng = np.random.default_rng([seed, *kind.encode()])
  counts = dict.fromkeys(REPORT, 0)
  with tempfile.TemporaryDirectory() as temp:
    folder = pathlib.Path(temp) / 'x'
    paths = [folder / x for x in make(folder)]
    whole = [x.read_bytes() for x in paths]
    assert _judge(read, folder) == 'opened', kind
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
      place = int(rng.integers(len(paths)))
      raw = mutate(whole[place], rng)
      # Kept before it is opened: a crash leaves it here.
      (keep / f'{kind}-last').write_bytes(raw)
      paths[place].write_bytes(raw)
      result = _judge(read, folder)
      paths[place].write_bytes(whole[place])
      counts['tried'] += 1
      counts[result if result in REPORT else 'failed'] += 1
      if result not in REPORT:
        _keep(keep, f'{kind}-{seed}-{counts["tried"]}-{paths[place].name}', raw, result)
  return counts


def _judge(read: Read, folder: pathlib.Path) -> str:
  """'opened', 'refused', or the traceback of what should not happen."""
  quiet = io.StringIO()
  signal.alarm(SLOW)
  try:
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
      read(folder)
    return 'refused' if 'Skipped' in quiet.getvalue() else 'opened'
  except (UserError, CheckpointError) as e:
    return 'refused' if '\n' not in str(e) else f'a message of lines: {e}'
  except BaseException:
    return traceback.format_exc()
  finally:
    signal.alarm(0)


def _too_slow(*_: Any) -> None:
  raise TimeoutError(f'not read within {SLOW} s')


def _keep(folder: pathlib.Path, name: str, raw: bytes, why: str) -> None:
  (folder / name).write_bytes(raw)
  (folder / f'{name}.txt').write_text(why)
  print(f'{name}: {why.splitlines()[-1]}', file=sys.stderr)


def mutate(raw: bytes, rng: np.random.Generator) -> bytes:
  """A few random changes of the bytes of a file."""
  data = np.frombuffer(raw, np.uint8).copy()
  for _ in range(int(rng.integers(1, 4))):
    if not len(data):
      break
    data = CHANGES[int(rng.integers(len(CHANGES)))](data, rng)
  return data.tobytes()


def _place(data: np.ndarray, rng: np.random.Generator) -> int:
  """Any byte; half of the time among the first or last, where the structure is."""
  near = int(rng.integers(min(len(data), 400)))
  return (int(rng.integers(len(data))), near, len(data) - 1 - near)[rng.integers(3)]


def _flip(data: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  data[_place(data, rng)] ^= 1 << rng.integers(8)
  return data


def _any(data: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  data[_place(data, rng)] = rng.integers(256)
  return data


def _telling(data: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Instructions of a pickle, and numbers at the edge."""
  data[_place(data, rng)] = rng.choice(RAW)
  return data


def _large(data: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  place = _place(data, rng)
  data[place : place + int(rng.choice([2, 4, 8]))] = rng.choice([0, 127, 255])
  return data


def _cut(data: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  return data[: _place(data, rng)]


def _remove(data: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  place = _place(data, rng)
  return np.delete(data, slice(place, place + int(rng.integers(1, 30))))


def _repeat(data: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  place, other = _place(data, rng), _place(data, rng)
  return np.insert(data, other, data[place : place + int(rng.integers(1, 200))])


CHANGES = (_flip, _any, _telling, _large, _cut, _remove, _repeat)


def _make_recording(folder: pathlib.Path) -> list[str]:
  synthetic.record(folder, {'dyn/deter': synthetic.noise}, episodes=1, image=8)
  return ['episode_001.pkl', 'metadata.pkl']


def _read_recording(folder: pathlib.Path) -> None:
  data = Trajectories.open(folder)
  for samples in data.stream(list(data.layers())):
    assert np.isfinite(samples.X).all()
  for episode in data.episodes:
    for key in episode.arrays:
      episode.read(key)


def _make_results(folder: pathlib.Path) -> list[str]:
  files.make_folder(folder)
  made = tuning_results.results(n_shuffles=20)
  files.save_pickle(folder / 'tuning_results.pkl', made.to_dict())
  return ['tuning_results.pkl']


def _read_results(folder: pathlib.Path) -> None:
  results = Results.open(folder / 'tuning_results.pkl')
  for name in results.tables:
    results.classes(name)


def _make_decoder(folder: pathlib.Path) -> list[str]:
  files.make_folder(folder)
  rng = np.random.default_rng(0)
  weights = rng.normal(size=(40, 12)).astype(np.float32)
  visits = np.ones((4, 3), np.int64)
  made = LinearDecoder(weights, np.arange(12), Grid(4, 3), 'a', {'visits': visits})
  names = [store.save_decoder(folder, made, 'layers').name]
  manifest = {'layer_files': {'a': names[0]}}
  return [*names, files.save_pickle(folder / store.MANIFEST, manifest).name]


def _read_decoder(folder: pathlib.Path) -> None:
  for decoder in store.load_decoders(folder).values():
    decoder.predict(np.zeros((2, decoder.units), np.float32))


class _Box:
  """A part of a checkpoint that takes what there is."""

  value: Any = 7

  def save(self) -> Any:
    return self.value

  def load(self, data: Any) -> None:
    self.value = data


class _Params(_Box):
  def __init__(self) -> None:
    self.value = {'params': {'enc/w': np.ones((8, 9), np.float32)}, 'counters': {}}

  def load(self, data: Any) -> None:
    if data['params']['enc/w'].shape != (8, 9):
      raise ValueError('another shape')


def _parts(folder: pathlib.Path) -> dict[str, Any]:
  replay = Replay(length=4, capacity=60, directory=folder / 'replay', chunksize=16)
  return {'step': _Box(), 'agent': _Params(), 'replay': replay}


def _make_run(folder: pathlib.Path) -> list[pathlib.Path]:
  parts = _parts(folder)
  rng = np.random.default_rng(0)
  saver = Checkpoint(folder / 'ckpt', parts)
  for i in range(50):
    step = {'image': rng.integers(0, 255, (4, 4, 3)).astype(np.uint8)}
    parts['replay'].add({**step, 'reward': np.float32(i), 'is_first': i == 0})
    if i == 20:
      saver.save(i)
      saver.wait()
  batch = parts['replay'].sample(8)
  reward = batch['reward'] + 1
  parts['replay'].update({'stepid': batch['stepid'], 'reward': reward})
  saver.save(50)
  saver.close()
  return sorted(x.relative_to(folder) for x in folder.rglob('*') if x.is_file())


def _make_checkpoint(folder: pathlib.Path) -> list[str]:
  return [str(x) for x in _make_run(folder) if x.suffix == '.pkl' or x.name == 'latest']


def _make_chunk(folder: pathlib.Path) -> list[str]:
  return [str(x) for x in _make_run(folder) if x.suffix == '.npz']


def _read_run(folder: pathlib.Path) -> None:
  parts = _parts(folder)
  saver = Checkpoint(folder / 'ckpt', parts)
  try:
    saver.load_latest()
    if len(parts['replay']):
      parts['replay'].sample(2)
  finally:
    saver.close()


def _read_chunk(folder: pathlib.Path) -> None:
  _read_run(folder)
  replay = _parts(folder)['replay']
  try:
    replay.load(None)  # as if the checkpoint were lost
  except ValueError as e:
    raise UserError(str(e)) from e


def _make_config(folder: pathlib.Path) -> list[str]:
  files.make_folder(folder)
  rundir.save(folder / 'config.yaml', config.stack(config.read_blocks(), {}))
  return ['config.yaml']


def _read_config(folder: pathlib.Path) -> None:
  saved = rundir.read_saved(folder / 'config.yaml')
  if 'settled' not in _defaults:
    _defaults['settled'] = config.stack(config.read_blocks(), {})
  found = rundir.Inheritance.of(saved, _defaults['settled'].flat)
  found.notes(folder, _defaults['settled'].update(found.values))
  rundir.changes(saved, _defaults['settled'])


_defaults: dict[str, Any] = {}

KINDS: dict[str, tuple[Callable[[pathlib.Path], list[str]], Read]] = {
  'recording': (_make_recording, _read_recording),
  'results': (_make_results, _read_results),
  'decoder': (_make_decoder, _read_decoder),
  'checkpoint': (_make_checkpoint, _read_run),
  'chunk': (_make_chunk, _read_chunk),
  'config': (_make_config, _read_config),
}


if __name__ == '__main__':
  main()
