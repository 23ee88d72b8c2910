"""Streams between the replay and the agent; each can be saved and continued.

For whoever wires a training run:

  stream = Replayed(replay, batch=16, mode='train')
  stream = Consec(stream, length=64, consec=1, prefix=1)
  stream = Prefetch(stream, transform=to_device)
"""

import collections
import concurrent.futures
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from . import base
from .replay import Replay


class Replayed(base.Stream):
  """Batches of a replay; their choice is part of the replay's own state."""

  def __init__(self, replay: Replay, batch: int, mode: str = 'train') -> None:
    self._replay = replay
    self._batch = batch
    self._mode = mode

  def __next__(self) -> base.Batch:
    return self.defer()()

  def defer(self) -> Callable[[], base.Batch]:
    """Chooses a batch now, to be read later."""
    return self._replay.defer(self._batch, self._mode)

  def form(self) -> tuple[int, int]:
    """Rows and steps of a batch."""
    return self._batch, self._replay.length


class Consec(base.Stream):
  """Cuts sequences into `consec` consecutive ones that share their context.

  Of a sequence of prefix + consec * length steps, batch i holds steps
  [i * length, i * length + prefix + length): each starts with the last
  `prefix` steps of the one before it. The key `consec` (B, prefix + length)
  int32 is i, so an agent knows when to carry its state over.

  Args:
    source: Batches with at least so many steps; more are cut off.
    length: Steps per batch, without the prefix.
    consec: Batches per sequence.
    prefix: Steps of context in front of each batch.
  """

  def __init__(
    self, source: base.Stream, length: int, consec: int = 1, prefix: int = 0
  ) -> None:
    self._source = source
    self._length = length
    self._consec = consec
    self._prefix = prefix
    self._index = 0
    self._whole: _Once | None = None

  def __next__(self) -> base.Batch:
    return self.defer()()

  def defer(self) -> Callable[[], base.Batch]:
    """The next part of a batch, to be read later."""
    if self._whole is None:
      self._whole = _Once(self._source.defer())
    whole, index = self._whole, self._index
    self._index = (index + 1) % self._consec
    if not self._index:
      self._whole = None
    return lambda: self._cut(whole(), index)

  def _cut(self, data: base.Batch, index: int) -> base.Batch:
    rows, steps = _form(data)
    if steps < self._prefix + self._consec * self._length:
      raise ValueError(
        f'Sequences have {steps} steps, expected at least {self._prefix} + '
        f'{self._consec} x {self._length} (prefix + consec x length).'
      )
    start = index * self._length
    stop = start + self._prefix + self._length
    # What is of fewer steps, the stored latents, belongs to the whole sequence.
    batch = {k: v[:, start:stop] if v.shape[1] == steps else v for k, v in data.items()}
    batch['consec'] = np.full((rows, stop - start), index, np.int32)
    return batch

  def form(self) -> tuple[int, int] | None:
    """Rows and steps of a part."""
    whole = self._source.form()
    return whole and (whole[0], self._prefix + self._length)

  def save(self) -> dict[str, Any]:
    """The position, with the batch that is in use."""
    return {
      'source': self._source.save(),
      'index': self._index,
      'whole': self._whole and self._whole(),
    }

  def load(self, data: dict[str, Any]) -> None:
    """Continues inside the saved batch, if it still fits."""
    self._source.load(data['source'])
    self._index, whole = data['index'], data['whole']
    if whole and fits(self._source, whole) and self._index < self._consec:
      self._whole = _Once(lambda: whole)
    else:
      self._index, self._whole = 0, None


class _Once:
  """Calls a function at the first call and keeps its result."""

  def __init__(self, fn: Callable[[], base.Batch]) -> None:
    self._fn: Callable[[], base.Batch] | None = fn
    self._value: base.Batch = {}

  def __call__(self) -> base.Batch:
    if self._fn is not None:
      self._value, self._fn = self._fn(), None
    return self._value


class Prefetch(base.Stream):
  """Builds batches ahead in a thread, while the agent computes.

  Which batch comes next is decided in the caller's thread, at the previous
  call, so a run does not depend on how fast the thread is. An exception in
  the thread is raised by the `next` that would have returned the batch.

  Args:
    source: Where batches come from.
    transform: Applied in the thread, e.g. the copy to the device. It must
      not carry state: a batch that was built but not taken when the stream is
      saved is transformed again after loading, or dropped if batches have
      another form now.
    amount: Batches built ahead.
  """

  def __init__(
    self,
    source: base.Stream,
    transform: Callable[[base.Batch], base.Batch] = lambda batch: batch,
    amount: int = 1,
  ) -> None:
    if amount < 1:
      raise ValueError(f'Prefetch of {amount} batches: expected at least 1.')
    self._source = source
    self._transform = transform
    self._amount = amount
    # One thread, so batches are built in the order in which they were chosen.
    self._thread = concurrent.futures.ThreadPoolExecutor(1, 'prefetch')
    # Futures of (batch, transformed batch).
    self._ahead: collections.deque[concurrent.futures.Future] = collections.deque()

  def __next__(self) -> base.Batch:
    if not self._ahead:
      self._submit(self._source.defer())
    batch = self.take()
    self.fill()
    return batch

  def __len__(self) -> int:
    """Batches that are chosen and not taken yet."""
    return len(self._ahead)

  def take(self) -> base.Batch:
    """The next of the batches ahead; `fill` has to follow.

    The two are what `next` does, apart: a batch can be put to use at once while
    the choice of others waits for what the replay is about to get.

    Raises:
      IndexError: none is ahead.
    """
    return self._ahead.popleft().result()[1]

  def fill(self) -> None:
    """Choose batches until `amount` are ahead."""
    while len(self._ahead) < self._amount:
      self._submit(self._source.defer())

  def _submit(self, build: Callable[[], base.Batch]) -> None:
    self._ahead.append(self._thread.submit(self._build, build))

  def _build(self, build: Callable) -> tuple[base.Batch, base.Batch]:
    batch = build()
    return batch, self._transform(batch)

  def save(self) -> dict[str, Any]:
    """The source's position, and the batches that were built ahead."""
    ahead = [future.result()[0] for future in self._ahead]
    return {'source': self._source.save(), 'ahead': ahead}

  def load(self, data: dict[str, Any]) -> None:
    """Drops what was read ahead, and continues the source."""
    concurrent.futures.wait(self._ahead)
    self._ahead.clear()
    self._source.load(data['source'])
    for batch in data['ahead']:
      if fits(self._source, batch):
        self._submit(functools.partial(dict, batch))

  def close(self) -> None:
    """End the thread once what it works on is done."""
    self._thread.shutdown()


def fits(source: base.Stream, batch: base.Batch) -> bool:
  """Whether a saved batch has the form of those that a stream gives now."""
  return source.form() in (None, _form(batch))


def _form(batch: base.Batch) -> tuple[int, int]:
  rows, steps = max(x.shape[:2] for x in batch.values())
  return rows, steps
