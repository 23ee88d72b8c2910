"""Files of earlier runs of a stage, cleared so that folders hold one run.

  clear('results', 'tuning_curve', outputs)

Called when a run has succeeded and is noted: what an earlier entry of the same
stage lists and this run did not write belongs to other settings, and would be read
or shown beside the new results.
"""

import os
import pathlib
import sys
from collections.abc import Callable, Collection, Iterable

from dreamerv3.base.errors import UserError
from dreamerv3.run_info.entries import Entry, read_run_info

SLACK = 2.0  # seconds that a file may be newer than the entry that lists it
ASIDE = '.old'


def clear(
  save_dir: str | os.PathLike,
  stage: str,
  outputs: Iterable[str | os.PathLike],
  same: Callable[[Entry], bool] = lambda _: True,
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
  try:
    older = _older(folder, stage, outputs, same)
    deleted = moved = 0
    for path, when in older.items():
      if not path.is_file() or any(path.relative_to(folder).match(x) for x in keep):
        continue
      if path.stat().st_mtime > when + SLACK:
        path.replace(path.with_name(path.name + ASIDE))
        moved += 1
      else:
        path.unlink()
        deleted += 1
  except (OSError, UserError) as e:  # the new results are whole all the same
    print(f'Files of earlier runs stay in {save_dir}: {e}', file=sys.stderr)
    return
  if deleted:
    print(f'Deleted {_files(deleted)} of earlier runs from {save_dir}.')
  if moved:
    print(
      f'Renamed {_files(moved)} of earlier runs in {save_dir} to *{ASIDE}: '
      'changed since.'
    )


def _older(
  folder: pathlib.Path,
  stage: str,
  outputs: Iterable[str | os.PathLike],
  same: Callable[[Entry], bool],
) -> dict[pathlib.Path, float]:
  """Files that only entries list which this run replaces, and when they ended."""
  written = {pathlib.Path(x).expanduser().resolve() for x in outputs}
  found: dict[pathlib.Path, float] = {}
  for entry in read_run_info(folder):
    replaced = entry.stage == stage and same(entry)
    for path in entry.outputs:
      if replaced and folder in path.parents:
        found[path] = (entry.ended or entry.timestamp).timestamp()
      elif not replaced:
        written.add(path)
  return {k: v for k, v in found.items() if k not in written}


def _files(count: int) -> str:
  return f'{count} {"file" if count == 1 else "files"}'
