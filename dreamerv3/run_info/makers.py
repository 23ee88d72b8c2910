"""Which commands made a file or a folder, as the folders around it say.

for entry in makers('run/decoder_results/summary.csv'): print(entry.command)
"""

import datetime
import os
import pathlib
import re
from collections.abc import Iterator

from dreamerv3.run_info.entries import Entry, read_run_info

LEVELS = 4  # folders above a file that may hold its entry
# Stages of which a repeated command goes on with what is there.
GROWING = {
  'train': 'training',
  'train_eval': 'training',
  'eval_trajectory': 'recording',
  'replay_activations': 'recording',
}


def makers(
  path: str | os.PathLike, before: datetime.datetime | None = None
) -> list[Entry]:
  """Entries that list a file, or a file in a folder, as their output.

  Args:
    path: need not be there any more.
    before: of the command that read it; later ones cannot have made it.

  Returns:
    The newest; of a training run or a recording all, oldest first, without
    those that had nothing left to record.

  Raises:
    UserError: a run_info.json on the way is damaged.
  """
  for folder, entries in around(pathlib.Path(path).expanduser().absolute()):
    found = [x for x in entries if before is None or x.timestamp <= before]
    growing = [x for x in found if x.stage in GROWING]
    if growing and (folder == path or growing[-1] is found[-1]):
      kind = GROWING[growing[-1].stage]
      return [x for x in growing if GROWING[x.stage] == kind]
    if found:
      return found[-1:]
  return []


def around(path: pathlib.Path) -> Iterator[tuple[pathlib.Path, list[Entry]]]:
  """The folder of a file and those above it, with the entries that list it."""
  start = path if path.is_dir() else path.parent
  for folder in (start, *list(start.parents)[:LEVELS]):
    listed = [x for x in read_run_info(folder) if _lists(x, path)]
    if listed:
      yield folder, listed


def saved(checkpoint: pathlib.Path) -> datetime.datetime | None:
  """When a checkpoint was saved, as its name says; in UTC, as all of ours."""
  found = re.fullmatch(r'(\d{8}T\d{6})F\d{6}', checkpoint.name)
  if not found:
    return None
  named = datetime.datetime.strptime(found[1], '%Y%m%dT%H%M%S')
  return named.replace(tzinfo=datetime.UTC)


def _lists(entry: Entry, path: pathlib.Path) -> bool:
  """Whether a file, its folder, or something in it is among the outputs."""
  if entry.extra.get('new_steps') == 0:
    return False
  if path == entry.folder:
    return bool(entry.outputs)
  whole = pathlib.Path(os.path.realpath(path.parent), path.name)
  for output in entry.outputs:
    made = pathlib.Path(os.path.realpath(output.parent), output.name)
    if made == whole or made in whole.parents or whole in made.parents:
      return True
  return False
