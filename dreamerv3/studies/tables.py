"""A study as text: what is to be done and what it costs, and how far it is.

print('\n'.join(plan(study, settled, standings(study))))
print('\n'.join(status(study, standings(study))))
"""

import collections
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import elements

from dreamerv3.base import yaml_file
from dreamerv3.base.progress import duration
from dreamerv3.data.metrics_log import last_step
from dreamerv3.studies import state
from dreamerv3.studies.estimates import Cost, estimate
from dreamerv3.studies.kinds import KINDS
from dreamerv3.studies.state import Standing
from dreamerv3.studies.study import Study
from dreamerv3.studies.tasks import Task, tasks

EPISODES = 'episode_*.pkl'
NOTE = """\
Estimates, of each task alone. law: by docs/performance.md, measured on two CPU cores
with nothing beside, episodes of 250 steps; one H200 trained size1m 36 times as fast.
N done here: the mean of what N such tasks of this study took. Memory is that of
training without a GPU."""


def plan(
  study: Study, settled: Mapping[str, elements.Config], known: Mapping[str, Standing]
) -> Iterator[str]:
  """What there is to do, and what it will cost."""
  yield from _head(study)
  yield from grid(study, {k: v.word for k, v in known.items()})
  yield ''
  costs = estimate(study, settled, known)
  yield from _costs(study, costs, known)
  yield NOTE
  yield from _why(known, ('stale',))


def status(study: Study, known: Mapping[str, Standing]) -> Iterator[str]:
  """How far it is, from files alone."""
  yield from _head(study)
  cells = {x.name: _cell(x, known[x.name]) for x in tasks(study)}
  yield from grid(study, cells)
  counts = collections.Counter(x.word for x in known.values())
  yield ''
  yield ', '.join(f'{counts[x]} {x}' for x in (*state.WORDS, 'blocked') if counts[x])
  yield from _why(known, ('failed', 'stale'))
  failed = [x for x in tasks(study) if known[x.name].word == 'failed']
  yield from (f'  log: {state.path_of(study, x, ".log")}' for x in failed)


def grid(study: Study, cells: Mapping[str, str]) -> Iterator[str]:
  """A row per run, a column per stage."""
  stages = [x.name for x in study.stages]
  rows: dict[str, list[str]] = {}
  for task in tasks(study):
    rows.setdefault(task.run, []).append(cells[task.name])
  yield from aligned([['run', *stages], *([k, *v] for k, v in rows.items())])


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
  """Rows of cells as lines of columns."""
  wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
  for row in rows:
    yield '  '.join(x.ljust(w) for x, w in zip(row, wide, strict=True)).rstrip()


def _head(study: Study) -> Iterator[str]:
  conditions, seeds, stages = map(len, (study.conditions, study.seeds, study.stages))
  runs = conditions * seeds
  yield (
    f'{study.path} in {study.folder}: {conditions} conditions x {seeds} seeds = '
    f'{runs} runs, {stages} stages, {runs * stages} tasks.'
  )
  yield ''


def _costs(
  study: Study,
  costs: Mapping[tuple[str, str], Cost],
  known: Mapping[str, Standing],
) -> Iterator[str]:
  rows = [['stage', 'to do', 'time each', 'time', 'memory', 'disk', 'basis']]
  total, disk, unknown = 0.0, 0.0, False
  for stage in study.stages:
    todo = [
      costs[x.condition, x.stage]
      for x in tasks(study)
      if x.stage == stage.name and known[x.name].word != 'done'
    ]
    each = [v for k, v in costs.items() if k[1] == stage.name]
    seconds = [x.seconds for x in todo]
    unknown |= any(map(math.isnan, seconds))
    total += sum(x for x in seconds if not math.isnan(x))
    disk += sum(x.disk for x in todo if not math.isnan(x.disk))
    rows.append(
      [
        stage.name,
        str(len(todo)),
        _most([x.seconds for x in each], duration),
        duration(sum(seconds)) if not any(map(math.isnan, seconds)) else '-',
        _most([x.memory for x in each], _size),
        _most([x.disk for x in each], _size),
        each[0].basis,
      ]
    )
  yield from aligned(rows)
  more = ' and what is not known' if unknown else ''
  yield f'In all {duration(total)}{more}, one task at a time; {_size(disk)} of disk.'


def _most(values: Sequence[float], text: Callable[[float], str]) -> str:
  known = [x for x in values if not math.isnan(x)]
  return text(max(known)) if known else '-'


def _size(number: float) -> str:
  return f'{number / 1e9:.1f} GB' if number >= 1e8 else f'{number / 1e6:.0f} MB'


def _why(known: Mapping[str, Standing], words: Sequence[str]) -> Iterator[str]:
  for name, now in known.items():
    if now.word in words:
      yield f'{name} {now.word}: {now.why}'


def _cell(task: Task, now: Standing) -> str:
  record = now.record
  if now.word == 'done' and record:
    return f'done {duration(record.seconds)}'
  if now.word != 'running' or not record:
    return now.word
  spent = time.time() - record.began
  share, left = _progress(task, record.first, spent)
  if math.isnan(share):
    return f'running {duration(spent)}'
  return f'{share:.0%}, {duration(left)} left'


def _progress(task: Task, first: int, spent: float) -> tuple[float, float]:
  """Share that is done, and seconds left; NaN where nothing tells.

  Args:
    first: steps of the run when this piece of work began.
    spent: seconds since then.
  """
  total, done = _counted(task)
  if math.isnan(total) or done <= first:
    return math.nan, math.nan
  share = min(1.0, done / total)
  return share, spent * max(0.0, total - done) / (done - first)


def _counted(task: Task) -> tuple[float, int]:
  """Steps or episodes that there will be, NaN where unknown, and that there are."""
  if task.stage == 'train':
    record = task.logdir / 'config.yaml'
    steps = yaml_file.load(record)['run']['steps'] if record.exists() else math.nan
    return float(steps), last_step(task.logdir)
  done = len([*task.output.glob(EPISODES)])
  if task.stage == 'record':
    return float(task.flags.get('eval_trajectory.num_episodes', ('100',))[0]), done
  if task.stage == 'control':
    recording = task.logdir / KINDS['record'].folder
    return float(len([*recording.glob(EPISODES)])), done
  return math.nan, 0
