"""Writes animations frame by frame: GIF or MP4, with flat memory.

write('walk.gif', frames, count, step_ms=200, sample=some_frames)

Both forms come from the encoders inside PyAV; no ffmpeg program is needed. A
GIF has one palette of 256 colours for all its frames, and holds only what
changes between them.
"""

import fractions
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import av
import numpy as np
from PIL import Image

from dreamerv3.base import files
from dreamerv3.base.progress import ProgressBar

FORMS = ('.gif', '.mp4')
# A GIF counts time in hundredths of a second.
GIF_MS = 10
# The palette table: bits per channel of a colour that is looked up.
BITS = 5
# Seconds between lines where there is no terminal for a bar.
EVERY = 30.0
CODECS = ('libx264', 'mpeg4')


def write(
  path: str | os.PathLike,
  frames: Iterable[np.ndarray],
  count: int,
  step_ms: int,
  sample: np.ndarray,
) -> pathlib.Path:
  """Encodes frames as they come; the file appears when it is complete.

  Args:
    path: its suffix, .gif or .mp4, is the form.
    frames: uint8 (H, W, 3), all of one size; drawn one at a time.
    count: number of frames, for the progress bar.
    step_ms: how long a frame is shown [ms].
    sample: a picture (h, w, 3) with the colours that the frames will have.
  """
  path = pathlib.Path(path)
  form = path.suffix
  if form not in FORMS:
    raise ValueError(f'{path} has suffix {form}; expected one of {FORMS}.')
  encode = _gif if form == '.gif' else _mp4
  with files.atomic(path) as file:
    encode(file, progress(frames, count, path.name), step_ms, sample)
  return path


def progress(
  frames: Iterable[np.ndarray], count: int, name: str
) -> Iterator[np.ndarray]:
  """Shows a bar on a terminal, and a line now and then elsewhere."""
  with ProgressBar(count, 'frame', EVERY) as bar:
    for frame in frames:
      yield frame
      bar.update(1, name)


def palette(sample: np.ndarray) -> np.ndarray:
  """The colours (C, 3) uint8 that fit a picture best, at most 255."""
  # Every other pixel shows the same colours in a quarter of the time.
  image = Image.fromarray(sample[::2, ::2]).quantize(
    255, Image.Quantize.MEDIANCUT, kmeans=1
  )
  flat = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
  return flat[: int(np.asarray(image).max()) + 1]


def matcher(colors: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
  """A function from a picture (H, W, 3) to nearest colours (H, W) uint8."""
  step = 1 << (8 - BITS)
  levels = np.arange(1 << BITS) * step + step // 2
  cube = np.stack(np.meshgrid(levels, levels, levels, indexing='ij'), -1)
  cube = cube.reshape(-1, 3).astype(np.float32)
  centres = colors.astype(np.float32)
  # |a - b|^2 without |a|^2, which is the same for every colour b.
  distance = (centres**2).sum(-1) - 2 * cube @ centres.T
  table = distance.argmin(-1).astype(np.uint8)

  def match(picture: np.ndarray) -> np.ndarray:
    r, g, b = np.moveaxis(picture >> (8 - BITS), -1, 0).astype(np.uint16)
    return table[(r << 2 * BITS) | (g << BITS) | b]

  return match


def _gif(
  file: Any, frames: Iterable[np.ndarray], step_ms: int, sample: np.ndarray
) -> None:
  colors = palette(sample)
  match = matcher(colors)
  # Alpha, red, green, blue; the last one stays free for "unchanged".
  argb = np.zeros((256, 4), np.uint8)
  argb[: len(colors), 0] = 255
  argb[: len(colors), 1:] = colors
  ticks = max(round(step_ms / GIF_MS), 1)

  def convert(picture: np.ndarray) -> av.VideoFrame:
    pair: Any = (match(picture), argb)  # as PyAV takes a palette
    return av.VideoFrame.from_ndarray(pair, format='pal8')

  with av.open(file, 'w', format='gif', options={'loop': '0'}) as out:
    rate = fractions.Fraction(1000, GIF_MS * ticks)
    _encode(out, 'gif', rate, 'pal8', frames, convert, {})


def _mp4(
  file: Any, frames: Iterable[np.ndarray], step_ms: int, sample: np.ndarray
) -> None:
  del sample
  codec = next(x for x in CODECS if x in av.codecs_available)
  quality = {'crf': '20', 'preset': 'veryfast', 'tune': 'animation'}
  options = quality if codec == 'libx264' else {'q:v': '4'}

  def convert(picture: np.ndarray) -> av.VideoFrame:
    high, wide = picture.shape[:2]
    even = np.pad(picture, ((0, high % 2), (0, wide % 2), (0, 0)), 'edge')
    return av.VideoFrame.from_ndarray(even, format='rgb24')

  with av.open(file, 'w', format='mp4') as out:
    rate = fractions.Fraction(1000, step_ms)
    _encode(out, codec, rate, 'yuv420p', frames, convert, options)


def _encode(
  out: Any,
  codec: str,
  rate: fractions.Fraction,
  pixels: str,
  frames: Iterable[np.ndarray],
  convert: Callable[[np.ndarray], av.VideoFrame],
  options: dict[str, str],
) -> None:
  stream = None
  for i, picture in enumerate(frames):
    frame = convert(picture)
    if stream is None:
      stream = out.add_stream(codec, rate=rate, options=options)
      stream.width, stream.height = frame.width, frame.height
      stream.pix_fmt = pixels
      stream.thread_count = 2  # more only hold more frames in memory
    frame.pts, frame.time_base = i, 1 / rate
    out.mux(stream.encode(frame))
  if stream is None:
    raise ValueError('There are no frames to write.')
  out.mux(stream.encode())
