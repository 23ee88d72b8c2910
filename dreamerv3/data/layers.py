"""Names of recorded layers: their order along the network, and what patterns mean.

order(['pol/mlp/linear0', 'enc/cnn0'])  # ['enc/cnn0', 'pol/mlp/linear0']
select(['deter', 'enc/*'], names)       # short names, folders, globs, regexes
"""

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from dreamerv3.base.errors import UserError

# How a flag calls what `select` reads.
PATTERNS = "Layers by name, its end, folder or glob: deter enc 'dyn/*'"

# What a recording is asked for where nobody chose layers, see `settled`.
AUTO = 'auto'
WIDEST = 65_536  # units of the widest convolution map of size50m

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
  """Layers that patterns mean, in network order; all of them without patterns.

  A pattern means what the first of these readings finds: a whole name, the last part
  of names (`deter`), a folder (`enc`, `pol/mlp`), a glob in which * crosses folders
  (`dyn/*`), a regular expression of whole names (`enc/cnn[01]`). Several may be joined
  by commas.

  Raises:
    UserError: a pattern that means nothing; the message has the nearest names.
  """
  names = order(names)
  chosen = {x for pattern in patterns for x in _meant(pattern, names)}
  return [x for x in names if x in chosen] if patterns else names


def settled(pattern: str, sizes: Mapping[str, int]) -> tuple[str, list[str]]:
  """The pattern that `auto` stands for, and the layers that it leaves out.

  All layers, but for convolution maps wider than those of size50m: two of them are
  61 % of what size200m would write. Another pattern stays as it is.

  Args:
    sizes: {layer: units} of the whole network.
  """
  if pattern != AUTO:
    return pattern, []
  maps = [x for x in order(sizes) if re.fullmatch(r'(enc/cnn|dec/conv)\d+', x)]
  wide = [x for x in maps if sizes[x] > WIDEST]
  return (f'(?!({"|".join(wide)})$).*' if wide else '.*'), wide


def one(pattern: str, names: Iterable[str]) -> str:
  """The only layer that a pattern means, read as `select` reads it.

  Raises:
    UserError: it means none, or several.
  """
  found = select([pattern], names)
  if len(found) > 1:
    raise UserError(
      f'{pattern!r} means {len(found)} layers ({_few(found)}); give the whole name '
      'of one.'
    )
  return found[0]


def _meant(pattern: str, names: Sequence[str]) -> list[str]:
  for reading in _READINGS:
    if found := [x for x in names if reading(pattern, x)]:
      return found
  if ',' in pattern:
    parts = [x.strip() for x in pattern.split(',') if x.strip()]
    return [x for part in parts for x in _meant(part, names)]
  raise UserError(f'No layer {pattern!r}; {_nearest(pattern, names)}.')


def _matches(pattern: str, name: str) -> bool:
  try:
    return bool(re.fullmatch(pattern, name))
  except re.error:
    return False


_READINGS: tuple[Callable[[str, str], bool], ...] = (
  lambda pattern, name: name == pattern,
  lambda pattern, name: name.rpartition('/')[2] == pattern,
  lambda pattern, name: name.startswith(pattern.rstrip('/') + '/'),
  lambda pattern, name: fnmatch.fnmatchcase(name, pattern),
  _matches,
)


def _nearest(pattern: str, names: Sequence[str]) -> str:
  """The names that are most like a wrong one, or what there is."""
  known = {y: x for x in reversed(names) for y in (x.rpartition('/')[2], x)}
  close = difflib.get_close_matches(pattern, known, 3)
  if close:
    return f'nearest: {", ".join(dict.fromkeys(known[x] for x in close))}'
  return f'there are: {_few(names, 30)}'


def _few(names: Sequence[str], most: int = 4) -> str:
  more = f' and {len(names) - most} more' if len(names) > most else ''
  return ', '.join(names[:most]) + more


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
