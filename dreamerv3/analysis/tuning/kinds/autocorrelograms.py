"""Autocorrelograms of units as rows of numbers, and maps that say nothing.

  chosen = lags(maps)
  X = rows(maps, chosen)                        # (D, L)
  noise = rows(shuffled(maps, rng), chosen)

An autocorrelogram tells how a map repeats itself and not where: two place fields of
one size are the same kind, wherever they lie.
"""

import numpy as np
import scipy.fft

from dreamerv3.analysis.tuning.maps import fields

FAR = 0.5  # lags that are compared, of the visited part's side
BLOCK = 512  # units at a time, for the memory


def lags(maps: np.ndarray) -> np.ndarray:
  """The lags that are compared, bool (2W - 1, 2H - 1).

  At most half of the visited part each way, where enough pairs of tiles are behind a
  value; of d and -d, which are equal, one; without lag 0, which is always 1.
  """
  seen = np.isfinite(maps).any(0)
  x, y = np.nonzero(seen)
  reach = [max(int(FAR * (np.ptp(i) + 1)), 1) for i in (x, y)]
  w, h = seen.shape
  dx, dy = np.arange(1 - w, w)[:, None], np.arange(1 - h, h)
  near = (np.abs(dx) <= reach[0]) & (np.abs(dy) <= reach[1])
  half = (dx > 0) | ((dx == 0) & (dy > 0))
  found: np.ndarray = near & half
  return found


def rows(maps: np.ndarray, chosen: np.ndarray, normalize: bool = True) -> np.ndarray:
  """Autocorrelograms (D, L) of maps about their means, at the chosen lags.

  Args:
    maps: (D, W, H), NaN where unvisited; chosen: of `lags`.
    normalize: scale each row to mean 0 and variance 1, so that shapes are compared;
      rows without structure stay 0.
  """
  found = np.zeros((len(maps), int(chosen.sum())), np.float32)
  for i in range(0, len(maps), BLOCK):
    part = centred(maps[i : i + BLOCK])
    found[i : i + BLOCK] = np.nan_to_num(fields.autocorrelation(part)[:, chosen])
  if normalize:
    found -= found.mean(1, keepdims=True)
    spread = found.std(1, keepdims=True)
    found /= np.where(spread > 1e-6, spread, 1)
  return found


def centred(maps: np.ndarray) -> np.ndarray:
  """Maps minus their means over the visited tiles, NaN elsewhere."""
  found: np.ndarray = maps - np.nanmean(maps, (1, 2), keepdims=True)
  return found


def shuffled(maps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """The values of each map at other places, as smooth as maps are on average.

  A random field with the mean autocorrelation of all maps is drawn per unit, and its
  values are replaced, rank by rank, by the unit's own (amplitude-adjusted surrogates:
  Theiler et al. 1992, doi:10.1016/0167-2789(92)90102-S). So these units are of one
  kind: what is left of groups among them is chance, though their maps are smooth.

  Args:
    maps: (D, W, H), NaN where unvisited, the same tiles in all.
  """
  seen = np.isfinite(maps).all(0)
  filter_ = np.sqrt(_spectrum(maps))
  _, w, h = maps.shape
  noise = rng.standard_normal((len(maps), 2 * w - 1, 2 * h - 1)).astype(np.float32)
  field = scipy.fft.ifft2(scipy.fft.fft2(noise) * filter_).real[:, :w, :h]
  order = np.argsort(field[:, seen], 1)
  values = np.empty_like(maps[:, seen])
  np.put_along_axis(values, order, np.sort(maps[:, seen], 1), 1)
  found = np.full_like(maps, np.nan)
  found[:, seen] = values
  return found


def _spectrum(maps: np.ndarray) -> np.ndarray:
  """Power (2W - 1, 2H - 1) of the mean autocorrelation, tapered to half its reach."""
  total, count = np.zeros(tuple(2 * n - 1 for n in maps.shape[1:])), 0
  for i in range(0, len(maps), BLOCK):
    acg = fields.autocorrelation(centred(maps[i : i + BLOCK]))
    total += np.nan_to_num(acg).sum(0)
    count += int(np.isfinite(acg).all((1, 2)).sum())
  tapers = [np.hanning(n + 2)[1:-1] for n in total.shape]
  mean = total / max(count, 1) * tapers[0][:, None] * tapers[1]
  power = scipy.fft.fft2(scipy.fft.ifftshift(mean)).real
  return np.asarray(np.maximum(power, 0))
