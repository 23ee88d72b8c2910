"""May the run go on? Turns signals of the cluster and the user into a wish.

SLURM sends SIGUSR1 or SIGTERM before the time limit. The loop then saves and
exits with code 75 (EX_TEMPFAIL), upon which the job scripts requeue.

  with Signals() as signals:
    while not signals.code: ...
  sys.exit(signals.code)
"""

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

  Attributes:
    code: Exit code asked for, 0 while the run may go on.
  """

  def __init__(self, doing: str = 'saving a checkpoint') -> None:
    self.doing = doing
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

  def _on_signal(self, number: int, frame: types.FrameType | None) -> None:
    if self.code:
      # SLURM follows its warning with SIGTERM; a save may need that time.
      if number == signal.SIGINT:
        raise KeyboardInterrupt
      return
    self.code = CODES[signal.Signals(number)]
    name = signal.Signals(number).name
    print(f'{name}: {self.doing}, then leaving.', file=sys.stderr, flush=True)
