"""Information of a unit about a variable, for graded and signed activations.

bits = spatial(rates, visits)               # Skaggs et al. 1993
bits = mutual(counts)                       # plug-in, biased upwards
"""

import numpy as np
import numpy.typing

from dreamerv3.analysis.arrays import Array, Arrays

LEVELS = 3  # activation levels for mutual information, about equally often
_SAMPLE = 2048  # rows that the level edges are estimated from
_PIECE = 512  # rows
TINY = float(np.finfo(np.float32).tiny)  # no logarithm of 0


def floor_of(X: np.ndarray) -> np.ndarray:
  """What is subtracted to make units non-negative: min(0, minimum), (D,).

  Skaggs' formula needs rates >= 0. A unit that never is negative is left
  alone, a signed one is counted from its minimum.
  """
  low: np.ndarray = np.minimum(X.min(0), 0).astype(np.float64)
  return low


def spatial(rates: np.ndarray, visits: np.ndarray) -> np.ndarray:
  """Skaggs information [bits per unit of activation] of curves.

    I = sum_x p(x) r(x) / r log2(r(x) / r),  r = sum_x p(x) r(x)

  0 for an even curve, log2(1 / p) for one that is active in a share p alone.
  Naive: positive for finite noise; compare it with a null. Skaggs, McNaughton,
  Gothard & Markus, NIPS 1993.

  Args:
    rates: (B, D) mean activation per bin, >= 0; B counts visited bins only.
    visits: (B,) samples per bin.

  Returns:
    (D,) [bits]; 0 for a unit whose mean is 0.
  """
  return skaggs(rates, (visits / visits.sum()).astype(rates.dtype), Arrays())


def skaggs(rates: Array, p: Array, arrays: Arrays) -> Array:
  """`spatial` of rates (B, D) at bins with probabilities p (B,), on any device."""
  mean = p @ rates
  known = mean > 0
  # sum p r log2(r) / mean - log2(mean); r log r -> 0 for r -> 0.
  logs = arrays.log2(arrays.at_least(arrays.copy(rates), TINY))
  logs *= rates
  scale = arrays.where(known, mean, 1)
  return arrays.where(known, p @ logs / scale - arrays.log2(scale), 0)


def edges(X: np.ndarray) -> np.ndarray:
  """What parts each unit's activations into levels, (LEVELS - 1, D).

  The terciles of an even subsample of rows. An activation is above an edge,
  or on a lower level; units that are mostly silent have fewer levels.
  """
  rows = np.linspace(0, len(X) - 1, min(len(X), _SAMPLE)).astype(int)
  ordered = np.sort(X[rows], axis=0)
  return ordered[[(k * len(rows)) // LEVELS - 1 for k in range(1, LEVELS)]]


def pack(X: np.ndarray, most: int) -> np.ndarray:
  """Levels 0..2 as numbers whose sums count levels 1 and 2 at once, (N, D).

  Each level adds 1 to a counter of its own, half of the number's bits, so one
  sparse product yields a whole joint histogram; `unpack` takes the sums apart.
  float32 holds two counters of 12 bits, float64 two of 26.

  Args:
    most: samples that any sum is of; at most 2^26 - 1.
  """
  dtype = np.float32 if most < 2**12 else np.float64
  low, high = edges(X)
  step = dtype(2.0 ** _bits(dtype) - 1)  # level 2 counts up, level 1 down
  packed = np.empty(X.shape, dtype)
  for start in range(0, len(X), _PIECE):  # that fits into the cache
    rows = slice(start, start + _PIECE)
    np.copyto(packed[rows], X[rows] > low)
    packed[rows] += (X[rows] > high) * step
  return packed


def unpack(sums: np.ndarray, visits: np.ndarray) -> np.ndarray:
  """Sums (V, D) of packed levels to counts (LEVELS, V, D) float32."""
  base = sums.dtype.type(2.0 ** _bits(sums.dtype))
  high = np.floor(sums / base)
  middle = sums - high * base
  low = visits[:, None].astype(sums.dtype) - high - middle
  return np.stack([low, middle, high]).astype(np.float32)


def _bits(dtype: np.typing.DTypeLike) -> int:
  return 12 if np.dtype(dtype) == np.float32 else 26


def mutual(counts: np.ndarray) -> np.ndarray:
  """Plug-in mutual information [bits] from joint counts (L, V, D) -> (D,).

    I = sum p(l, x) log2(p(l, x) / p(l) p(x)) = H(l) + H(x) - H(l, x)

  At most log2(LEVELS) = 1.58 bits. Biased upwards by about
  (V - 1)(L - 1) / (2 N ln 2) bits for independent samples, and by more for
  autocorrelated ones.
  """
  n = counts[:, :, 0].sum()
  apart = entropy(counts.sum(1) / n, 0) + entropy(counts.sum(0) / n, 0)
  bits: np.ndarray = apart - entropy(counts / n, (0, 1))
  return bits


def miller_madow(counts: np.ndarray) -> np.ndarray:
  """Bias [bits] of `mutual` for independent samples, (D,).

    (K_lx - K_l - K_x + 1) / (2 N ln 2), K the numbers of occupied bins

  Miller 1955; Panzeri & Treves 1996, doi:10.1088/0954-898X/7/1/006.
  """
  n = counts[:, :, 0].sum()
  joint = (counts > 0).sum((0, 1))
  level = (counts.sum(1) > 0).sum(0)
  place = (counts.sum(0) > 0).sum(0)
  bits: np.ndarray = (joint - level - place + 1) / (2 * n * np.log(2))
  return bits


def entropy(p: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
  """Entropy [bits] of probabilities along `axis`."""
  tiny = np.finfo(p.dtype).tiny
  bits: np.ndarray = -(p * np.log2(np.maximum(p, tiny))).sum(axis)
  return bits
