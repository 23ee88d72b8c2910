"""What a changed study makes stale, and how it is set aside to be done again.

  some, left_out = doable(standings(study), chosen)
  refuse(study, standings(study), chosen)

Results of other settings are never written over, and never mixed with new ones.
"""

import datetime
import pathlib
from collections.abc import Mapping, Sequence

from dreamerv3.base.errors import UserError
from dreamerv3.studies import state
from dreamerv3.studies.state import Standing
from dreamerv3.studies.study import Study
from dreamerv3.studies.tasks import Task, tasks

ASIDE = 'stale'


def doable(
  known: Mapping[str, Standing], chosen: Sequence[Task]
) -> tuple[list[Task], list[str]]:
  """Of some tasks those whose needs are done or among them; a line per other one."""
  found, lines, names = [], [], set()
  for task in chosen:
    needs = (x for x in task.needs if x not in names and known[x].word != 'done')
    if lacking := next(needs, None):
      word = known[lacking].word
      lines.append(f'{task.name} is left out: {lacking} is {word} and not chosen.')
    else:
      found.append(task)
      names.add(task.name)
  return found, lines


def stale(known: Mapping[str, Standing], chosen: Sequence[Task]) -> list[Task]:
  """Of some tasks those with results of other settings."""
  return [x for x in chosen if known[x.name].word == 'stale']


def refuse(study: Study, known: Mapping[str, Standing], chosen: Sequence[Task]) -> None:
  """UserError if there are results of other settings."""
  found = stale(known, chosen)
  if not found:
    return
  first = known[found[0].name]
  runs = ', '.join(dict.fromkeys(x.run for x in found))
  raise UserError(
    f'{study.path} has changed since {len(found)} tasks of {runs} were done '
    f'({found[0].name}: {first.why}): change it back, give another folder, or add '
    f'--redo_stale, which moves what they left to {study.folder / ASIDE}.'
  )


def set_aside(
  study: Study, known: Mapping[str, Standing], chosen: Sequence[Task]
) -> list[pathlib.Path]:
  """Moves results of other settings away; returns where they are now.

  Raises:
    UserError: somebody works in a run that they belong to.
  """
  found = stale(known, chosen)
  runs = {x.run for x in found}
  for task in tasks(study):
    if task.run in runs and known[task.name].word in ('running', 'queued'):
      raise UserError(
        f'{task.name} is {known[task.name].word} and its run is to be done again; '
        'wait for it, or end it first.'
      )
  now = datetime.datetime.now().strftime('%Y%m%dT%H%M%SF%f')
  place = study.folder / ASIDE / now
  moved = []
  with state.claiming(study):
    for task in found:
      target = place / task.output.relative_to(study.folder)
      if task.output.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        moved.append(task.output.replace(target))
      state.path_of(study, task).unlink(missing_ok=True)
  return moved
