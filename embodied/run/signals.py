"""May the run go on? Turns signals of the cluster and the user into a wish.

SLURM sends SIGUSR1 or SIGTERM before the time limit. The loop then saves and
exits with code 75 (EX_TEMPFAIL), upon which the job scripts requeue. Before the
loop there is nothing to save, and a start can take minutes: it ends at once.

  with Signals(begun=False) as signals:
    ...  # the start
    signals.begun = True
    while not signals.code: ...
  sys.exit(signals.code)
"""

import os
import signal
import sys
import types

REQUEUE = 75  # sysexits.h EX_TEMPFAIL: try again
INTERRUPTED = 130  # as shells report Ctrl-C

CODES = {
  signal.SIGTERM: REQUEUE,
  signal.SIGUSR1: REQUEUE,
  signal.SIGINT: INTERRUPTED,
}


class Signals:
  """Remembers the first signal; a second Ctrl-C leaves at once.

  Args:
    doing: What the loop does upon a signal, for the line that is printed.
    begun: Whether there is something to finish; until then a signal leaves
      by SystemExit with its code.

  Attributes:
    code: Exit code asked for, 0 while the run may go on.
    begun: As above; set by the loop.
  """

  def __init__(self, doing: str = 'saving a checkpoint', begun: bool = True) -> None:
    self.doing = doing
    self.begun = begun
    self.code = 0
    self.before: dict[signal.Signals, object] = {}

  def __enter__(self) -> 'Signals':
    for number in CODES:
      self.before[number] = signal.signal(number, self._on_signal)
    return self

  def __exit__(self, *error: object) -> None:
    for number, handler in self.before.items():
      signal.signal(number, handler)  # type: ignore[arg-type]
    self.before = {}

  def _on_signal(self, number: int, _: types.FrameType | None) -> None:
    if self.code:
      # SLURM follows its warning with SIGTERM; a save may need that time.
      if number == signal.SIGINT:
        # Not by an exception, which would wait for the save all the same; a
        # kill at any time leaves the last checkpoint whole.
        os._exit(INTERRUPTED)
      return
    self.code = CODES[signal.Signals(number)]
    name = signal.Signals(number).name
    doing = f'{self.doing}, then leaving' if self.begun else 'leaving the start'
    print(f'{name}: {doing}.', file=sys.stderr, flush=True)
    if not self.begun:
      raise SystemExit(self.code)
