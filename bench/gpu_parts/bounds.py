"""What bounds an update? By one rule, from what was measured.

  Costs(wall=4.0, compute=0.4, memory=2.2, launches=1.0, host=0.1).bound()

Four times are set beside that of an update, in ms:

  compute   its FLOP at the card's peak
  memory    its bytes (traffic.py) at the card's bandwidth
  launches  the device idle within the train step, and in kernels of less than 5 us,
            which take longer to start and to end than to compute
  host      an update of the whole agent takes longer than the train step takes on the
            device: it waits for the next to be sent, or for copies to and from the host

The largest bounds it, if it is at least 40 % of the update; else none does alone:
kernels run, one after the other, below the limits of the card.
"""

from typing import NamedTuple

from bench.gpu_parts.cards import Card
from bench.gpu_parts.kernels import Profile

LEAST = 0.4
NAMES = ('compute', 'memory', 'launches', 'host')


class Costs(NamedTuple):
  """Times of an update [ms]; compute and memory are 0 where they are not known."""

  wall: float
  compute: float
  memory: float
  launches: float
  host: float

  @classmethod
  def of(
    cls, wall: float, flop: float, moved: float, card: Card, profile: Profile
  ) -> 'Costs':
    """From what was measured.

    Args:
      wall: ms of an update of the whole agent.
      flop, moved: of an update; bytes, NaN if they are not known.
    """
    return cls(
      wall,
      compute=flop / card.tflops / 1e9 if card.tflops else 0.0,
      memory=moved / card.tbytes / 1e9 if card.tbytes and moved > 0 else 0.0,
      launches=profile.idle + profile.short,
      host=max(0.0, wall - profile.span),
    )

  def bound(self) -> str:
    """What bounds it, in a sentence with all four shares."""
    shares = {x: getattr(self, x) / self.wall for x in NAMES}
    known = [x for x in NAMES if shares[x] or x in ('launches', 'host')]
    top = max(known, key=shares.__getitem__)
    said = ', '.join(f'{x} {shares[x]:.0%}' for x in known)
    lacks = '' if len(known) == 4 else '; the rest is not known'
    if shares[top] < LEAST:
      return f'none alone bounds it ({said} of an update{lacks})'
    verb = 'bound' if top == 'launches' else 'bounds'
    return f'{top} {verb} it ({said} of an update{lacks})'
