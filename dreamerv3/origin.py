"""Where does this file come from? Follows provenance back to the training run.

Every program notes in its folder's run_info.json which command, on which code,
made its files of what. This prints that chain, for whoever finds a figure. A
training run and a recording may be the work of several commands, since they
go on when they are repeated: all up to the moment of use are listed. It works
on copies, too: of what was left behind it says what it was and who made it.

  python dreamerv3/origin.py --file logdir/run/plots/heatmap.png
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
from collections.abc import Sequence

from dreamerv3.base import flags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import flag
from dreamerv3.run_info.chain import trace


@dataclasses.dataclass(frozen=True)
class OriginSettings:
  """Tells which commands, on which code and inputs, made a file."""

  file: str = flag(help='A figure, table, model, recording or folder.')


def main(argv: Sequence[str] | None = None) -> None:
  """Prints the chain of a file."""
  args = flags.parse(OriginSettings, argv)
  path = pathlib.Path(args.file).expanduser().absolute()
  if not path.exists():
    raise UserError(f'{path} does not exist; name a file or a folder.')
  steps = trace(path)
  if not steps:
    raise UserError(
      f'No run_info.json in, at or above {path} knows it; was it moved away from '
      'the folder that it was made in? Name that, or copy its run_info.json along.'
    )
  for step in steps:
    print('\n'.join(step.lines()))


if __name__ == '__main__':
  flags.run(main)
