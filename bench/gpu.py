"""What is this GPU worth to the agent? One command, within a budget of seconds.

  python bench/gpu.py --budget 170 --json gpu.json
  python bench/gpu.py --platform cpu --quick      # does everything run?

For whoever has a GPU for a few minutes. Every part is a process of its own, and
all of them compile side by side; what is timed waits until nobody compiles any
more, and is then timed alone. What is not ready in time is left out, and said.

train   the train step of each preset at 16x64, scans with 1 and with 4 steps as
        one, and with plain forms of pools and upsampling: milliseconds with
        block_until_ready, updates/s, share of the peak (FLOP of flops.py), XLA's
        peak memory beside the estimate of setup/memory.py, policy calls
parity  bench/golden.py's forward pass, losses and gradients: float32 with
        products in full and in TF32, and bfloat16; relative errors, the largest and
        the median over arrays, and that of the total loss. Modes of near ties flip
        in bfloat16, and with them what follows: there, the largest says nothing
decode  fits of a position decoder by numpy on the CPU and torch on the GPU
"""

import argparse
import json
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PARTS = ('train', 'parity', 'decode')
COMPILING = 0.78  # share of the budget until which programs may compile
COMMAND = (sys.executable, '-m', 'bench.gpu_parts')
GOLDEN = ROOT / 'tests' / 'fixtures' / 'dreamerv3_size1m.npz'


def jobs(options: argparse.Namespace) -> list[dict[str, Any]]:
  """What to run, the most useful first."""
  found: list[dict[str, Any]] = []
  if 'train' in options.parts:
    for preset in options.presets:
      more = dict(part='train', preset=preset, form='ours')
      found.append({**more, 'unroll': 4, 'policy': True})
      found.append({**more, 'unroll': 1, 'policy': False})
    first = options.presets[0]
    found.append(dict(part='train', preset=first, form='plain', unroll=4, policy=False))
  if 'parity' in options.parts:
    kinds = (('float32', 'highest'), ('bfloat16', 'default'), ('float32', 'default'))
    found += [dict(part='parity', dtype=d, precision=p) for d, p in kinds]
  if 'decode' in options.parts:
    found.append(dict(part='decode'))
  return found


class Job:
  """A part in a process of its own; its lines of JSON arrive in a queue."""

  def __init__(self, spec: dict, options: argparse.Namespace, inbox: queue.Queue):
    self.spec, self.ready, self.rows = spec, False, 0
    self.log = tempfile.TemporaryFile('w+')  # noqa: SIM115
    command = [*COMMAND, json.dumps(spec)]
    command.append(json.dumps(vars(options)))
    pipe = subprocess.PIPE
    self.process = subprocess.Popen(
      command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=self.log, text=True
    )
    self.reader = threading.Thread(target=self._read, args=(inbox,), daemon=True)
    self.reader.start()

  def _read(self, inbox: queue.Queue) -> None:
    assert self.process.stdout is not None
    for line in self.process.stdout:
      if line.startswith('{'):
        inbox.put((self, json.loads(line)))
    inbox.put((self, None))

  @property
  def name(self) -> str:
    """Its settings in a row."""
    return ' '.join(f'{v}' for v in self.spec.values())

  def go(self) -> None:
    """Let a part that is ready measure."""
    assert self.process.stdin is not None
    self.process.stdin.write('go\n')
    self.process.stdin.flush()

  def close(self) -> None:
    """End the process and let go of its pipes."""
    self.process.kill()
    self.process.wait()
    self.reader.join()
    for pipe in (self.process.stdin, self.process.stdout, self.log):
      if pipe is not None:
        pipe.close()

  def error(self) -> str:
    """The last line that the process had to say."""
    self.log.seek(0)
    lines = self.log.read().strip().splitlines() or ['no output']
    return lines[-1][:200]


class GpuBench:
  """All jobs, and what they have found so far."""

  def __init__(self, options: argparse.Namespace):
    self.options, self.began = options, time.monotonic()
    self.rows: list[dict[str, Any]] = []
    self.inbox: queue.Queue = queue.Queue()
    self.jobs = [Job(x, options, self.inbox) for x in jobs(options)]
    self.alive = list(self.jobs)

  def left(self, share: float = 1.0) -> float:
    """Seconds until a share of the budget is spent."""
    return share * self.options.budget - (time.monotonic() - self.began)

  def run(self) -> None:
    """Compile together, time one by one, wait for the rest."""
    try:
      timed = [x for x in self.jobs if x.spec['part'] == 'train']
      self._listen(COMPILING, lambda: all(x.ready or self._over(x) for x in self.jobs))
      for job in timed:
        if not job.ready and not self._over(job):
          self._end(job, 'not compiled in time')
      for job in timed:
        if not self._over(job):
          job.go()
          self._listen(1.0, lambda job=job: self._over(job))
      self._listen(1.0, lambda: not self.alive)
    finally:
      for job in list(self.alive):
        self._end(job, 'out of time')
      for job in self.jobs:
        job.close()

  def _over(self, job: Job) -> bool:
    return job not in self.alive

  def _listen(self, share: float, done: Any) -> None:
    """Take messages until `done` or a share of the budget is spent."""
    while not done() and self.left(share) > 0:
      try:
        job, found = self.inbox.get(timeout=min(1.0, max(0.01, self.left(share))))
      except queue.Empty:
        continue
      if found is None:
        if job in self.alive:
          code = job.process.wait()
          self.alive.remove(job)
          if code:
            self._note(job, f'exit code {code}: {job.error()}')
      elif found.pop('ready', False):
        job.ready = True
        self._say(f'{job.name}: ready')
      else:
        job.rows += 1
        self.rows.append({**job.spec, **found})
        self._say(f'{job.name}: {_short(found)}')

  def _end(self, job: Job, why: str) -> None:
    if job in self.alive:
      self.alive.remove(job)
      job.process.kill()
      self._note(job, why)

  def _note(self, job: Job, why: str) -> None:
    self.rows.append({**job.spec, 'note': why})
    self._say(f'{job.name}: {why}')

  def _say(self, text: str) -> None:
    print(f'{time.monotonic() - self.began:6.1f} s  {text}', flush=True)


def _short(row: dict[str, Any]) -> str:
  return ', '.join(f'{k} {_shown(v)}' for k, v in row.items())


def _shown(value: Any) -> str:
  return f'{value:.4g}' if isinstance(value, float) else str(value)


def table(rows: list[dict[str, Any]]) -> str:
  """One block per part, a column per number."""
  lines = []
  for part in PARTS:
    some = [{k: v for k, v in x.items() if k != 'part'} for x in rows]
    some = [x for x, whole in zip(some, rows, strict=True) if whole['part'] == part]
    if not some:
      continue
    names = list(dict.fromkeys(k for x in some for k in x))
    cells = [names, *([_shown(x.get(k, '')) for k in names] for x in some)]
    wide = [max(len(x[i]) for x in cells) for i in range(len(names))]
    lines.append(f'\n{part}')
    lines += [
      '  '.join(x.rjust(w) for x, w in zip(r, wide, strict=True)) for r in cells
    ]
  return '\n'.join(lines)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
  """The flags; --quick overrides sizes."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--budget', type=float, default=170, help='seconds in all')
  parser.add_argument('--parts', nargs='+', choices=PARTS, default=PARTS)
  parser.add_argument('--presets', nargs='+', default=['size12m', 'size1m'])
  parser.add_argument('--batch', type=int, default=16)
  parser.add_argument('--length', type=int, default=64)
  parser.add_argument('--seconds', type=float, default=2, help='to time a step for')
  parser.add_argument('--platform', default='cuda', choices=('cuda', 'cpu'))
  parser.add_argument('--dtype', default='auto', help='as --jax.compute_dtype')
  parser.add_argument(
    '--peak', type=float, default=0, help='TFLOP/s of bfloat16; 0 = known by name'
  )
  parser.add_argument('--npz', default=str(GOLDEN), help='file of golden numbers')
  parser.add_argument('--quick', action='store_true', help='smallest sizes')
  parser.add_argument('--json', default='', help='file for all rows')
  options = parser.parse_args(argv)
  if options.budget <= 0:
    parser.error(f'--budget is {options.budget}; expected seconds above 0')
  if options.quick:
    options.presets, options.batch, options.length = ['debug'], 2, 5
    options.seconds = 0.2
  return options


def main(argv: list[str] | None = None) -> int:
  """Exit code 1 if nothing was measured."""
  options = parse(argv)
  bench = GpuBench(options)
  try:
    bench.run()
  finally:
    took = time.monotonic() - bench.began
    if options.json:
      whole = dict(options=vars(options), seconds=took, rows=bench.rows)
      pathlib.Path(options.json).write_text(json.dumps(whole, indent=1))
    print(table(bench.rows))
    print(f'\n{took:.0f} s of {options.budget:.0f} s', flush=True)
  return int(not any('note' not in x for x in bench.rows))


if __name__ == '__main__':
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
  sys.exit(main())
