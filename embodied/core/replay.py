"""Where steps of experience are kept, and batches of sequences come from.

For the training loops; docs/replay.md explains what is stored and saved.

  replay = Replay(length=65, capacity=1_000_000, directory='logdir/replay')
  replay.add(step, worker=0)
  batch = replay.sample(16)  # {key: (16, 65, ...)}
"""

import dataclasses
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import base, chunk, restore, selectors
from .chunk import Chunk
from .chunkfiles import ChunkFiles
from .compact import Forms, pack_all
from .index import SHIFT, Index, Segment, address_of


@dataclasses.dataclass
class Worker:
  """The end of one worker's stream."""

  chunk: Chunk | None = None
  # Starts of the sequences that are not complete yet, oldest first.
  window: deque[int] = dataclasses.field(default_factory=deque)
  steps: int = 0


class Replay:
  """Sequences of `length` consecutive steps, first in, first out.

  Every step of a worker starts one sequence (an item) as soon as the steps
  after it have come; sequences may cross ends of episodes. Threads may add,
  sample and update at the same time.

  Args:
    length: Steps of a sequence.
    capacity: Number of items kept; 0 means all.
    directory: Where `save` writes; None for a replay that is not saved.
    chunksize: Steps per block of memory and per file.
    online: Whether sampling in mode 'train' first gives each new stretch of
      `length` steps once, in order of arrival.
    fracs, prio, recexp: How to choose items, see selectors.make_selector.
    seed: Of sampling. Each mode has a generator of its own, so reports do not
      change what is trained on.
    forms: How keys are kept that are not kept as they come, such as latents.
    context: Steps of a sequence of which these keys are read; 0 means all.
  """

  def __init__(
    self,
    length: int,
    capacity: int = 0,
    directory: str | os.PathLike | None = None,
    chunksize: int = 1024,
    online: bool = False,
    fracs: Mapping[str, float] | None = None,
    prio: Mapping[str, Any] | None = None,
    recexp: float = 1.0,
    seed: int = 0,
    forms: Forms | None = None,
    context: int = 0,
  ) -> None:
    if length < 1 or capacity < 0 or not 1 <= chunksize < 1 << SHIFT:
      raise ValueError(
        f'Replay of length {length}, capacity {capacity}, chunksize '
        f'{chunksize}: expected >= 1, >= 0, and 1 to {(1 << SHIFT) - 1}.'
      )
    self.length = length
    self.capacity = int(capacity)
    self.chunksize = int(chunksize)
    self.online = online
    self.seed = seed
    self._choice = (fracs or {'uniform': 1.0}, prio, recexp)
    self._forms = dict(forms or {})
    self._context = context or length
    self._files = ChunkFiles(directory, self._forms) if directory else None
    # Guards all below; updates also wait for copies under way (`_copies`).
    self._lock = threading.Condition()
    self._copies = 0
    self._layout: chunk.Layout = {}
    self._totals = dict.fromkeys(('inserts', 'samples', 'updates'), 0)
    self._reported = dict(self._totals)
    self._clear()

  def _clear(self) -> None:
    self._index = Index(self.length)
    self._selector = selectors.make_selector(self._index, *self._choice)
    self._workers: dict[int, Worker] = {}
    self._queue: deque[int] = deque()  # online items, by address
    self._rngs: dict[str, np.random.Generator] = {}

  def __len__(self) -> int:
    """Number of items, i.e. of sequences that can be sampled."""
    return len(self._index.items)

  def add(self, step: base.Step, worker: int = 0) -> None:
    """Append one step to a worker's stream; keys `log/*` are left out.

    ValueError if keys or shapes differ from those of earlier steps.
    """
    step = {k: v for k, v in step.items() if k[:4] != 'log/'}
    step = pack_all(step, self._forms)
    with self._lock:
      self._check(step)
      state = self._workers.setdefault(worker, Worker())
      address = self._append(step, state)
      self._totals['inserts'] += 1
      state.steps += 1
      state.window.append(address)
      if len(state.window) == self.length:
        self._selector.insert(self._index.insert(state.window.popleft()))
        if self.online and state.steps % self.length == 0:
          self._queue.append(int(self._index.items[len(self) - 1]))
      while self.capacity and len(self) > self.capacity:
        self._evict()

  def _append(self, step: base.Step, state: Worker) -> int:
    old = state.chunk
    if old is None or old.full:
      state.chunk = self._index.new_chunk(self.chunksize, old)
      state.chunk.allocate(self._layout)
      if old is not None:
        self._index.close(old)
    assert state.chunk is not None
    state.chunk.refs += 1
    return address_of(state.chunk, state.chunk.append(step))

  def _evict(self) -> None:
    number = self._index.first
    address = self._index.evict()
    self._selector.evict(number, address)
    if self._queue and self._queue[0] == address:
      self._queue.popleft()

  def _check(self, step: base.Step) -> None:
    if not self._layout:
      self._layout = chunk.layout_of(step, self._forms)
    layout = self._layout
    if step.keys() == layout.keys() and all(
      np.shape(v) == layout[k][0] for k, v in step.items()
    ):
      return
    what = restore.difference(chunk.layout_of(step, self._forms), layout)
    raise ValueError(f'A step differs from those in the replay: {what}.')

  def sample(self, batch: int, mode: str = 'train') -> base.Batch:
    """A batch {key: (batch, length, ...)} of sequences; of keys with a form, whose
    values are float32, (batch, context, ...).

    The first step counts as `is_first`, and a step before an `is_first` as
    `is_last`, also where an interrupted run cut the episode.
    """
    return self.defer(batch, mode)()

  def defer(self, batch: int, mode: str = 'train') -> Callable[[], base.Batch]:
    """Choose a batch now; the function that is returned copies it.

    That has to be called exactly once, in any thread; updates of keys without a form
    wait for it.
    """
    with self._lock:
      if not len(self):
        raise ValueError(
          f'The replay has no sequence of {self.length} steps yet, only '
          f'{self._totals["inserts"]} steps were added.'
        )
      whole: list[Segment] = []
      heads: list[Segment] = []
      for address in self._choose(batch, mode):
        whole += self._index.segments(address, self.length)
        heads += self._index.segments(address, self._context)
      # These few bytes now, so that updates of them wait for no thread.
      packed = self._forms.keys() & self._layout.keys()
      first = {k: _joined(heads, k, batch) for k in packed}
      self._totals['samples'] += batch
      self._copies += 1
    return lambda: self._copy(batch, whole, first)

  def _choose(self, batch: int, mode: str) -> list[int]:
    chosen: list[int] = []
    if mode == 'train':
      while self._queue and len(chosen) < batch:
        chosen.append(self._queue.popleft())
    if mode not in self._rngs:
      self._rngs[mode] = np.random.default_rng([self.seed, *mode.encode()])
    rest = batch - len(chosen)
    # Reports do not change what is trained on.
    numbers = self._selector.choose(self._rngs[mode], rest, mode == 'train')
    return chosen + self._index.addresses(numbers).tolist()

  def _copy(self, batch: int, whole: list[Segment], first: base.Batch) -> base.Batch:
    try:
      data = whole[0][0].data
      result = {k: first[k] if k in first else _joined(whole, k, batch) for k in data}
    finally:
      with self._lock:
        self._copies -= 1
        self._lock.notify_all()
    for key in first:
      result[key] = self._forms[key].unpack(result[key])
    if 'is_first' in result:
      if 'is_last' in result:
        result['is_last'][:, :-1] |= result['is_first'][:, 1:]
      result['is_first'][:, 0] = True
    return result

  def update(self, data: base.Batch) -> None:
    """Write new values over stored steps, e.g. latents of a newer model.

    Args:
      data: `stepid` (B, T, 20) of rows of consecutive steps, of which the
        first one counts; any stored keys (B, T, ...); `priority` (B, T) for
        the selector. Steps that are gone by now are skipped.
    """
    packed = pack_all(data, self._forms)
    values = {k: np.asarray(v) for k, v in packed.items()}
    stepid = values.pop('stepid')
    priority = values.pop('priority', None)
    chunk.check_update(self._layout, stepid, values)
    with self._lock:
      if not values.keys() <= self._forms.keys():
        self._lock.wait_for(lambda: not self._copies)
      weighed = []
      for row in range(len(stepid)):
        uuid = stepid[row, 0, :16].tobytes()
        serial = self._index.serials.get(uuid)
        if serial is None:
          continue
        start = int.from_bytes(stepid[row, 0, 16:].tobytes(), 'big')
        address = serial << SHIFT | start
        at = 0
        segments = self._index.segments(address, stepid.shape[1])
        for target, first, last in segments:
          size = last - first
          rows = {k: v[row, at : at + size] for k, v in values.items()}
          target.update(first, last, rows)
          at += size
        if priority is not None and at:
          weighed.append((address, priority[row, :at]))
      self._selector.prioritize(weighed)
      self._totals['updates'] += len(stepid)

  def save(self) -> Callable[[], dict[str, Any] | None]:
    """Take a snapshot now; the function that is returned writes it.

    That can run in another thread while the replay is used; it returns the
    state for `load`, once all files are on disk. The snapshot itself copies
    only the list of items. Call it before the next `save`.

    Raises (the returned function):
      OSError: the disk is full, or the directory cannot be written.
    """
    files = self._files
    if not files:
      return lambda: None
    with self._lock:
      state = {
        'format': restore.FORMAT,
        'length': self.length,
        'time': Chunk(0, 0).time,
        'items': self._index.items.array(),
        'first': self._index.first,
        'next_serial': self._index.next_serial,
        'queue': list(self._queue),
        'workers': {
          key: {
            'chunk': x.chunk.serial if x.chunk else -1,
            'window': list(x.window),
            'steps': x.steps,
          }
          for key, x in self._workers.items()
        },
        'rngs': {k: v.bit_generator.state for k, v in self._rngs.items()},
        'totals': dict(self._totals),
        'selector': self._selector.save(),
      }
      snapshots = files.snapshot(self._index.chunks.values())
    return lambda: {**state, 'chunks': files.write(snapshots)}

  def load(self, data: dict[str, Any] | None) -> None:
    """Replace the content by a saved one.

    Args:
      data: A saved state, which is restored exactly. None takes what chunk
        files are in the directory, newest first: those of other programs, or
        after a lost checkpoint.

    Raises:
      ValueError: the steps on disk have other keys, shapes or dtypes.
    """
    if not self._files:
      return
    state = restore.state_for(data, self._files, self.length, self.capacity)
    with self._lock:
      self._lock.wait_for(lambda: not self._copies)
      self._clear()
      index = self._index
      layout = restore.load_chunks(
        index, self._files, state, self.chunksize, self._forms
      )
      self._layout = restore.agreed(layout, self._layout)
      items = restore.load_items(index, state)
      for key, saved in state['workers'].items():
        here = index.chunks.get(saved['chunk'])
        if here:
          window = [x for x in saved['window'] if x >> SHIFT in index.chunks]
          restore.hold(index, window)
          self._workers[key] = Worker(here, deque(window), saved['steps'])
      queue = np.array(state['queue'], np.int64)
      self._queue.extend(queue[np.isin(queue, items)].tolist())
      for mode, rng in state['rngs'].items():
        self._rngs[mode] = np.random.default_rng()
        self._rngs[mode].bit_generator.state = rng
      self._totals.update(state['totals'])
      self._reported = dict(self._totals)
      self._selector.load(state['selector'])
      while self.capacity and len(self) > self.capacity:
        self._evict()
      for oldest in [x for x in index.chunks.values() if x.prev is None]:
        index.release(oldest)

  def stats(self) -> dict[str, float]:
    """Sizes now; inserts, samples and updates since the last call."""
    with self._lock:
      total, last = dict(self._totals), self._reported
      self._reported = total
      new = {k: total[k] - last[k] for k in total}
      ratio = self.length * new['samples'] / (new['inserts'] or float('nan'))
      return {
        'items': len(self),
        'chunks': len(self._index.chunks),
        'streams': len(self._workers),
        'ram_gb': self._index.nbytes / 1024**3,
        **new,
        'replay_ratio': ratio,
      }


def _joined(pieces: Sequence[Segment], key: str, batch: int) -> np.ndarray:
  """Rows (batch, steps, ...) of a key: one call, whatever they are made of."""
  steps = np.concatenate([x.data[key][a:b] for x, a, b in pieces])
  return steps.reshape(batch, -1, *steps.shape[1:])
