"""Arrays for a page that opens from disk: compact, exact in a stated measure, escaped.

  text = pack({'title': 'dyn/deter', 'scores': scores})    # base64 of gzip
  codes, low, high = quantised(maps)                       # one byte a value

`unpack` in assets/data.js is the other half. Equal values give equal text.
"""

import base64
import gzip
import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

UNKNOWN = 255  # the code of NaN among quantised values
STEPS = 254  # between the lowest value of a row and the highest
DIGITS = 12  # significant bits of a score: 1 in 4000
# Kinds that a browser has a typed array for.
KINDS = ('uint8', 'uint16', 'int32', 'float32')


def pack(value: Mapping[str, Any]) -> str:
  """Nested dicts and lists with numbers, texts and arrays, as base64 text.

  Layout before gzip: uint32 length of the JSON, the JSON padded to a multiple of 4
  bytes, the arrays one after another. An array in the JSON is {"at", "kind",
  "shape"}; numbers that JSON lacks are null.
  """
  parts: list[bytes] = []
  head = json.dumps(_plain(value, parts), separators=(',', ':'), allow_nan=False)
  text = _padded(head.encode())
  raw = struct.pack('<I', len(text)) + text + b''.join(parts)
  return base64.b64encode(gzip.compress(raw, 6, mtime=0)).decode()


def quantised(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Rows (N, K) as one byte a value: codes, and the lowest and highest of each row.

  value = low + code / 254 (high - low), off by 1/508 of a row's range at most; 255 is
  NaN.

  Returns:
    uint8 (N, K); float32 (N,); float32 (N,), both NaN for a row of NaN.
  """
  rows = np.asarray(rows, np.float32)
  known = np.isfinite(rows)
  low = np.where(known, rows, np.inf).min(1, initial=np.inf)
  high = np.where(known, rows, -np.inf).max(1, initial=-np.inf)
  span = np.where(high > low, high - low, 1)
  with np.errstate(invalid='ignore'):
    codes = np.rint((rows - low[:, None]) / span[:, None] * STEPS)
  low, high = (np.where(np.isfinite(x), x, np.nan) for x in (low, high))
  codes = np.where(known, codes, UNKNOWN).astype(np.uint8)
  return codes, low.astype(np.float32), high.astype(np.float32)


def rounded(values: np.ndarray) -> np.ndarray:
  """float32 with `DIGITS` significant bits, which gzip packs in half the room."""
  bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
  drop = 24 - DIGITS
  half = np.uint32(1 << (drop - 1))
  mask = np.uint32(0xFFFFFFFF ^ ((1 << drop) - 1))
  finite = np.isfinite(values)
  return np.where(finite, ((bits + half) & mask).view(np.float32), values).astype(
    np.float32
  )


def _plain(value: Any, parts: list[bytes]) -> Any:
  if isinstance(value, Mapping):
    return {str(k): _plain(v, parts) for k, v in value.items()}
  if isinstance(value, np.ndarray):
    return _stored(value, parts)
  if isinstance(value, list | tuple):
    return [_plain(x, parts) for x in value]
  if isinstance(value, np.generic):
    value = value.item()
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value


def _stored(array: np.ndarray, parts: list[bytes]) -> dict[str, Any]:
  kind = array.dtype.name
  if kind not in KINDS:
    raise TypeError(f'an array is {kind}; expected one of {", ".join(KINDS)}.')
  at = sum(map(len, parts))
  little = array.astype(array.dtype.newbyteorder('<'), copy=False)
  parts.append(_padded(np.ascontiguousarray(little).tobytes(), b'\0'))
  return {'at': at, 'kind': kind, 'shape': list(array.shape)}


def _padded(text: bytes, fill: bytes = b' ') -> bytes:
  return text + fill * (-len(text) % 4)
