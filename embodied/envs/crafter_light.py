"""In what light? Day, night and sleep over the tiles of a frame.

For the renderers (crafter_render.py, crafter_view.py):

  paint(view, bank, ids, daylight=0.8, noise=None, mask=mask, sleeping=False)

The passes are compiled; their results equal, bit for bit, what stock Crafter
computes with numpy and Pillow.
"""

import dataclasses
import functools
from typing import Any

import numba
import numpy as np
from PIL import Image

DARK = 0.5  # noise begins below this daylight
NOISE = (32.0, 127.0)
TINT = (0.0, 8.0, 32.0)  # of the night: half of a dark blue
VIGNETTE = 0.5  # width of the clear centre at night


@dataclasses.dataclass(frozen=True, eq=False)
class Bank:
  """Pictures of tiles, all of one size.

  Fields:
    day: u8 (N, rows, columns, 3), read-only.
    faded: the same with the saturation of the night.
  """

  day: np.ndarray
  faded: np.ndarray

  @classmethod
  def of(cls, pictures: np.ndarray) -> 'Bank':
    """From pictures u8 (..., columns, rows, 3)."""
    day = pictures.reshape((-1, *pictures.shape[-3:])).swapaxes(1, 2)
    day = np.ascontiguousarray(day)
    r, g, b = np.moveaxis(day.astype(np.int64), -1, 0)
    faded = fades()[_luma(r, g, b)[..., None], day]
    day.flags.writeable = faded.flags.writeable = False
    return cls(day, faded)


def needs_noise(daylight: float) -> bool:
  """Is it dark enough for noise?"""
  return daylight < DARK


@functools.lru_cache(8)
def vignette(shape: tuple[int, int]) -> np.ndarray:
  """How much of the night's noise a pixel gets, f64 shape in [0, 1)."""
  xs = np.linspace(-1, 1, shape[0])[None, :]
  ys = np.linspace(-1, 1, shape[1])[:, None]
  mask = 1 - np.exp(-0.5 * (xs**2 + ys**2) / (VIGNETTE**2))
  mask = np.ascontiguousarray(mask.T)
  mask.flags.writeable = False
  return mask


@functools.cache
def fades() -> np.ndarray:
  """Pillow's saturation to 0.4 as a table, u8 (256 luma, 256 value).

  Asked of Pillow itself, so that rounding is that of its compiled code.
  """
  luma, value = np.indices((256, 256), np.uint8)
  return np.asarray(Image.blend(Image.fromarray(luma), Image.fromarray(value), 0.4))


def paint(
  view: np.ndarray,
  bank: Bank,
  ids: np.ndarray,
  daylight: float,
  noise: np.ndarray | None,
  mask: np.ndarray,
  sleeping: bool,
) -> None:
  """Draw tiles in the light of the hour.

  Args:
    view: u8 (rows, columns, 3), drawn into.
    bank: pictures of tiles.
    ids: which tile where, (columns, rows) [tiles].
    daylight: in [0, 1].
    noise: f64 (columns, rows) [pixels]; needed when it is dark.
    mask: f64, of the same shape: share of the noise.
    sleeping: grey instead of colour.
  """
  assert mask.shape == view.shape[1::-1], (mask.shape, view.shape)
  if not needs_noise(daylight):
    _paint_day(view, bank.day, bank.faded, ids, float(daylight))
  elif noise is None or noise.shape != mask.shape:
    got = None if noise is None else noise.shape
    raise ValueError(
      f'daylight {daylight:.3f} < {DARK}: expected noise of shape '
      f'{mask.shape}, got {got}'
    )
  else:
    share = 2 * (DARK - float(daylight)) * mask
    _paint_night(view, bank.day, ids, float(daylight), noise, share, fades())
  if sleeping:
    _close_eyes(view)


@numba.njit(cache=True)
def night_noise(seed: int, step: int, width: int, height: int) -> np.ndarray:
  """The grain of one night frame: a function of its arguments, no stream.

  A frame drawn twice, or not at all, changes no other frame. SplitMix64
  (Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195) counts pixels from a
  start that it makes from the world and the step.

  Args:
    seed: of the world. step: of the episode.
    width, height: [pixels].

  Returns:
    f64 (width, height), uniform in [32, 127).
  """
  state = _mix(_mix(np.uint64(seed)) + np.uint64(step))
  noise = np.empty((width, height))
  for x in range(width):
    for y in range(height):
      state += np.uint64(0x9E3779B97F4A7C15)
      bits = _mix(state) >> np.uint64(11)
      noise[x, y] = NOISE[0] + (NOISE[1] - NOISE[0]) * (bits * 2.0**-53)
  return noise


@numba.njit(cache=True)
def _mix(z: np.uint64) -> np.uint64:
  """Every bit of the result depends on every bit of z."""
  z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
  z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
  return z ^ (z >> np.uint64(31))


# In the three passes below each float operation is one of Crafter's, in its
# order, so that every rounding is the same.


@numba.njit(cache=True)
def _paint_day(
  view: np.ndarray,
  day: np.ndarray,
  faded: np.ndarray,
  ids: np.ndarray,
  daylight: float,
) -> None:
  """No noise: each tile has one look per hour."""
  height, width = day.shape[1:3]
  night = 1 - daylight
  for row in range(ids.shape[1]):
    for column in range(ids.shape[0]):
      bright, dim = day[ids[column, row]], faded[ids[column, row]]
      y, x = row * height, column * width
      for j in range(height):
        for i in range(width):
          for c in range(3):
            tinted = 0.5 * dim[j, i, c] + TINT[c]
            view[y + j, x + i, c] = int(daylight * bright[j, i, c] + night * tinted)


@numba.njit(cache=True)
def _paint_night(
  view: np.ndarray,
  day: np.ndarray,
  ids: np.ndarray,
  daylight: float,
  noise: np.ndarray,
  share: np.ndarray,
  fade: np.ndarray,
) -> None:
  """Noise first, then faded colours, a blue tint, and what light there is."""
  height, width = day.shape[1:3]
  night = 1 - daylight
  for row in range(ids.shape[1]):
    for column in range(ids.shape[0]):
      tile = day[ids[column, row]]
      y, x = row * height, column * width
      for j in range(height):
        for i in range(width):
          r, g, b = tile[j, i, 0], tile[j, i, 1], tile[j, i, 2]
          clear = 1 - share[x + i, y + j]
          grain = share[x + i, y + j] * noise[x + i, y + j]
          nr = int(clear * r + grain)
          ng = int(clear * g + grain)
          nb = int(clear * b + grain)
          luma = _luma(nr, ng, nb)
          pixel = view[y + j, x + i]
          pixel[0] = int(daylight * r + night * (0.5 * fade[luma, nr]))
          pixel[1] = int(daylight * g + night * (0.5 * fade[luma, ng] + 8.0))
          pixel[2] = int(daylight * b + night * (0.5 * fade[luma, nb] + 32.0))


@numba.njit(cache=True)
def _close_eyes(view: np.ndarray) -> None:
  """Asleep: grey, dark, a little blue."""
  for y in range(view.shape[0]):
    for x in range(view.shape[1]):
      pixel = view[y, x]
      luma = _luma(int(pixel[0]), int(pixel[1]), int(pixel[2]))
      pixel[0] = pixel[1] = int(0.5 * luma)
      pixel[2] = int(0.5 * luma + 8.0)


@numba.njit(cache=True)
def _luma(r: Any, g: Any, b: Any) -> Any:
  """Pillow's grey of a colour (ITU-R 601-2), in fixed point."""
  return (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16
