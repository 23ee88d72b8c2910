"""Files of earlier runs of a stage, cleared so that folders hold one run.

  leftovers.clear('results', 'tuning_curve', outputs)

Called when a run has succeeded, before it appends its own entry: what an
earlier entry of the same stage lists and this run did not write belongs to
other settings, and would be read or shown beside the new results.
"""

import datetime
import os
import pathlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from dreamerv3.base.errors import UserError
from dreamerv3.run_info import read_run_info

SLACK = 2.0  # seconds that a file may be newer than the entry that lists it
ASIDE = '.old'
Entry = Mapping[str, Any]


def clear(
  save_dir: str | os.PathLike,
  stage: str,
  outputs: Iterable[str | os.PathLike],
  same: Callable[[Entry], bool] = lambda entry: True,
  keep: Collection[str] = (),
) -> None:
  """Deletes what this run has replaced, and prints how many files.

  A file that changed after its run is the user's: it is renamed to
  `<name>.old`. Files that an entry of another kind lists stay.

  Args:
    save_dir: folder with `run_info.json`; files outside are never touched.
    outputs: every file that this run wrote.
    same: whether an earlier entry of the stage is replaced by this run.
    keep: patterns of paths in the folder that stay, as of `Path.match`.
  """
  folder = pathlib.Path(save_dir).expanduser().resolve()
  written = {pathlib.Path(x).expanduser().resolve() for x in outputs}
  older: dict[pathlib.Path, float] = {}
  try:
    entries = read_run_info(folder)
  except UserError:
    return  # log_run_info keeps such a file aside
  for entry in entries:
    replaced = entry['stage'] == stage and same(entry)
    for path in _listed(entry, folder):
      if replaced:
        older[path] = _when(entry)
      else:
        written.add(path)
  deleted = moved = 0
  for path, when in older.items():
    kept = any(path.relative_to(folder).match(x) for x in keep)
    if path in written or kept or not path.is_file():
      continue
    if path.stat().st_mtime > when + SLACK:
      path.replace(path.with_name(path.name + ASIDE))
      moved += 1
    else:
      path.unlink()
      deleted += 1
  if deleted:
    print(f'Deleted {_files(deleted)} of earlier runs from {save_dir}.')
  if moved:
    print(
      f'Renamed {_files(moved)} of earlier runs in {save_dir} to *{ASIDE}: '
      'changed since.'
    )


def _listed(entry: Entry, folder: pathlib.Path) -> list[pathlib.Path]:
  """The outputs of an entry that lie in the folder, which may have moved."""
  there = []
  for output in entry['outputs']:
    path = (pathlib.Path(entry['cwd']) / output).resolve()
    inside = path.is_relative_to(folder)
    there.append(path if inside else folder / path.name)
  return there


def _when(entry: Entry) -> float:
  return datetime.datetime.fromisoformat(entry['timestamp']).timestamp()


def _files(count: int) -> str:
  return f'{count} {"file" if count == 1 else "files"}'
