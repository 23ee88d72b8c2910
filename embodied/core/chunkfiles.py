"""Chunks on disk: one npz file each, and patches for what was updated since.

For the replay.

  <time>-<uuid>-<succ>-<length>.npz   all arrays; succ is zeros at the end
  updates/<uuid>-<version>.npz        rows that were written over since

A chunk has one file and any number of patches, later ones over earlier ones. Each
save writes the rows that changed since the save before; when patches hold twice as
many rows as differ from the file, one patch with these takes their place.

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
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import elements
import numpy as np

from dreamerv3.base import files, npz
from dreamerv3.base.errors import Unreadable, short
from dreamerv3.base.host import job

from . import patches
from .chunk import Chunk
from .compact import Forms, pack_all

NAME = re.compile(r'(\d{8}T\d{6}F\d{6})-(\w{22})-(\w{22})-(\d+)\.npz')
PATCH = re.compile(r'updates/\w{22}-(\d+)\.npz')
LEFT = re.compile(r'\..*\.npz\.(\w+\.)?tmp')  # of a save that was killed
THREADS = min(8, job.cpus())
# Share of rows above which a patch holds all of them: it takes the place of the
# patches before, and is read without putting single rows into others.
NEARLY_ALL = 0.75

Record = dict[str, Any]  # how a chunk is named in a saved state


@dataclasses.dataclass(frozen=True)
class Snapshot:
  """A chunk at one moment; its arrays are not changed any more."""

  chunk: Chunk
  name: str  # of its file
  version: int
  updated: list[str]
  stamps: np.ndarray
  record: Record
  data: dict[str, np.ndarray]  # empty if what is on disk is enough, or after
  shared: set[str]  # see Chunk


class ChunkFiles:
  """Writes, reads and removes the files of one replay.

  Args:
    directory: Belongs to one replay; made when something is written.
    forms: How keys are kept that are not kept as they come; what files hold in
      another form is packed as it is read.
  """

  def __init__(self, directory: str | os.PathLike, forms: Forms | None = None) -> None:
    self.directory = pathlib.Path(str(directory)).expanduser()
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
      stale = chunk.saved_version != chunk.version
      data = chunk.snapshot() if stale or chunk.file != name else {}
      stamps = chunk.stamps[: chunk.length].copy()
      keys, shared = sorted(chunk.updated), chunk.shared
      result.append(
        Snapshot(chunk, name, chunk.version, keys, stamps, record, data, shared)
      )
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
      self._write_npz(snap.name, snap.data)
      chunk.file, chunk.patches, chunk.patched = snap.name, [], 0
      chunk.file_version = chunk.saved_version = snap.version
    elif chunk.saved_version != snap.version:
      self._write_patch(snap)
    # From here on, updates need no copy, and copies that they made replace
    # these arrays: without this, latents exist twice until the save ends.
    snap.shared.clear()
    snap.data.clear()
    return {
      **snap.record,
      'file': chunk.file,
      'patches': list(chunk.patches),
      'version': chunk.saved_version,
      'updated': snap.updated if chunk.patches else [],
    }

  def _write_patch(self, snap: Snapshot) -> None:
    """Writes the rows that changed since the last save, or since the file."""
    chunk = snap.chunk
    rows = snap.stamps > chunk.saved_version
    differ = snap.stamps > chunk.file_version
    if rows.mean() > NEARLY_ALL:
      rows = differ = np.ones_like(rows)
    before, patched = chunk.patches, chunk.patched + int(rows.sum())
    if rows.all() or patched > 2 * differ.sum():
      rows, before, patched = differ, [], int(differ.sum())
    name = f'updates/{chunk.uuid}-{snap.version}.npz'
    self._write_npz(name, patches.cut({k: snap.data[k] for k in snap.updated}, rows))
    chunk.patches, chunk.patched = [*before, name], patched
    chunk.saved_version = snap.version

  def _write_npz(self, name: str, data: Mapping[str, np.ndarray]) -> None:
    self._known.add(name)
    path = self.directory / name
    path.parent.mkdir(exist_ok=True)
    with files.atomic(path) as file:
      npz.save(file, data)

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
        'patches': (found := self._patches(uuid)),
        'version': max([0, *(int(x[:-4].rpartition('-')[2]) for x in found)]),
        'updated': [],
      }
      for name, time, uuid, succ, length in kept
    ]

  def _patches(self, uuid: str) -> list[str]:
    """All patches of a chunk, the newest last."""
    found = self.directory.glob(f'updates/{uuid}-*.npz')
    mine = [x for x in found if PATCH.fullmatch(f'updates/{x.name}')]
    mine.sort(key=lambda x: (x.stat().st_mtime_ns, len(x.name), x.name))
    return [f'updates/{x.name}' for x in mine]

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
    """Arrays of a chunk, its patches applied; tells in the record what they held."""
    data = self._read_npz(record['file'], max(1, record['length']))
    touched, updated, patched = np.zeros(record['length'], bool), set[str](), 0
    for name in record['patches'] if data else ():
      patch = self._read_npz(name, 0)
      if data is None or patch is None:
        continue
      try:
        patched += patches.put_over(data, patch, touched)
        updated.update(patch.keys() - {patches.ROWS})
      except ValueError as error:
        _tell(f'Skipped {name}: not of {record["file"]} ({error}).')
    record.update(touched=touched, updated=sorted(updated), patched=patched)
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
  named = record['patches']
  if not (
    ours and isinstance(named, list) and all(map(PATCH.fullmatch, map(str, named)))
  ):
    raise ValueError(
      f'the replay names {short(record["file"])!r} with {short(record["length"])} '
      f'steps and {short(named)!r}, expected files of a replay.'
    )


def current(record: Record) -> Record:
  """A copy of a record, in the present form: older ones name at most one patch."""
  patch = record.get('patch')
  return {'patches': [patch] if patch else [], **record}


def names_of(records: Iterable[Record]) -> set[str]:
  """Files that a state needs."""
  return {name for x in records for name in (x['file'], *x['patches'])}


def _tell(text: str) -> None:
  print(text, file=sys.stderr)
