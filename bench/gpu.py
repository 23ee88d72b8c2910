"""What is this GPU worth to the agent? One command, within a budget of seconds.

  python bench/gpu.py                          # eight minutes, tables at the end
  python bench/gpu.py --budget 170 --presets size12m --parts train parity
  python bench/gpu.py --platform cpu --quick   # does everything run?

For whoever has a GPU for a few minutes. It needs what requirements-cuda.txt installs;
`decode` and `tuning` stay on the CPU where torch sees none. Every part is a process of
its own, and many compile side by side, the less useful at a lower priority. A part that
is ready is timed at once, while all others are held (stopped); its rows are printed and
saved (--json) as they come. What is not ready in time is left out, and said. A part for
which the memory did not suffice beside the others is tried once more, alone.
docs/performance.md says how to read it.

train    the train step of each preset at 16x64: milliseconds with block_until_ready;
         steps/s without waiting; updates/s of the whole agent; share of the card's
         peaks in FLOP/s (flops.py) and bytes/s (gpu_parts/traffic.py); GB that XLA
         plans, that the device held at most, and that setup/memory.py estimates;
         scans with 4 steps as one and with 1, and the plain form of upsampling
profile  of one such step by kind of kernel, and what bounds an update
policy   a call for 1 and for 16 environments
record   a recording with all layers, 16 environments
decode   fits of a position decoder by numpy on the CPU and torch on the GPU
tuning   of planted units with 200 pairings of chance, tested by numpy and by torch
parity   bench/golden.py's forward pass, losses and gradients: float32 with
         products in full and in TF32, and bfloat16; relative errors, the largest and
         the median over arrays, and that of the total loss. Modes of near ties flip
         in bfloat16, and with them what follows: there, the largest says nothing
"""

import argparse
import contextlib
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.gpu_parts import tables
from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.setup.machine import find_gpus

PARTS = ('train', 'policy', 'record', 'decode', 'tuning', 'parity')
COMMAND = (sys.executable, '-m', 'bench.gpu_parts')
ENDING = 0.98  # share of the budget; processes that hold a GPU end slowly
SETTLE = 0.3  # seconds for what held processes had sent to the GPU
ROOM = 8e9  # bytes of the card for a part: a step of size25m and what XLA tries
LONGEST = 0.2  # share of the budget that one part may hold all others
FULL = re.compile('RESOURCE_EXHAUSTED|out.?of.?memory|alloc_failed|MemoryError', re.I)


def jobs(options: argparse.Namespace) -> list[dict[str, Any]]:
  """What to run, the most useful first."""

  def step(
    preset: str, form: str = 'ours', unroll: int = 4, profile: bool = False
  ) -> dict[str, Any]:
    return dict(part='train', preset=preset, form=form, unroll=unroll, profile=profile)

  presets = options.presets
  first, last, small = presets[0], presets[-1], presets[:2]
  kinds = (('float32', 'highest'), ('bfloat16', 'default'), ('float32', 'default'))
  parities = [dict(part='parity', dtype=d, precision=p) for d, p in kinds]
  found = [
    step(first, profile=True),
    *(step(x, profile=True) for x in presets[:0:-1]),  # the largest compiles longest
    dict(part='policy', preset=first),
    dict(part='record', preset=first),
    *parities[:2],
    dict(part='decode'),
    dict(part='tuning'),
    *(step(x, 'plain') for x in small),
    *(step(x, unroll=1) for x in small),
    *(dict(part='policy', preset=x) for x in presets[1:]),
    *(dict(part='record', preset=x) for x in {last} - {first}),
    *parities[2:],
  ]
  if options.quick:  # one of a kind, since XLA compiles for long on a CPU
    found = [x for x in found if x.get('unroll') != 1 and x not in parities[1:]]
  return [x for x in found if x['part'] in options.parts]


class Job:
  """A part in a process of its own; its lines of JSON arrive in a queue."""

  def __init__(self, spec: dict[str, Any], options: argparse.Namespace, rank: int):
    self.spec, self.options = spec, options
    self.nice = min(19, os.nice(0) + rank)
    self.rows: list[dict[str, Any]] = []
    self.ready = self.alone = self.slow = False

  @property
  def name(self) -> str:
    """What it is about."""
    return tables.name(self.spec)

  def start(self, inbox: queue.Queue) -> None:
    """Begin; what it says arrives in the queue, None at its end."""
    self.rows, self.ready = [], False
    self.log = tempfile.TemporaryFile('w+')  # noqa: SIM115
    command = [*COMMAND, json.dumps(self.spec), json.dumps(vars(self.options))]
    pipe = subprocess.PIPE
    self.process = subprocess.Popen(
      command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=self.log, text=True
    )
    os.setpriority(os.PRIO_PROCESS, self.process.pid, self.nice)
    self.reader = threading.Thread(target=self._read, args=(inbox,), daemon=True)
    self.reader.start()

  def _read(self, inbox: queue.Queue) -> None:
    assert self.process.stdout is not None
    for line in self.process.stdout:
      if line.startswith('{'):
        inbox.put((self, json.loads(line)))
    inbox.put((self, None))

  def hold(self, held: bool) -> None:
    """Stop it, or let it go on."""
    self.process.send_signal(signal.SIGSTOP if held else signal.SIGCONT)

  def go(self) -> None:
    """Let a part that is ready measure."""
    assert self.process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has just failed, and will say so
      self.process.stdin.write('go\n')
      self.process.stdin.flush()

  def close(self) -> None:
    """End the process and let go of its pipes."""
    self.process.kill()
    self.process.wait()
    self.reader.join()
    for pipe in (self.process.stdin, self.process.stdout, self.log):
      if pipe is not None:
        with contextlib.suppress(BrokenPipeError):
          pipe.close()

  def error(self) -> str:
    """The last line that the process had to say, or that about memory."""
    self.log.seek(0)
    lines = self.log.read().strip().splitlines() or ['no output']
    full = [x for x in lines if FULL.search(x)]
    return (full or lines)[-1].strip()[:200]


class GpuBench:
  """All jobs, and what they have found so far."""

  def __init__(self, options: argparse.Namespace):
    self.options, self.began = options, time.monotonic()
    self.inbox: queue.Queue = queue.Queue()
    self.jobs = [Job(x, options, rank) for rank, x in enumerate(jobs(options))]
    self.waiting = list(self.jobs)
    self.alive: list[Job] = []
    self.timed: Job | None = None
    self.since = self.began

  @property
  def rows(self) -> list[dict[str, Any]]:
    """What was found, by usefulness."""
    return [{**job.spec, **row} for job in self.jobs for row in job.rows]

  def left(self) -> float:
    """Seconds of the budget, but for what it takes to end."""
    return ENDING * self.options.budget - (time.monotonic() - self.began)

  def run(self) -> None:
    """Start what there is room for, time what is ready, until all is done."""
    try:
      while self.left() > 0 and (self.waiting or self.alive):
        if not self.timed:
          self._start()
          self._time()
        self._listen()
    finally:
      for job in self.alive:
        job.process.kill()
      for job in self.alive:
        job.close()
        self._note(job, 'out of time')
      for job in self.waiting:
        self._note(job, 'out of time before it began')

  def _start(self) -> None:
    while self.waiting and len(self.alive) < self.options.jobs:
      alone = self.waiting[0].alone or any(x.alone for x in self.alive)
      if alone and self.alive:
        return
      job = self.waiting.pop(0)
      job.start(self.inbox)
      self.alive.append(job)

  def _time(self) -> None:
    """Let the most useful part that is ready measure, while all others are held."""
    ready = [x for x in self.jobs if x in self.alive and x.ready]
    if ready:
      self.timed, self.since = ready[0], time.monotonic()
      self._hold(True)
      time.sleep(SETTLE)
      self.timed.go()

  def _hold(self, held: bool) -> None:
    for job in self.alive:
      if job is not self.timed:
        job.hold(held)

  def _listen(self) -> None:
    """Take a message."""
    try:
      job, found = self.inbox.get(timeout=min(1.0, max(0.01, self.left())))
    except queue.Empty:
      self._check()
      return
    if found is None:
      self._end(job)
    elif found.pop('ready', False):
      job.ready = True
      self._say(f'{job.name}: ready')
    else:
      self._add(job, found)

  def _check(self) -> None:
    """End what holds all others for too long."""
    took = time.monotonic() - self.since
    if self.timed and took > LONGEST * self.options.budget:
      self.timed.slow = True
      self.timed.process.kill()

  def _end(self, job: Job) -> None:
    """A part is over: note why, if it failed, and let the others go on."""
    self.alive.remove(job)
    if job is self.timed:
      self._hold(False)
      self.timed = None
    code, error = job.process.wait(), job.error()
    job.close()
    # The system kills what takes more of the host's memory than there is.
    full = code == -signal.SIGKILL or (code and FULL.search(error))
    if job.slow:
      self._note(job, 'took too long to time')
    elif full and not job.alone:
      job.alone, job.rows = True, []
      self.waiting.append(job)
      self._say(f'{job.name}: {error}; again at the end, alone')
    elif code:
      self._note(job, f'exit code {code}: {error}')

  def _note(self, job: Job, why: str) -> None:
    self._add(job, {'note': why})

  def _add(self, job: Job, row: dict[str, Any]) -> None:
    job.rows.append(row)
    self._say(f'{job.name}: {tables.short(row)}')
    self.save()

  def save(self) -> None:
    """Write all rows so far."""
    if self.options.json:
      took = time.monotonic() - self.began
      whole = dict(options=vars(self.options), seconds=took, rows=self.rows)
      files.save_json(self.options.json, whole)

  def _say(self, text: str) -> None:
    print(f'{time.monotonic() - self.began:6.1f} s  {text}', flush=True)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
  """The flags; --quick overrides sizes."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--budget', type=float, default=480, help='seconds in all')
  parser.add_argument('--parts', nargs='+', choices=PARTS, default=PARTS)
  parser.add_argument(
    '--presets', nargs='+', default=['size12m', 'size25m', 'size200m'], help='in turn'
  )
  parser.add_argument('--batch', type=int, default=16)
  parser.add_argument('--length', type=int, default=64)
  parser.add_argument('--seconds', type=float, default=2, help='to time a thing for')
  parser.add_argument('--platform', default='cuda', choices=('cuda', 'cpu'))
  parser.add_argument('--dtype', default='auto', help='as --jax.compute_dtype')
  parser.add_argument(
    '--peak', type=float, default=0, help='TFLOP/s of bfloat16; 0 = known by name'
  )
  parser.add_argument(
    '--bandwidth', type=float, default=0, help='TB/s of memory; 0 = known by name'
  )
  parser.add_argument(
    '--jobs',
    type=int,
    default=0,
    help='processes at a time; 0 = one per CPU and 8 GB of the card',
  )
  parser.add_argument('--quick', action='store_true', help='smallest sizes')
  parser.add_argument('--json', default='logdir/gpu.json', help='file for all rows')
  options = parser.parse_args(argv)
  if options.budget <= 0:
    parser.error(f'--budget is {options.budget}; expected seconds above 0')
  if not options.jobs:
    free = find_gpus().free[:1] if options.platform == 'cuda' else ()
    room = [os.cpu_count() or 2, *(int(x / ROOM) for x in free)]
    options.jobs = max(2, min(room))
  if options.quick:
    options.presets, options.batch, options.length = ['debug'], 2, 5
    options.seconds = 0.5
  return options


def main(argv: list[str] | None = None) -> int:
  """Exit code 1 if nothing was measured, 2 if it cannot be saved."""
  options = parse(argv)
  if options.json:
    try:
      files.make_folder(pathlib.Path(options.json).parent)
    except UserError as e:
      print(f'--json: {e}', file=sys.stderr)
      return 2
  bench = GpuBench(options)
  try:
    bench.run()
  finally:
    bench.save()
    command = ' '.join(
      ['python bench/gpu.py', *(sys.argv[1:] if argv is None else argv)]
    )
    print(f'\n{tables.markdown(bench.rows, command)}')
    took = time.monotonic() - bench.began
    print(f'\n{took:.0f} s of {options.budget:.0f} s', flush=True)
  return int(not any('note' not in x for x in bench.rows))


if __name__ == '__main__':
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
  sys.exit(main())
