"""Writes pickles that are larger than memory.

A pickle is a sequence of instructions, so a dict can be written key by key
and an array piece by piece. What comes out is an ordinary protocol 4 pickle:
`pickle.load` with numpy installed reads it, and so does `unpickle.scan`.

  with files.atomic('episode_001.pkl') as file:
    write_dict(file, [('length', 3), ('image', ArrayPieces(dtype, shape, pieces))])

Such files can be joined without being opened, see `Joined`.
"""

import dataclasses
import math
import os
import pathlib
import pickle
import shutil
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any

import numpy as np

from dreamerv3.base.errors import UserError

# How every file written here begins, and how it ends.
BEGIN = pickle.PROTO + b'\x04' + pickle.EMPTY_DICT + pickle.MARK
END = pickle.SETITEMS + pickle.STOP


@dataclasses.dataclass(frozen=True)
class ArrayPieces:
  """An array whose bytes come in pieces, in C order."""

  dtype: np.dtype[Any]
  shape: tuple[int, ...]
  pieces: Callable[[], Iterable[Any]]  # of bytes or contiguous arrays


@dataclasses.dataclass(frozen=True)
class Again:
  """The value of the key before this one: the same object, no more bytes."""


@dataclasses.dataclass(frozen=True)
class Joined:
  """A list of the dicts in other files of `write_dict`, copied as bytes."""

  paths: Sequence[pathlib.Path]


def write_dict(file: IO[bytes], items: Iterable[tuple[str, Any]]) -> None:
  """Writes a dict whose values may be `ArrayPieces`, `Again` or `Joined`.

  Raises:
    UserError: a file to be joined was not written by this function.
  """
  file.write(BEGIN)
  for key, value in items:
    file.write(_key(key))
    if isinstance(value, ArrayPieces):
      _write_array(file, value)
    elif isinstance(value, Again):
      file.write(pickle.BINGET + b'\x00')
      continue
    elif isinstance(value, Joined):
      _write_joined(file, value)
    else:
      file.write(_frame(_code(value)))
    # Numbered, not appended: joined files each have a number 0 of their own.
    file.write(pickle.BINPUT + b'\x00')
  file.write(END)


def _code(value: Any) -> bytes:
  """Instructions that make a value, wherever in a pickle they stand.

  Protocol 3 numbers what it remembers, so later code overwrites earlier
  numbers and none depends on what was before; protocol 4 counts along.
  """
  return pickle.dumps(value, protocol=3)[2:-1]


def _key(text: str) -> bytes:
  """A string that is not remembered, so that number 0 stays the value."""
  raw = text.encode()
  return _frame(pickle.BINUNICODE + struct.pack('<I', len(raw)) + raw)


def _frame(code: bytes) -> bytes:
  """Announces the length of small code, so that it is read in one go."""
  return pickle.FRAME + struct.pack('<Q', len(code)) + code


def _write_array(file: IO[bytes], array: ArrayPieces) -> None:
  reduced: Any = np.empty((0,), array.dtype).__reduce__()
  make, args, (version, _, dtype, fortran, _) = reduced
  size = math.prod(array.shape) * array.dtype.itemsize
  head = _code(make) + _code(args) + pickle.REDUCE + pickle.MARK
  head += b''.join(map(_code, (version, array.shape, dtype, fortran)))
  file.write(_frame(head))
  file.write(pickle.BINBYTES8 + struct.pack('<Q', size))
  before = file.tell()
  for piece in array.pieces():
    file.write(piece)
  written = file.tell() - before
  assert written == size, (written, size, array.shape, array.dtype)
  file.write(pickle.TUPLE + pickle.BUILD)


def _write_joined(file: IO[bytes], joined: Joined) -> None:
  file.write(pickle.EMPTY_LIST + pickle.MARK)
  for path in joined.paths:
    with path.open('rb') as source:
      whole = source.read(len(BEGIN)) == BEGIN
      if whole:
        source.seek(-len(END), os.SEEK_END)
        whole = source.read() == END
      if not whole:
        raise UserError(
          f'{path} is damaged or was written by another program; remove it '
          'and record it again.'
        )
      source.seek(len(pickle.PROTO) + 1)
      shutil.copyfileobj(source, file, 1 << 20)
    # Over the last instruction, STOP, which would end the list.
    file.seek(-len(pickle.STOP), os.SEEK_END)
  file.write(pickle.APPENDS)
