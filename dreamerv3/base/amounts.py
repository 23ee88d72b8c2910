"""Bytes and durations as text, for plans and messages.

size(1234567)    # '1.2 MB'
"""


def size(number: float) -> str:
  """1234567 -> '1.2 MB'."""
  for unit, scale in (('GB', 1e9), ('MB', 1e6)):
    if number >= scale:
      return f'{number / scale:.1f} {unit}'
  return f'{number / 1e3:.1f} kB'


def duration(seconds: float) -> str:
  """95 -> '2 min'."""
  if seconds < 60:
    return f'{max(seconds, 1):.0f} s'
  if seconds < 5400:
    return f'{seconds / 60:.0f} min'
  return f'{seconds / 3600:.1f} h'
