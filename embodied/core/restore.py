"""Puts a saved replay back together from its state and its files.

For Replay.load. Files that are missing or unreadable are skipped with a
notice, and with them the sequences that ran through them.
"""

import sys
from collections.abc import Collection
from typing import Any

import elements
import numpy as np

from .chunk import Chunk, Layout, layout_of
from .chunkfiles import ChunkFiles, current
from .index import MASK, SHIFT, Fifo, Index

FORMAT = 1

# What a state says beyond its chunks, for replays found without one.
UNKNOWN: dict[str, Any] = {
  'items': None,
  'first': 0,
  'next_serial': 0,
  'workers': {},
  'queue': [],
  'rngs': {},
  'totals': {},
  'selector': None,
}


def state_for(
  data: dict[str, Any] | None, files: ChunkFiles, length: int, capacity: int
) -> dict[str, Any]:
  """The state to load: as saved, or as far as the files alone tell it."""
  if data is None:
    records = files.find(capacity + length if capacity else sys.maxsize)
    files.adopt(records)
    return {**UNKNOWN, 'chunks': records}
  if data['format'] != FORMAT:
    raise ValueError(
      f'The replay state has format {data["format"]}, expected {FORMAT}: it '
      'is of another version of this program.'
    )
  # Reading adds to the records; the caller's stay as they are.
  records = [current(x) for x in data['chunks']]
  if not 0 <= data['next_serial'] < 1 << (62 - SHIFT):
    raise ValueError(f'The replay state counts {data["next_serial"]} chunks.')
  files.adopt(records, data['time'])
  if data['length'] != length:
    print(
      f'Sequences have {length} steps now, {data["length"]} before: the '
      'replay keeps its steps and begins a new order of sampling.',
      file=sys.stderr,
    )
    return {**UNKNOWN, 'chunks': records}
  return {**data, 'chunks': records}


def load_chunks(
  index: Index,
  files: ChunkFiles,
  state: dict[str, Any],
  chunksize: int,
  packed: Collection[str] = (),
) -> Layout:
  """Read all chunks of a state into an empty index; returns their layout.

  The chunks that workers were filling get room for `chunksize` steps again. Keys in
  `packed` are in the form in which they are stored.
  """
  records = state['chunks']
  current = {x['chunk'] for x in state['workers'].values()}
  loaded = files.read(records)
  layout: Layout = {}
  for i, record in enumerate(records):
    # Emptied on the way, so no chunk is in memory twice for longer than this.
    arrays, loaded[i] = loaded[i], None
    if arrays is None:
      continue
    mine = layout_of({k: v[0] for k, v in arrays.items() if k != 'stepid'}, packed)
    layout = layout or mine
    if mine != layout:
      raise ValueError(
        f'Replay file {record["file"]} differs from the ones before it: '
        f'{difference(mine, layout)}. Move it out of {files.directory}.'
      )
    uuid = elements.UUID(record['uuid'])
    size = max(chunksize, record['length'])
    chunk = Chunk(record['serial'], size, uuid, record['time'])
    chunk.open = record['serial'] in current
    chunk.fill(arrays, record['length'], mine)
    chunk.file, chunk.patches = record['file'], record['patches']
    chunk.version = chunk.saved_version = record['version']
    chunk.updated, chunk.patched = set(record['updated']), record['patched']
    chunk.stamps[: record['length']][record['touched']] = record['version']
    index.put(chunk)
  for record in records:
    here = index.chunks.get(record['serial'])
    succ = index.chunks.get(record['succ'])
    if here and succ:
      here.succ, succ.prev = succ, here
  return layout


def load_items(index: Index, state: dict[str, Any]) -> np.ndarray:
  """Fill the items of an index whose chunks are there; returns them."""
  starts = {serial: index.starts(x) for serial, x in index.chunks.items()}
  if state['items'] is None:
    # Oldest chunk first, as they are sorted.
    parts = [np.arange(n) + (s << SHIFT) for s, n in starts.items()]
    items = np.concatenate([np.zeros(0, np.int64), *parts])
  else:
    items = np.asarray(state['items'], np.int64)
    serials = np.array(sorted([-1, *starts]), np.int64)
    limit = np.array([starts.get(x, 0) for x in serials.tolist()], np.int64)
    place = np.searchsorted(serials, items >> SHIFT).clip(max=len(serials) - 1)
    here = serials[place] == items >> SHIFT
    items = items[here & ((items & MASK) < limit[place])]
  index.items = Fifo(items)
  index.first = state['first']
  index.next_serial = max(index.next_serial, state['next_serial'])
  hold(index, items)
  return items


def hold(index: Index, addresses: np.ndarray | list[int]) -> None:
  """Count the starts of sequences in their chunks."""
  serials = np.asarray(addresses, np.int64) >> SHIFT
  for serial, count in zip(*np.unique(serials, return_counts=True), strict=True):
    index.chunks[int(serial)].refs += int(count)


def agreed(loaded: Layout, own: Layout) -> Layout:
  """The layout of what was read and of this run's steps, either of which may be {}.

  Raises:
    ValueError: they differ.
  """
  if loaded and own and loaded != own:
    raise ValueError(
      'The replay on disk differs from the steps of this run: '
      f'{difference(loaded, own)}. Use another logdir, or '
      'move the replay folder away.'
    )
  return loaded or own


def difference(got: Layout, want: Layout) -> str:
  """Where two layouts differ, with both values."""
  keys = [k for k in sorted({*got, *want}) if got.get(k) != want.get(k)]
  return '; '.join(
    f'{k} is {_show(got.get(k))}, expected {_show(want.get(k))}' for k in keys
  )


def _show(entry: tuple | None) -> str:
  return f'{entry[1]}{list(entry[0])}' if entry else 'not there'
