"""Are two runs one agent? A copy counts as no second one.

for x in copies(runs, rows): print(x.line())

By the weights behind their recordings, by their training logs, and by all numbers.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dreamerv3.analysis.conditions.runs import Run

FEWEST = 5  # finished episodes by which a log is told from another


class Copy(NamedTuple):
  """A run that is an earlier one again.

  Attributes:
    run, first: names of it and of the earlier one.
    why: what they share.
    counted: they are of two conditions, so that both stay.
  """

  run: str
  first: str
  why: str
  counted: bool

  def line(self) -> str:
    """The note on it."""
    text = f'{self.run} and {self.first} {self.why}; a copy of an agent is no second'
    return f'{text} agent.' if self.counted else f'{text} agent: it is left out.'


def copies(runs: Sequence[Run], rows: Sequence[tuple[object, ...]]) -> Iterator[Copy]:
  """One for each run that an earlier one is, too.

  Args:
    rows: of `collect`: run, condition, seed, quantity, layer, episode, value, weight.
  """
  numbers: dict[object, list[tuple[object, ...]]] = {}
  for name, *_, quantity, _, episode, value, _ in rows:
    numbers.setdefault(name, []).append((quantity, episode, value))
  seen: dict[tuple[str, object], Run] = {}
  for run in runs:
    first = None
    for why, mark in _marks(run, numbers.get(run.name, [])):
      other = seen.setdefault((why, mark), run)
      if other is not run and first is None:
        first = other
        yield Copy(run.name, other.name, why, run.label != other.label)


def _marks(
  run: Run, numbers: Sequence[tuple[object, ...]]
) -> Iterator[tuple[str, object]]:
  if numbers:
    yield 'have the same numbers throughout', tuple(numbers)
  returns = [x for x in numbers if x[0] == 'return' and x[1] is not None]
  if len({value for *_, value in returns}) >= FEWEST:
    yield 'have the same training log', tuple(returns)
  known = run.recorded.get('fingerprint')
  if isinstance(known, dict) and known.get('weights'):
    yield 'are recordings of one network', known['weights']


def same_seeds(rows: Sequence[tuple[object, ...]]) -> Iterator[str]:
  """A line for each run that has the seed of an earlier one of its condition."""
  seen: dict[tuple[object, object], object] = {}
  for name, label, seed in dict.fromkeys(x[:3] for x in rows):
    if seed is None:
      continue
    first = seen.setdefault((label, seed), name)
    if first != name:
      yield (
        f'{name} and {first} ({label}) are both of seed {seed}: one world and the same '
        'first weights, which are no two draws of them.'
      )
