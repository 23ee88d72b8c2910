"""Would compressed recordings pay? Ratio and speed by kind of layer, for docs/scale.md.

Needs two packages that the project does not: pip install zstandard blosc2. Takes the
first rows of each layer of a recording as float16, in blocks of at most 256 KiB of
whole rows, as a reader in pieces would have them, and packs each block by zstd with its
bytes as they are, and by blosc2 with bytes (`shuffle`) or bits (`bitshuffle`) of the
same weight brought together first. CPU time of the thread, in turns with a plain copy
of the same bytes.

`read` is what unpacked bytes cost beside the copy, for a whole layer; `128 units` the
same for a block of 128 units of all rows, where what is not packed is read strided.

  python bench/compression.py --data logdir/crafter_small_size1m/trajectories
"""

import argparse
import dataclasses
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import blosc2
import numpy as np
import zstandard

from dreamerv3.data.trajectories import Trajectories

BLOCK = 256 << 10  # bytes
UNITS = 128


@dataclasses.dataclass(frozen=True)
class Codec:
  """A way to pack an array of float16 and to get its bytes back."""

  name: str
  pack: Callable[[np.ndarray], bytes]
  unpack: Callable[[bytes], bytes]


def zstd(level: int) -> Codec:
  """Bytes as they are."""
  packer, unpacker = zstandard.ZstdCompressor(level), zstandard.ZstdDecompressor()
  return Codec(
    f'zstd {level}', lambda x: packer.compress(x.tobytes()), unpacker.decompress
  )


def blosc(name: str, how: str) -> Codec:
  """Bytes or bits of the same weight first brought together."""
  kinds = {'lz4': blosc2.Codec.LZ4, 'zstd': blosc2.Codec.ZSTD}
  filters = {'shuffle': blosc2.Filter.SHUFFLE, 'bitshuffle': blosc2.Filter.BITSHUFFLE}

  def pack(x: np.ndarray) -> bytes:
    return blosc2.compress2(
      x, codec=kinds[name], clevel=1, typesize=2, filters=[filters[how]], nthreads=1
    )

  return Codec(f'{name} {how}', pack, blosc2.decompress2)


CODECS = (zstd(1), zstd(3), blosc('lz4', 'bitshuffle'), blosc('zstd', 'shuffle'))


def blocks_of(values: np.ndarray) -> list[np.ndarray]:
  """Whole rows, at most BLOCK bytes of them, at least one."""
  rows = max(1, BLOCK // values[0].nbytes)
  return [values[i : i + rows] for i in range(0, len(values), rows)]


def seconds(fns: Sequence[Callable[[], object]], repeats: int) -> list[float]:
  """Median CPU seconds of each, in turns."""
  times = []
  for _ in range(repeats):
    row = []
    for fn in fns:
      start = time.thread_time()
      fn()
      row.append(time.thread_time() - start)
    times.append(row)
  return [statistics.median(x) for x in zip(*times, strict=True)]


def measure(values: np.ndarray, codec: Codec, repeats: int) -> list[float]:
  """Ratio, MB/s packed, MB/s unpacked, times of a copy: all, and UNITS of it."""
  blocks = blocks_of(values)
  packed = [codec.pack(x) for x in blocks]
  whole = b''.join(codec.unpack(x) for x in packed)
  assert whole == values.tobytes(), codec.name
  width = values.shape[1]

  def some() -> np.ndarray:
    rows = [np.frombuffer(codec.unpack(x), values.dtype) for x in packed]
    return np.concatenate([x.reshape(-1, width)[:, :UNITS] for x in rows])

  fns = (
    lambda: [codec.pack(x) for x in blocks],
    lambda: [codec.unpack(x) for x in packed],
    lambda: [x.copy() for x in blocks],
    some,
    lambda: values[:, :UNITS].copy(),
  )
  write, read, copy, part, plain = seconds(fns, repeats)
  size = values.nbytes / 1e6
  ratio = values.nbytes / sum(map(len, packed))
  return [ratio, size / write, size / read, read / copy, part / plain]


def main(argv: list[str] | None = None) -> None:
  """Prints one row per layer and codec, and the ratio over all layers."""
  parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[0])
  parser.add_argument('--data', required=True)
  parser.add_argument('--layers', nargs='*', default=[])
  parser.add_argument('--rows', type=int, default=1000)
  parser.add_argument('--repeats', type=int, default=3)
  args = parser.parse_args(argv)
  blosc2.set_nthreads(1)  # the clock is that of this thread
  data = Trajectories.open(args.data)
  total: dict[str, list[float]] = {x.name: [0.0, 0.0] for x in CODECS}
  print(f'{"layer":22}{"zeros":>7}  codec: ratio, MB/s packed, unpacked, read, units')
  for layer, units in data.layers().items():
    if args.layers and layer not in args.layers:
      continue
    rows = np.arange(args.rows)
    values = np.ascontiguousarray(data.layer(layer, rows=rows).X.astype(np.float16))
    zeros = f'{(values == 0).mean():.0%}'
    for codec in CODECS:
      found = measure(values, codec, args.repeats)
      total[codec.name][0] += units
      total[codec.name][1] += units / found[0]
      cells = f'{found[0]:5.2f}' + ''.join(f'{x:8.1f}' for x in found[1:])
      print(f'{layer:22}{zeros:>7}  {codec.name:16} {cells}', flush=True)
  for name, (before, after) in total.items():
    print(f'all layers: {name:16} {before / after:.2f} times smaller')


if __name__ == '__main__':
  main()
