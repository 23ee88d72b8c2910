"""Firing fields: how many, how large, how long, from autocorrelated maps.

  acg = autocorrelation(maps)                 # (D, 2W-1, 2H-1)
  count, size, asymmetry = peaks(acg), *extent(acg)

Batched over units: two FFTs for all of a block instead of one sliding product
per unit.
"""

import dataclasses

import numpy as np
import scipy.fft
import scipy.ndimage

PEAK = 0.15  # autocorrelation above which a local maximum counts
CORE = 0.5  # autocorrelation that bounds the central component
# Lags whose coverage is below this share of lag 0's are left out.
COVERED = 0.1
SECOND = 0.4  # height of a second field, relative to the first
WIDTHS = (0.7, 1.0, 1.5, 2.0, 3.0, 4.5, 6.5)  # of fitted fields [tiles]

_IN_MAP = np.zeros((3, 3, 3), bool)  # neighbours within one unit's map
_IN_MAP[1] = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
_SQUARE = np.ones((3, 3), bool)


def autocorrelation(maps: np.ndarray) -> np.ndarray:
  """Autocorrelation of maps at all lags, 1 at lag 0.

    A(d) = sum_x m(x) m(x + d) c(0) / c(d),  A / A(0)

  The sum runs over pairs of visited tiles; c(d) is the share of the grid's
  pairs at lag d that were visited. On a map without gaps this is scipy's
  `correlate2d(m, m, 'full')` over its maximum; gaps are treated as missing
  instead of as 0. Lags with c(d) < 0.1 c(0) are 0: too few pairs to tell.

  Args:
    maps: (D, W, H), >= 0, NaN where unvisited.

  Returns:
    (D, 2W - 1, 2H - 1) float32, lag 0 in the middle; NaN for silent maps.
  """
  _, w, h = maps.shape
  full = _correlate(np.nan_to_num(maps).astype(np.float32))
  seen = np.isfinite(maps).any(0)
  if not seen.all():
    pairs = _correlate(seen[None].astype(np.float32))[0].round()
    grid = _correlate(np.ones((1, w, h), np.float32))[0].round()
    covered = pairs / grid
    covered /= covered[w - 1, h - 1]
    known = covered >= COVERED
    full *= np.where(known, 1 / np.where(known, covered, 1), 0).astype('f4')
  top = full[:, w - 1, h - 1, None, None].copy()
  full /= np.where(top > 0, top, np.nan)
  return full


def peaks(acg: np.ndarray) -> np.ndarray:
  """Fields by the count of autocorrelation peaks, (D,) float.

  Connected local maxima (of 3 x 3 tiles) above 0.15. Each pair of fields makes
  two mirrored ones, a single field the central one alone: (n + 1) // 2.
  """
  with np.errstate(invalid='ignore'):
    tops = (acg > PEAK) & (acg >= _highest(acg))
  counts = tops.sum((1, 2))
  # Where maxima touch, they form a plateau, which counts once.
  level = (tops[:, 1:] & tops[:, :-1]).any((1, 2))
  level |= (tops[:, :, 1:] & tops[:, :, :-1]).any((1, 2))
  level |= (tops[:, 1:, 1:] & tops[:, :-1, :-1]).any((1, 2))
  level |= (tops[:, 1:, :-1] & tops[:, :-1, 1:]).any((1, 2))
  for unit in np.flatnonzero(level):
    counts[unit] = scipy.ndimage.label(tops[unit], _SQUARE)[1]
  silent = np.isnan(acg[:, 0, 0])
  found: np.ndarray = np.where(silent, np.nan, (counts + 1) // 2)
  return found


def extent(acg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Size and asymmetry of the central component above 0.5, (D,) each.

  size = sqrt(number of lags) [tiles]. asymmetry = 2 sqrt(l1) / max(2 sqrt(l2),
  1) with l1 >= l2 the eigenvalues of the lags' covariance: 1 is round; 1 for
  a single lag. Both NaN for a silent unit.
  """
  _, w, h = acg.shape
  with np.errstate(invalid='ignore'):
    labels, _ = scipy.ndimage.label(acg > CORE, _IN_MAP)
  middle = labels[:, w // 2, h // 2]
  core = (labels == middle[:, None, None]) & (middle > 0)[:, None, None]
  dx = np.arange(w, dtype=np.float32) - w // 2
  dy = np.arange(h, dtype=np.float32) - h // 2
  core = core.astype(np.float32)
  across, down = core.sum(2), core.sum(1)  # (D, w), (D, h)
  n = across.sum(1)
  alive = n > 0
  # The component is symmetric about lag 0, so its mean is 0.
  dof = np.maximum(n - 1, 1)
  xx, yy = across @ dx**2 / dof, down @ dy**2 / dof
  xy = (core @ dy) @ dx / dof
  half, root = (xx + yy) / 2, np.sqrt((xx - yy) ** 2 / 4 + xy**2)
  long = 2 * np.sqrt(half + root)
  short = 2 * np.sqrt(np.maximum(half - root, 0))
  asymmetry = np.where(n > 1, long / np.maximum(short, 1), 1.0)
  nan = np.where(alive, 0, np.nan)
  return np.sqrt(n) + nan, asymmetry + nan


@dataclasses.dataclass(frozen=True)
class FieldFit:
  """The best single round field of each map, (D,) each.

  Attributes:
    r2: share of the map's variance that it explains, 0..1.
    centre: (D, 2) of (x, y) [tiles].
    width: standard deviation s [tiles].
    height: b [activation].
  """

  r2: np.ndarray
  centre: np.ndarray
  width: np.ndarray
  height: np.ndarray

  def maps(self, size: tuple[int, int]) -> np.ndarray:
    """b exp(-|x - c|^2 / 2 s^2) of each unit, (D, W, H) float32."""
    x, y = np.arange(size[0]), np.arange(size[1])
    spread = (2 * self.width**2)[:, None]
    gx = np.exp(-((x - self.centre[:, :1]) ** 2) / spread)
    gy = np.exp(-((y - self.centre[:, 1:]) ** 2) / spread)
    gx = gx * self.height[:, None]
    maps: np.ndarray = gx[:, :, None] * gy[:, None, :]
    return maps.astype(np.float32)


def fit_field(maps: np.ndarray, weight: np.ndarray, signed: np.ndarray) -> FieldFit:
  """Fits a + b exp(-|x - c|^2 / 2 s^2) to each map, by weighted least squares.

  All centres c of the grid and the widths s of `WIDTHS` are tried; each fit
  is a convolution. Only a signed unit may have b < 0.

  Args:
    maps: (D, W, H), NaN where unvisited.
    weight: (W, H) of the tiles, 0 where unvisited.
    signed: (D,) bool.
  """
  d, w, h = maps.shape
  weight = (weight / weight.sum()).astype(np.float32)
  values = np.where(weight > 0, maps, 0).astype(np.float32)
  mean = values.reshape(d, -1) @ weight.reshape(-1)
  centred = values - mean[:, None, None]
  centred *= weight
  total = np.einsum('dwh,dwh->d', centred, values)
  units = np.arange(d)
  best = np.zeros((len(WIDTHS), d), np.float32)
  place = np.zeros((len(WIDTHS), d), np.int64)
  height = np.zeros((len(WIDTHS), d), np.float32)
  for k, width in enumerate(WIDTHS):
    gx, gy = _kernel(w, width), _kernel(h, width)
    product = np.matmul(np.matmul(gx, centred), gy).reshape(d, -1)
    norm = gx**2 @ weight @ gy**2 - (gx @ weight @ gy) ** 2
    ok = (norm > 1e-9) & (weight > 0)
    root = np.where(ok, 1 / np.sqrt(np.where(ok, norm, 1)), 0).reshape(-1)
    product *= root.astype(np.float32)  # its square is what the fit explains
    place[k] = product.argmax(1)
    best[k] = np.maximum(product[units, place[k]], 0)
    if signed.any():
      low = product.argmin(1)
      deeper = signed & (-product[units, low] > best[k])
      place[k] = np.where(deeper, low, place[k])
      best[k] = np.where(deeper, product[units, low], best[k])
    height[k] = best[k] * root[place[k]]
  best = np.square(best)
  k = best.argmax(0)
  at = np.stack(np.divmod(place[k, units], h), -1)
  r2 = np.where(total > 0, best[k, units] / np.where(total > 0, total, 1), 0)
  width = np.array(WIDTHS)[k]
  return FieldFit(np.minimum(r2, 1), at, width, height[k, units])


def second_field(
  maps: np.ndarray,
  weight: np.ndarray,
  signed: np.ndarray,
  first: FieldFit,
  noise: np.ndarray,
) -> np.ndarray:
  """Whether there is another field beside the fitted one, (D,) bool.

  Share of variance alone overlooks a field where the agent seldom went. So
  what the first field leaves is fitted again. A second field has the same
  sign, at least 0.4 of the height and half the width, lies more than 2.5
  widths away, and explains more than the noise's own highest peak would: 20 of
  the map's degrees of freedom (chi^2 of one in 10^5 looks).

  Args:
    maps, weight, signed: as in `fit_field`; first: its result.
    noise: (D,) share of the map's variance that is noise.
  """
  left = maps - first.maps(maps.shape[1:])
  again = fit_field(left, weight, signed)
  dof = weight.sum() ** 2 / (weight**2).sum()
  gap = np.hypot(*(again.centre - first.centre).T)
  share = again.r2 * (1 - first.r2)
  tall = again.height * np.sign(first.height) >= SECOND * np.abs(first.height)
  broad = again.width >= first.width / 2
  apart = gap > 2.5 * first.width
  found: np.ndarray = apart & broad & tall & (share > 20 / dof * noise)
  return found


def smooth(maps: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
  """Gaussian smoothing [sigma in tiles] that knows of gaps.

    sum_y g(x - y) n(y) m(y) / sum_y g(x - y) n(y)

  Unvisited tiles stay NaN and lend nothing to their neighbours.

  Args:
    maps: (D, W, H), NaN where unvisited.
    weight: (W, H) visits n, 0 where unvisited.
  """
  _, w, h = maps.shape
  gx, gy = _kernel(w, sigma), _kernel(h, sigma)
  top = gx @ (np.nan_to_num(maps) * weight) @ gy
  below = gx @ weight @ gy
  return np.where(weight > 0, top / np.where(below > 0, below, 1), np.nan)


def _kernel(n: int, width: float) -> np.ndarray:
  """Gaussian of the distance between n tiles in a row, (n, n) float32."""
  gap = np.arange(n)[:, None] - np.arange(n)
  return np.exp(-(gap**2) / (2 * width**2)).astype(np.float32)


def _highest(maps: np.ndarray) -> np.ndarray:
  """Largest value among each tile and its eight neighbours."""
  for axis in (1, 2):
    low = [slice(None)] * 3
    high = [slice(None)] * 3
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    ahead = maps.copy()
    np.maximum(maps[tuple(low)], maps[tuple(high)], out=ahead[tuple(low)])
    both = ahead.copy()
    np.maximum(ahead[tuple(high)], ahead[tuple(low)], out=both[tuple(high)])
    maps = both
  return maps


def _correlate(maps: np.ndarray) -> np.ndarray:
  """Sums of products at all lags, (D, W, H) -> (D, 2W - 1, 2H - 1)."""
  _, w, h = maps.shape
  size = [scipy.fft.next_fast_len(2 * x - 1, real=True) for x in (w, h)]
  spectrum = scipy.fft.rfft2(maps, size)
  power = spectrum.real**2 + spectrum.imag**2
  full = scipy.fft.irfft2(power, size, overwrite_x=True)
  lags = np.empty((len(maps), 2 * w - 1, 2 * h - 1), full.dtype)
  for to_x, from_x in _wrapped(w, size[0]):
    for to_y, from_y in _wrapped(h, size[1]):
      lags[:, to_x, to_y] = full[:, from_x, from_y]
  return lags


def _wrapped(n: int, size: int) -> tuple[tuple[slice, slice], ...]:
  """Where the lags >= 0 and < 0 go, and where a circular product has them."""
  ahead = slice(n - 1, None), slice(0, n)
  behind = slice(0, n - 1), slice(size - n + 1, size)
  return ahead, behind
