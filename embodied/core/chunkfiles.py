"""Chunks on disk: one npz file each, and patches for what was updated since.

For the replay.

  <time>-<uuid>-<succ>-<length>.npz   all arrays; succ is zeros at the end
  updates/<uuid>-<version>.npz        arrays that were written over since

A file is written once, under a temporary name, and never changed. A save
removes files that neither it nor the save before it names. So whatever
interrupts a save, everything that the last complete one names is there.

  files = ChunkFiles('logdir/replay'); files.write(files.snapshot(chunks))
"""

import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import elements
import numpy as np

from dreamerv3.base import files, npz
from dreamerv3.base.errors import Unreadable, short
from dreamerv3.base.host import job

from .chunk import Chunk
from .compact import Forms, pack_all

NAME = re.compile(r'(\d{8}T\d{6}F\d{6})-(\w{22})-(\w{22})-(\d+)\.npz')
PATCH = re.compile(r'updates/\w{22}-(\d+)\.npz')
LEFT = re.compile(r'\..*\.npz\.(\w+\.)?tmp')  # of a save that was killed
THREADS = min(8, job.cpus())

Record = dict[str, Any]  # how a chunk is named in a saved state


@dataclasses.dataclass(frozen=True)
class Snapshot:
  """A chunk at one moment; its arrays are not changed any more."""

  chunk: Chunk
  name: str  # of its file
  version: int
  updated: list[str]
  record: Record
  data: dict[str, np.ndarray]  # empty if what is on disk is enough, or after
  shared: set[str]  # see Chunk


class ChunkFiles:
  """Writes, reads and removes the files of one replay.

  Args:
    directory: Belongs to one replay; made when something is written.
    save_updates: Whether to write what was updated since a chunk's file was
      written. Without, a resumed run finds the values of that time.
    forms: How keys are kept that are not kept as they come; what files hold in
      another form is packed as it is read.
  """

  def __init__(
    self,
    directory: str | os.PathLike,
    save_updates: bool = True,
    forms: Forms | None = None,
  ) -> None:
    self.directory = pathlib.Path(str(directory)).expanduser()
    self.save_updates = save_updates
    self.forms = forms or {}
    self._known: set[str] = set()  # names that are ours to remove
    self._previous: set[str] = set()  # names in the last complete state

  def snapshot(self, chunks: Iterable[Chunk]) -> list[Snapshot]:
    """What to write later, taken at once and without copying."""
    result = []
    for chunk in chunks:
      if not chunk.length:
        continue
      succ = chunk.succ if chunk.succ and chunk.succ.length else None
      after = succ.uuid if succ else elements.UUID(0)
      name = f'{chunk.time}-{chunk.uuid}-{after}-{chunk.length}.npz'
      record = {
        'serial': chunk.serial,
        'uuid': str(chunk.uuid),
        'time': chunk.time,
        'succ': succ.serial if succ else -1,
        'length': chunk.length,
      }
      stale = self.save_updates and chunk.saved_version != chunk.version
      data = chunk.snapshot() if stale or chunk.file != name else {}
      keys, shared = sorted(chunk.updated), chunk.shared
      result.append(Snapshot(chunk, name, chunk.version, keys, record, data, shared))
    return result

  def write(self, snapshots: Sequence[Snapshot]) -> list[Record]:
    """Write what is not on disk yet; returns the records of a state.

    Raises:
      OSError: the disk is full or the folder cannot be written. Everything
        that the last complete save needs is still there.
    """
    try:
      self.directory.mkdir(parents=True, exist_ok=True)
      if not self._known:  # the first save of this process
        self._clear_unfinished()
      with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        records = list(pool.map(self._write_one, snapshots))
      names = names_of(records)
      self._remove(self._known - names - self._previous)
    except OSError as error:
      raise OSError(
        error.errno,
        f'Cannot save the replay ({error.strerror}). The last complete save '
        'is intact. Free disk space or make the folder writable, then run '
        'the same command again',
        str(self.directory),
      ) from error
    self._known = names | self._previous
    self._previous = names
    return records

  def _write_one(self, snap: Snapshot) -> Record:
    chunk = snap.chunk
    if chunk.file != snap.name:
      self._write_npz(snap.name, snap.data, np.savez_compressed)
      chunk.file, chunk.patch = snap.name, None
      chunk.saved_version = snap.version
    elif self.save_updates and chunk.saved_version != snap.version:
      name = f'updates/{chunk.uuid}-{snap.version}.npz'
      data = {k: snap.data[k] for k in snap.updated}
      # Not compressed: all chunks may have to be written at every save.
      self._write_npz(name, data, np.savez)
      chunk.patch, chunk.saved_version = name, snap.version
    # From here on, updates need no copy, and copies that they made replace
    # these arrays: without this, latents exist twice until the save ends.
    snap.shared.clear()
    snap.data.clear()
    return {
      **snap.record,
      'file': chunk.file,
      'patch': chunk.patch or '',
      'version': chunk.saved_version,
      'updated': snap.updated if chunk.patch else [],
    }

  def _write_npz(self, name: str, data: Mapping, save: Callable[..., None]) -> None:
    self._known.add(name)
    path = self.directory / name
    path.parent.mkdir(exist_ok=True)
    with files.atomic(path) as file:
      save(file, **data)

  def _remove(self, names: Iterable[str]) -> None:
    for name in names:
      (self.directory / name).unlink(missing_ok=True)

  def adopt(self, records: Sequence[Record], since: str = '') -> None:
    """Begin with the files of a loaded state.

    Leftovers of its future (chunks begun after the time `since`, other
    lengths of its chunks, unnamed patches) go at the next save.
    """
    for record in records:
      _check_record(record)
    self._clear_unfinished()
    self._previous = names_of(records)
    uuids = {x['uuid'] for x in records}
    left = {
      name
      for name, time, uuid, _, _ in self._listing()
      if uuid in uuids or (since and time > since)
    }
    patches = self.directory.glob('updates/*.npz')
    left |= {f'updates/{x.name}' for x in patches}
    self._known = self._previous | left

  def _clear_unfinished(self) -> None:
    """Removes what a killed save began; the folder belongs to one replay."""
    for folder in (self.directory, self.directory / 'updates'):
      for path in folder.glob('.*.tmp'):
        if LEFT.fullmatch(path.name):
          with contextlib.suppress(OSError):
            path.unlink()

  def find(self, steps: int) -> list[Record]:
    """Records of the newest chunks in the folder, up to about `steps`.

    For folders without a saved state: of other programs, or when a run lost
    its checkpoint. Of a chunk that is there twice, the longer file counts.
    """
    longest: dict[str, tuple] = {}
    for entry in self._listing():
      uuid, length = entry[2], entry[4]
      if uuid not in longest or length > longest[uuid][4]:
        longest[uuid] = entry
    kept, total = [], 0
    for entry in sorted(longest.values(), key=lambda x: x[1], reverse=True):
      if total >= steps:
        break
      kept.append(entry)
      total += entry[4]
    kept.reverse()
    serials = {uuid: i for i, (_, _, uuid, _, _) in enumerate(kept)}
    return [
      {
        'serial': serials[uuid],
        'uuid': uuid,
        'time': time,
        'succ': serials.get(succ, -1),
        'length': length,
        'file': name,
        'patch': (patch := self._newest_patch(uuid)),
        'version': int(patch[:-4].rpartition('-')[2]) if patch else 0,
        'updated': [],
      }
      for name, time, uuid, succ, length in kept
    ]

  def _newest_patch(self, uuid: str) -> str:
    found = self.directory.glob(f'updates/{uuid}-*.npz')
    found = (x for x in found if PATCH.fullmatch(f'updates/{x.name}'))
    newest = max(found, key=lambda x: x.stat().st_mtime_ns, default=None)
    return f'updates/{newest.name}' if newest else ''

  def _listing(self) -> list[tuple[str, str, str, str, int]]:
    """(name, time, uuid, succ, length) of all chunk files."""
    result = []
    for path in sorted(self.directory.glob('*.npz')):
      match = NAME.fullmatch(path.name)
      if match:
        time, uuid, succ, length = match.groups()
        result.append((path.name, time, uuid, succ, int(length)))
      else:
        _tell(f'Skipped {path}: not a name of a replay chunk.')
    return result

  def read(self, records: Sequence[Record]) -> list[dict | None]:
    """Arrays of each chunk, None where its file cannot be read."""
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
      return list(pool.map(self._read_one, records))

  def _read_one(self, record: Record) -> dict[str, np.ndarray] | None:
    data = self._read_npz(record['file'], max(1, record['length']))
    if data is None or not record['patch']:
      return data
    patch = self._read_npz(record['patch'], 0) or {}
    if any(k not in data or _row(v) != _row(data[k]) for k, v in patch.items()):
      _tell(f'Skipped {record["patch"]}: not of {record["file"]}.')
      patch = {}
    record['updated'] = sorted(patch)
    for key, value in patch.items():
      # A patch can be of an earlier moment, when the chunk was shorter.
      data[key][: len(value)] = value[: len(data[key])]
    return data

  def _read_npz(self, name: str, length: int) -> dict | None:
    path = self.directory / name
    try:
      data = npz.load(path)
    except Unreadable as error:
      _tell(f'Skipped {path}: cannot be read ({error.why or error}).')
      return None
    if not data or min(len(x) if x.ndim else -1 for x in data.values()) < length:
      _tell(f'Skipped {path}: cannot be read (fewer than {length} steps).')
      return None
    if any(x.dtype.kind not in 'biuf' for x in data.values()):
      _tell(f'Skipped {path}: cannot be read (not only numbers).')
      return None
    try:
      return pack_all(data, self.forms)
    except ValueError as error:
      _tell(f'Skipped {path}: {error}')
      return None


def _check_record(record: Record) -> None:
  """That a record names files of a replay, which may be read and removed."""
  match = NAME.fullmatch(str(record['file']))
  ours = match and int(match[4]) == record['length']
  if not ours or (record['patch'] and not PATCH.fullmatch(str(record['patch']))):
    raise ValueError(
      f'the replay names {short(record["file"])!r} with {short(record["length"])} '
      f'steps and {short(record["patch"])!r}, expected files of a replay.'
    )


def _row(values: np.ndarray) -> tuple[tuple[int, ...], np.dtype]:
  return values.shape[1:], values.dtype


def names_of(records: Iterable[Record]) -> set[str]:
  """Files that a state needs."""
  return {x[k] for x in records for k in ('file', 'patch') if x[k]}


def _tell(text: str) -> None:
  print(text, file=sys.stderr)
