"""Pictures as a page holds them: WebP, small, the same bytes for the same pixels.

sheet = frames(episode.read('image'))     # one picture of all frames
webp(numpy_rgb)                           # bytes
"""

import io
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from dreamerv3.base import regular
from dreamerv3.base.errors import UserError, reading

ACROSS = 32  # frames in a row of a sheet
QUALITY = 82
WIDEST = 1400  # pixels of a figure
MOST_PIXELS = 64_000_000  # of a figure that is opened at all


def webp(pixels: np.ndarray) -> bytes:
  """A picture (H, W, 3) uint8 as a WebP file."""
  return _saved(Image.fromarray(pixels))


def frames(images: np.ndarray) -> dict[str, Any]:
  """All images (T, h, w, 3) of an episode in one picture, row by row."""
  count, height, width = images.shape[:3]
  across = min(ACROSS, max(16_000 // width, 1))
  rows = -(-count // across)
  sheet = np.zeros((rows * across, height, width, 3), np.uint8)
  sheet[:count] = images
  sheet = sheet.reshape(rows, across, height, width, 3).transpose(0, 2, 1, 3, 4)
  file = webp(sheet.reshape(rows * height, across * width, 3))
  return {
    'file': np.frombuffer(file, np.uint8),
    'across': across,
    'size': [width, height],
  }


def figure(path: pathlib.Path) -> tuple[bytes, tuple[int, int]]:
  """A picture file, at most `WIDEST` pixels wide: WebP, and its (width, height).

  Raises:
    UserError: it is no picture, or a huge one.
  """
  raw = regular.read_bytes(path)
  with reading(path, 'picture; draw it again'):
    try:
      image = Image.open(io.BytesIO(raw))
      if image.width * image.height > MOST_PIXELS:
        raise UserError(f'{path} has {image.width} x {image.height} pixels.')
      shown = image.convert('RGBA')
    except (OSError, Image.DecompressionBombError, SyntaxError) as e:
      raise UserError(f'{path} is no picture ({e}); draw it again.') from e
  paper = Image.new('RGBA', shown.size, 'white')
  shown = Image.alpha_composite(paper, shown).convert('RGB')
  if shown.width > WIDEST:
    size = WIDEST, round(shown.height * WIDEST / shown.width)
    shown = shown.resize(size, Image.Resampling.LANCZOS)
  return _saved(shown), shown.size


def _saved(image: Image.Image) -> bytes:
  file = io.BytesIO()
  image.save(file, 'WEBP', quality=QUALITY, method=2)
  return file.getvalue()
