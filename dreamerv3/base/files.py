"""Files that are whole or absent: atomic writing of every form we use.

with atomic('results.pkl') as file: pickle.dump(results, file)
"""

import contextlib
import csv
import json
import os
import pathlib
import pickle
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np

from dreamerv3.base.errors import UserError

PROTOCOL = 4  # numpy arrays as plain bytes; any Python >= 3.4 reads it


@contextlib.contextmanager
def atomic(path: str | os.PathLike, mode: str = 'wb') -> Iterator[IO[Any]]:
  """Opens a file that appears under `path` only once it is complete.

  Writes beside the target, flushes to disk and renames; an exception or a
  kill in between leaves the old file, if any, untouched.
  """
  path = pathlib.Path(path)
  temp = path.with_name(f'.{path.name}.{uuid.uuid4().hex[:8]}.tmp')
  try:
    with open(temp, mode, newline='' if 'b' not in mode else None) as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    os.replace(temp, path)
  finally:
    temp.unlink(missing_ok=True)


def make_folder(path: str | os.PathLike) -> pathlib.Path:
  """Creates a folder to write to, parents included, or raises UserError."""
  path = pathlib.Path(path).expanduser()
  try:
    path.mkdir(parents=True, exist_ok=True)
    probe = path / f'.{uuid.uuid4().hex[:8]}.tmp'
    probe.touch()
    probe.unlink()
  except OSError as e:
    raise UserError(
      f'Cannot write to {path} ({e.strerror}); choose another folder.'
    ) from e
  return path


def save_pickle(path: str | os.PathLike, value: Any) -> pathlib.Path:
  with atomic(path) as file:
    pickle.dump(value, file, protocol=PROTOCOL)
  return pathlib.Path(path)


def save_json(path: str | os.PathLike, value: Any) -> pathlib.Path:
  with atomic(path, 'w') as file:
    json.dump(value, file, indent=2)
    file.write('\n')
  return pathlib.Path(path)


def save_csv(
  path: str | os.PathLike, rows: Sequence[Mapping[str, Any]]
) -> pathlib.Path:
  """Writes rows with the columns of the first; floats with 6 digits."""
  columns = list(rows[0]) if rows else []
  with atomic(path, 'w') as file:
    writer = csv.DictWriter(file, columns, lineterminator='\n')
    writer.writeheader()
    for row in rows:
      writer.writerow({k: _short(v) for k, v in row.items()})
  return pathlib.Path(path)


def save_figure(path: str | os.PathLike, figure: Any, dpi: int = 150) -> pathlib.Path:
  """Saves a matplotlib figure; the form is the suffix of `path`."""
  form = pathlib.Path(path).suffix.lstrip('.')
  with atomic(path) as file:
    figure.savefig(file, format=form, dpi=dpi, bbox_inches='tight')
  return pathlib.Path(path)


def _short(value: Any) -> Any:
  real = isinstance(value, float | np.floating)
  return f'{value:.6g}' if real else value
