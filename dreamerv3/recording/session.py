"""One command that records: from the plan that is printed to the record of the run.

  code = RecordingSession(plan, args, play).run()

For eval_trajectory and replay_activations, which differ in where the steps of
an episode come from: `play(recorder, numbers)` brings them.
"""

import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from dreamerv3.base import files
from dreamerv3.base.amounts import size
from dreamerv3.base.errors import UserError
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.recording.plan import JOINED, RecordingPlan
from dreamerv3.recording.recorder import Recorder
from dreamerv3.recording.summary import Summary
from dreamerv3.run_info import Note, noting


class Played(NamedTuple):
  """What became of some episodes.

  Attributes:
    steps: timesteps recorded.
    code: exit code that a signal asks for; 0 if all have ended.
  """

  steps: int
  code: int


Play = Callable[[Recorder, Sequence[int]], Played]


class RecordingSession:
  """One call of a recording command.

  Args:
    plan: what is recorded, from what, to where.
    args: all settings, for the record of the run.
    play: records the episodes of some numbers.
  """

  def __init__(self, plan: RecordingPlan, args: Mapping[str, Any], play: Play):
    self.plan, self.args, self.play = plan, args, play

  def run(self) -> int:
    """Records what is missing; returns the exit code.

    Raises:
      UserError: the folder holds another recording, or the disk is too small.
    """
    plan = self.plan
    with Recorder(plan.folder, plan.metadata, plan.columns) as recorder:
      missing = recorder.missing(plan.numbers)
      print('\n'.join(plan.lines(len(missing))))
      plan.check(len(missing))
      summary = self.place_summary()
      with noting(
        plan.folder,
        plan.stage,
        self.args,
        plan.inputs,
        # They come one by one, and stay if this is killed.
        outputs=[plan.folder / 'metadata.pkl', *map(recorder.path, plan.numbers)],
        extra=self.about(),
      ) as note:
        code = self.record(recorder, missing, note)
        if not code:
          self.conclude(note, summary)
    return code

  def record(self, recorder: Recorder, missing: Sequence[int], note: Note) -> int:
    """Brings the steps; the code is what a signal asks for."""
    plan, began = self.plan, time.perf_counter()
    played = self.play(recorder, missing)
    recorder.flush()
    duration = time.perf_counter() - began
    note.extra |= {'new_steps': played.steps, 'seconds': round(duration, 1)}
    made = [plan.folder / 'metadata.pkl', *recorder.episodes()]
    note.outputs = [x for x in made if x.exists()]
    if played.code:
      note.status = 'stopped'
      note.extra['interrupted'] = True
      done = len(plan.numbers) - len(recorder.missing(plan.numbers))
      print(
        f'Stopped with {done} of {len(plan.numbers)} episodes in {plan.folder}; '
        'run the same command again to go on.'
      )
      return played.code
    total = sum(x.stat().st_size for x in recorder.episodes())
    there = (plan.folder / 'all_episodes.pkl').exists()
    if plan.joins(total) or (plan.joined is None and there):
      note.outputs.append(recorder.join())
    elif plan.joined is None:
      print(
        f'No all_episodes.pkl: the episodes take {size(total)}, more than '
        f'{size(JOINED)}; --{plan.stage}.all_episodes True writes it.'
      )
    if missing:
      rate = played.steps / duration
      print(f'{played.steps} steps in {duration:.1f} s, {rate:.0f} steps/s')
    return 0

  def conclude(self, note: Note, place: pathlib.Path | None) -> None:
    """Summary on the terminal and as a file."""
    summary = Summary.of(Trajectories.open(self.plan.folder))
    print('\n'.join(summary.lines()))
    note.extra |= summary.to_dict()
    if place is not None:
      files.make_folder(place.parent)  # that of a run that ships may not be there yet
      with files.atomic(place, 'w') as file:
        file.write(summary.report())
      note.outputs.append(place)
    print(f'Recorded {self.plan.folder}')

  def place_summary(self) -> pathlib.Path | None:
    """Where the summary goes: beside the recording if not where it should."""
    wanted = self.plan.summary
    if wanted is None:
      return None
    try:
      files.check_writable(wanted.parent)
    except UserError:
      print(
        f'{wanted.parent} is not ours to write to; {wanted.name} goes to '
        f'{self.plan.folder}.'
      )
      return self.plan.folder / wanted.name
    return wanted

  def about(self) -> dict[str, Any]:
    """What is known of the recording before it begins."""
    known = self.plan.metadata.extra
    return {
      'checkpoint': known['checkpoint'],
      'checkpoint_step': known['checkpoint_step'],
      'weights': known['fingerprint'].get('weights'),
      'logdir': str(self.plan.logdir.absolute()),
    }
