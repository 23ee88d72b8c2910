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
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.recording.plan import RecordingPlan
from dreamerv3.recording.recorder import Recorder
from dreamerv3.recording.summary import Summary
from dreamerv3.run_info import log_run_info


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
      began = time.perf_counter()
      played = self.play(recorder, missing)
      recorder.flush()
      duration = time.perf_counter() - began
      outputs = [*recorder.episodes(), plan.folder / 'metadata.pkl']
      if played.code:
        self.note(outputs, played, duration, {'interrupted': True})
        done = len(plan.numbers) - len(recorder.missing(plan.numbers))
        print(
          f'Stopped with {done} of {len(plan.numbers)} episodes in {plan.folder}; '
          'run the same command again to go on.'
        )
        return played.code
      if plan.joined:
        outputs.append(recorder.join())
    if missing:
      rate = played.steps / duration
      print(f'{played.steps} steps in {duration:.1f} s, {rate:.0f} steps/s')
    self.conclude(outputs, played, duration)
    return 0

  def conclude(
    self, outputs: list[pathlib.Path], played: Played, duration: float
  ) -> None:
    """Summary on the terminal and in the logdir, and the run's record."""
    summary = Summary.of(Trajectories.open(self.plan.folder))
    print('\n'.join(summary.lines()))
    if self.plan.summary is not None:
      with files.atomic(self.plan.summary, 'w') as file:
        file.write(summary.report())
      outputs = [*outputs, self.plan.summary]
    self.note(outputs, played, duration, summary.to_dict())
    print(f'Recorded {self.plan.folder}')

  def note(
    self,
    outputs: list[pathlib.Path],
    played: Played,
    duration: float,
    more: Mapping[str, Any],
  ) -> None:
    """The entry of this command in the folder's run_info.json."""
    known = self.plan.metadata.extra
    extra = {
      'checkpoint': known['checkpoint'],
      'checkpoint_step': known['checkpoint_step'],
      'inputs': self.plan.inputs,
      'logdir': str(self.plan.logdir.absolute()),
      'new_steps': played.steps,
      'seconds': round(duration, 1),
      **more,
    }
    log_run_info(self.plan.folder, self.plan.stage, self.args, outputs, extra)
