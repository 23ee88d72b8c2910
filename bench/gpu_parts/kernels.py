"""Where does the time of a step go on the device? By kinds of kernels, from a trace.

  events = events_of(jax.profiler.ProfileData.from_file(path))
  Profile.of(events, steps=3).spent['matmul']

On a GPU the events are its kernels and copies, named by XLA and by NVIDIA's libraries;
on a CPU, to try all this, XLA's operations.
"""

import collections
import itertools
import pathlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

# The first that fits counts; what remains is arithmetic by elements, and sums.
KINDS = {
  'collective': r'nccl|all.?gather|all.?to.?all|all.?reduce|collective',
  'copy': r'^mem(cpy|set)|(^|_)(copy|transpose|concatenate|pad)(_fusion)?([._]\d+)*$',
  'convolution': r'conv(?!ert)|[fdw](prop|grad)|winograd|nhwc|nchw|cudnn',
  'matmul': r'gemm|gemv|(^|_)dot|cutlass|cublas|nvjet|matmul|splitk|_xmma_|ynn',
  'scan': r'dynamic.(update.)?slice',
}
FUSION = 'fusion'
_PATTERNS = {k: re.compile(v, re.IGNORECASE) for k, v in KINDS.items()}
# Operations of XLA on a CPU that others run in; a GPU has no kernels of theirs.
_AROUND = re.compile(r'(while|call|conditional)([._]\d+)*$')
SHORT = 5e-3  # ms: a kernel below takes less than to start the next and to end it
_PAUSE = 0.05  # s between traced steps, so that they can be told apart


class Event(NamedTuple):
  """A kernel or copy that ran."""

  name: str
  start: float  # [ns]
  length: float  # [ns]

  @property
  def end(self) -> float:
    """When it was over [ns]."""
    return self.start + self.length


class Profile(NamedTuple):
  """A step on the device, mean of some [ms].

  Attributes:
    span: from its first kernel to the end of its last.
    idle: of that, while none ran.
    short: in kernels that take less than SHORT.
    launches: kernels per step.
    spent: by kind of kernel; together more than span - idle where some ran at once.
    longest: names of the kernels that took most, with their ms and how often they ran.
  """

  span: float
  idle: float
  short: float
  launches: float
  spent: dict[str, float]
  longest: list[tuple[str, float, float]]

  @classmethod
  def of(cls, events: Iterable[Event], steps: int) -> 'Profile':
    """Summarise events of steps with long pauses between them.

    Raises:
      ValueError: there are fewer events than steps.
    """
    parts = split(events, steps)
    every = [x for part in parts for x in part]
    each = 1e-6 / steps
    spent = dict.fromkeys((*KINDS, FUSION), 0.0)
    names: collections.Counter[str] = collections.Counter()
    for event in every:
      spent[kind(event.name)] += each * event.length
      names[event.name] += int(event.length)
    often = collections.Counter(x.name for x in every)
    return cls(
      span=each * sum(max(x.end for x in p) - p[0].start for p in parts),
      idle=each * sum(gap for p in parts for gap, _ in gaps(p)),
      short=each * sum(x.length for x in every if x.length < 1e6 * SHORT),
      launches=len(every) / steps,
      spent=spent,
      longest=[(k, each * v, often[k] / steps) for k, v in names.most_common(8)],
    )


def kind(name: str) -> str:
  """What a kernel does, by its name."""
  return next((k for k, v in _PATTERNS.items() if v.search(name)), FUSION)


def gaps(events: list[Event]) -> Iterator[tuple[float, int]]:
  """Times [ns] in which none of some events ran, and the number of the next one.

  Args:
    events: by start.
  """
  end = events[0].end
  for i, event in enumerate(events):
    if event.start > end:
      yield event.start - end, i
    end = max(end, event.end)


def split(events: Iterable[Event], steps: int) -> list[list[Event]]:
  """The events of each step, which are parted by the longest pauses."""
  ordered = sorted(events, key=lambda x: x.start)
  if len(ordered) < steps:
    raise ValueError(f'{len(ordered)} events in the trace; expected {steps} steps')
  longest = sorted(gaps(ordered), reverse=True)[: steps - 1]
  cuts = [0, *sorted(i for _, i in longest), len(ordered)]
  return [ordered[a:b] for a, b in itertools.pairwise(cuts)]


def events_of(data: Any) -> list[Event]:
  """Kernels and copies of the first GPU of a trace, or of XLA's operations on a CPU.

  Args:
    data: jax.profiler.ProfileData.
  """
  planes = {x.name: x for x in data.planes}
  if gpu := planes.get('/device:GPU:0'):
    # Beside the streams there may be lines that say the same by operation or module.
    lines = [x for x in gpu.lines if x.name.startswith('Stream')]
    return [_event(e) for line in lines for e in line.events]
  lines = planes['/host:CPU'].lines if '/host:CPU' in planes else []
  return [
    _event(e)
    for line in lines
    for e in line.events
    if any(k == 'hlo_op' for k, _ in e.stats) and not _AROUND.match(e.name)
  ]


def _event(event: Any) -> Event:
  return Event(event.name, event.start_ns, event.duration_ns)


def trace(step: Callable[[], None], steps: int, folder: str) -> list[Event]:
  """Run steps, which wait for their end, under the profiler.

  Args:
    folder: where the profiler may write.
  """
  import jax

  options = jax.profiler.ProfileOptions()
  options.python_tracer_level = 0
  options.host_tracer_level = 2 if jax.default_backend() == 'cpu' else 0
  step()
  with jax.profiler.trace(folder, profiler_options=options):
    for _ in range(steps):
      time.sleep(_PAUSE)
      step()
  path = max(pathlib.Path(folder).rglob('*.xplane.pb'), key=lambda x: x.stat().st_mtime)
  return events_of(jax.profiler.ProfileData.from_file(str(path)))
