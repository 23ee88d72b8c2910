"""How do several conditions differ, over seeds? Trains and analyses many agents.

Conditions, seeds and stages stand in one file, docs/study_example.yaml for instance;
what is done already is not done again.

  python dreamerv3/study.py --study docs/study_example.yaml plan
  python dreamerv3/study.py --study docs/study_example.yaml run --jobs 2
  python dreamerv3/study.py --study docs/study_example.yaml submit   # to SLURM
  python dreamerv3/study.py --study docs/study_example.yaml status --watch
  python dreamerv3/study.py --study docs/study_example.yaml report
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
import time
from collections.abc import Sequence

from dreamerv3.base import flags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import flag
from dreamerv3.studies import again, checking, cluster, local, results, state, tables
from dreamerv3.studies.kinds import nearest
from dreamerv3.studies.study import Study, load
from dreamerv3.studies.tasks import Task, tasks

ACTIONS = ('plan', 'run', 'submit', 'status', 'collect', 'report')
EVERY = 5.0  # seconds between two looks


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudySettings:
  """Plans, does and watches a study: conditions x seeds x stages."""

  action: str = flag(
    bare=True,
    choices=ACTIONS,
    help='plan: what there is to do and what it costs; run: do it here; '
    'submit: send it to SLURM; status: how far it is; collect: one '
    'table of all finished runs; report: compare them.',
  )
  study: str = flag(help='File with conditions, seeds and stages.')
  runs: tuple[str, ...] = flag((), help='Only these runs, <condition>_seed<N>.')
  stages: tuple[str, ...] = flag((), help='Only these stages.')
  jobs: int = flag(1, low=1, help='run: tasks at a time.')
  dry_run: bool = flag(False, help='submit: only print the commands.')
  redo_stale: bool = flag(
    False,
    help='run, submit: do again what was done with other settings; the '
    'old results move to <folder>/stale.',
  )
  watch: bool = flag(False, help='status: print it again and again, until Ctrl-C.')


# Flags, and the actions that know them.
KNOW = {
  'runs': ('run', 'submit'),
  'stages': ('run', 'submit'),
  'jobs': ('run',),
  'dry_run': ('submit',),
  'redo_stale': ('run', 'submit'),
  'watch': ('status',),
}


def main(argv: Sequence[str] | None = None) -> None:
  """Does what the action says; leaves with exit code 1 if a task failed."""
  args = flags.parse(StudySettings, argv)
  _check(args)
  study = load(pathlib.Path(args.study).expanduser())
  if args.action == 'status':
    _status(study, args.watch)
    return
  if args.action in ('collect', 'report'):
    _found(study, args.action)
    return
  settled = checking.check(study)
  if args.action == 'plan':
    print('\n'.join(tables.plan(study, settled, state.standings(study))))
    return
  chosen = choose(study, args.runs, args.stages)
  left_out = _clear(study, chosen, args.redo_stale and not args.dry_run)
  if args.action == 'submit':
    for line in cluster.submit(study, chosen, args.dry_run):
      print(line, flush=True)
    return
  for line in left_out:
    print(line)
  outcome = local.run(study, chosen, args.jobs)
  print()
  print('\n'.join(tables.status(study, state.standings(study))))
  if outcome.code:
    sys.exit(outcome.code)


def _check(args: StudySettings) -> None:
  usual = {x.name: x.default for x in dataclasses.fields(StudySettings)}
  for name, actions in KNOW.items():
    if getattr(args, name) != usual[name] and args.action not in actions:
      raise UserError(
        f'--{name} would do nothing with {args.action}; it belongs to '
        f'{" and ".join(actions)}.'
      )


def _clear(study: Study, chosen: Sequence[Task], redo: bool) -> list[str]:
  """Sets aside, or refuses, what was done with other settings.

  Returns:
    A line per task that cannot be done.
  """
  known = state.standings(study)
  possible, left_out = again.doable(known, chosen)
  if not redo:
    again.refuse(study, known, chosen)
    return left_out
  for path in again.set_aside(study, known, possible):
    print(f'Moved what was done with other settings to {path}')
  return left_out


def _found(study: Study, action: str) -> None:
  known = state.standings(study)
  for line in results.left_out(study, known):
    print(line)
  if action == 'collect':
    print(f'Saved {results.collect(study, known)}')
    return
  code = results.report(study, known)
  if code:
    sys.exit(code)


def choose(study: Study, runs: Sequence[str], stages: Sequence[str]) -> list[Task]:
  """The tasks of some runs and stages; of all where none are named.

  Raises:
    UserError: a run or stage that the study does not have.
  """
  every = tasks(study)
  for owner, given in (('run', runs), ('stage', stages)):
    known = {getattr(x, owner): None for x in every}
    for name in given:
      if name not in known:
        raise UserError(f'{study.path} has no {owner} {name}{nearest(name, known)}.')
  return [
    x for x in every if x.run in (runs or [x.run]) and x.stage in (stages or [x.stage])
  ]


def _status(study: Study, watch: bool) -> None:
  while True:
    lines = [*tables.status(study, state.standings(study))]
    if watch and sys.stdout.isatty():
      print('\x1b[H\x1b[2J', end='')
    print('\n'.join(lines), flush=True)
    if not watch:
      return
    time.sleep(EVERY)


if __name__ == '__main__':
  flags.run(main)
