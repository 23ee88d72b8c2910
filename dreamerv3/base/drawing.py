"""The flags of every command that draws: in which forms, and how wide.

For settings to inherit from; checked before any work is done.

  FigureFlags(format='png,pdf').save_figure(folder, 'heatmap', figure)  # both paths
"""

import dataclasses
import os
import pathlib
from typing import Any

from dreamerv3.base import files, flags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import flag

FORMATS = ('png', 'pdf', 'svg')
WIDTHS = ('auto', 'single', 'double', 'slide')


@dataclasses.dataclass(frozen=True, kw_only=True)
class FigureFlags:
  """How figures are made."""

  format: str = flag(
    'png', help='Format of figures: png, pdf, svg, or several joined by commas.'
  )
  width: str = flag(
    'auto',
    choices=WIDTHS,
    help='Width of figures: single 89 mm, double 183 mm, slide; auto is '
    'what each needs, 183 mm at most.',
  )

  def __post_init__(self) -> None:
    """Refuses unknown formats."""
    formats_of(self.format)

  @property
  def formats(self) -> tuple[str, ...]:
    """The forms to save in."""
    return formats_of(self.format)

  def save_figure(
    self, folder: str | os.PathLike[str], stem: str, figure: Any
  ) -> list[pathlib.Path]:
    """Writes a matplotlib figure in every form; returns the paths."""
    paths = [pathlib.Path(folder, f'{stem}.{x}') for x in self.formats]
    return [files.save_figure(x, figure) for x in paths]


def only_draws(args: FigureFlags) -> None:
  """Refuses flags beside --from_pkl that would measure; it only draws again."""
  kept = {'from_pkl', 'save', *(x.name for x in dataclasses.fields(FigureFlags))}
  names = [x.name for x in dataclasses.fields(args)]
  if given := flags.changed(args, [x for x in names if x not in kept]):
    raise UserError(f'--from_pkl only draws again; leave out {given}.')


def formats_of(text: str) -> tuple[str, ...]:
  """'png,pdf' -> ('png', 'pdf'); UserError for what is no form of a figure."""
  found = tuple(dict.fromkeys(x.strip() for x in text.split(',') if x.strip()))
  if not found or not set(found) <= set(FORMATS):
    raise UserError(
      f'--format is {text!r}; expected {", ".join(FORMATS)}, or several joined by '
      'commas.'
    )
  return found
