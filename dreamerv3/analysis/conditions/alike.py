"""Were the runs measured alike? What else could make conditions differ.

for line in unlike([Measured('decode_position', args, extra)]): print(line)

By what the commands noted of each file of results: settings that change its numbers,
the world, and how much was recorded. Results without such notes say nothing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

# Settings of each command that change its numbers.
SETTINGS = {
  'decode_position': (
    *('cv', 'method', 'holdout_frac', 'n_cv_folds', 'max_samples', 'min_bbox'),
    'spawn_relative',
  ),
  'tuning_curve': (
    *('n_shuffles', 'null', 'min_visits', 'min_bbox', 'spawn_relative', 'no_hd'),
    *('alpha', 'SI_thresh', 'EV_thresh', 'EV_unthresh', 'HD_thresh'),
  ),
  'manifold_analysis': ('max_wake_samples', 'min_bbox', 'spawn_relative'),
  'dream_decode': ('dream_decode.horizon', 'dream_decode.warmup'),
}
SAMPLES, WORLD = 'n_samples', 'grid'
MORE = 1.5  # times as many timesteps, from which on it is told
MAY_BE = 'what differs may be that.'


class Measured(NamedTuple):
  """How a file of results was made.

  Attributes:
    stage: the command; args: its settings; extra: what it said of the data.
  """

  stage: str
  args: Mapping[str, Any]
  extra: Mapping[str, Any]


def unlike(found: Sequence[Measured]) -> Iterator[str]:
  """A line for each setting, and for worlds and amounts, in which results differ."""
  facts: dict[tuple[str, str], Counter[str]] = {}
  for x in found:
    for name, value in _facts(x):
      facts.setdefault((x.stage, name), Counter())[value] += 1
  for (stage, name), values in facts.items():
    if len(values) > 1:
      many = ', '.join(f'{k} in {n}' for k, n in sorted(values.items()))
      yield f'Runs are not alike in {name} of {stage}: {many}; {MAY_BE}'
  for stage in SETTINGS:
    amounts = [x.extra.get(SAMPLES) for x in found if x.stage == stage]
    known = [x for x in amounts if isinstance(x, int) and x > 0]
    if known and max(known) > MORE * min(known):
      yield (
        f'Results of {stage} are of {min(known):,} to {max(known):,} recorded '
        f'timesteps, and more of them show more; {MAY_BE}'
      )


def _facts(x: Measured) -> Iterator[tuple[str, str]]:
  for name in SETTINGS.get(x.stage, ()):
    if name in x.args:
      yield f'--{name}', str(x.args[name])
  if WORLD in x.extra:
    yield 'the size of the world', str(x.extra[WORLD])
