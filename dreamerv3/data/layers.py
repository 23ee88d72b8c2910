"""Names of recorded layers, in the order in which the network computes them.

order(['pol/mlp/linear0', 'enc/cnn0'])  # ['enc/cnn0', 'pol/mlp/linear0']
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from dreamerv3.base.errors import UserError

# One regex per stage of the network; inside a stage the number decides.
STAGES = (
  r'enc/cnn\d+',
  r'enc/mlp\d+',
  r'enc/tokens',
  r'dyn/prior.*',
  r'dyn/obs.*',
  r'dyn/post.*',
  r'dyn/stoch',
  r'dyn/deter',
  r'dyn/.*',
  r'dec/mlp/.*',
  r'dec/space',
  # The decoder counts its convolutions from the image backwards.
  *(f'dec/conv{i}' for i in reversed(range(10))),
  r'dec/.*',
  r'rew/mlp/.*',
  r'rew/.*',
  r'con/mlp/.*',
  r'con/.*',
  r'pol/mlp/.*',
  r'pol/.*',
  r'val/mlp/.*',
  r'val/.*',
)
_STAGES = tuple(re.compile(x) for x in STAGES)

# Keys of an episode that hold a layer under its older name.
LEGACY = {'deter': 'dyn/deter', 'stoch': 'dyn/stoch'}


def order(names: Iterable[str]) -> list[str]:
  """Sorts layers along the network; unknown names come last."""
  return sorted(names, key=_rank)


def select(patterns: Sequence[str], names: Iterable[str]) -> list[str]:
  """Layers whose whole name matches a pattern (regex), in network order.

  Raises:
    UserError: a pattern that matches nothing; the message lists the layers.
  """
  names = order(names)
  if not patterns:
    return names
  chosen = set()
  for pattern in patterns:
    try:
      found = [x for x in names if re.fullmatch(pattern, x)]
    except re.error as e:
      raise UserError(f'Layer pattern {pattern!r} is no regex: {e}.') from e
    if not found:
      raise UserError(f'No layer {pattern!r}; there are: {", ".join(names)}.')
    chosen.update(found)
  return [x for x in names if x in chosen]


def group(name: str) -> str:
  """The part of the network, for colours: 'enc/cnn', 'dyn/deter', 'pol'."""
  if name.startswith(('enc/', 'dyn/')):
    return re.sub(r'\d+$', '', name)
  return name.partition('/')[0]


def same_bytes(shapes: Mapping[str, int]) -> list[tuple[str, str]]:
  """Pairs (copy, original) of layers that hold the same numbers.

  Without a vector branch the encoder's tokens are the flattened last
  convolution: analysing both would do the work twice.
  """
  convs = [x for x in shapes if re.fullmatch(r'enc/cnn\d+', x)]
  if not convs or any(re.fullmatch(r'enc/mlp\d+', x) for x in shapes):
    return []
  last = order(convs)[-1]
  same = shapes.get('enc/tokens') == shapes[last]
  return [('enc/tokens', last)] if same else []


def _rank(name: str) -> tuple[int, list[tuple[bool, int | str]]]:
  stage = next((i for i, x in enumerate(_STAGES) if x.fullmatch(name)), len(_STAGES))
  # Digits compare as numbers: linear10 after linear9.
  parts = [int(x) if x.isdigit() else x for x in re.split(r'(\d+)', name)]
  return stage, [(isinstance(x, str), x) for x in parts]
