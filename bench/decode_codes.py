"""Activations with a known relation to the position, for bench/decode.py.

code, units, area, noise = PROBLEMS['gaussian']
record(folder, {'dyn/deter': code(units, 1, area, noise)}, area, 12, 70)
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from tests import synthetic

Array = np.ndarray
# (pos (T, 2), facing (T, 2), rng) -> activations (T, units)
Code = Callable[[Array, Array, Generator], Array]


def place_code(units: int, seed: int, area: tuple[int, int], noise: float) -> Code:
  """Smooth place-dependent activations with slowly varying noise."""

  def code(pos: Array, facing: Array, rng: Generator) -> Array:
    fixed = np.random.default_rng(seed)
    waves = fixed.normal(size=(2, units)) * 4 / np.array(area)[:, None]
    clean = np.sin(pos @ waves + fixed.uniform(0, 2 * np.pi, units))
    return np.tanh(clean + noise * synthetic.noise(pos, facing, rng, units, 0.9))

  return code


def rectified(units: int, seed: int, area: tuple[int, int], noise: float) -> Code:
  """As place_code, rectified and of very different scales."""
  code = place_code(units, seed, area, noise)

  def scaled(pos: Array, facing: Array, rng: Generator) -> Array:
    scale = np.exp(1.5 * np.random.default_rng(seed).normal(size=units))
    return np.maximum(code(pos, facing, rng) - 0.2, 0) * scale

  return scaled


def gaussian(units: int, seed: int, area: tuple[int, int], noise: float) -> Code:
  """Place cells: a Gaussian field per unit, 1.5 tiles wide, and noise."""

  def code(pos: Array, _: Array, rng: Generator) -> Array:
    centre = np.random.default_rng(seed).uniform(0, area, (units, 2))
    square = ((pos[:, None] - centre) ** 2).sum(-1)
    return np.exp(-square / 4.5) + noise * rng.normal(size=square.shape)

  return code


def one_hot(units: int, _: int, area: tuple[int, int], noise: float) -> Code:
  """A unit per tile, and noise."""

  def code(pos: Array, facing: Array, rng: Generator) -> Array:
    clean = synthetic.one_hot_places(pos, facing, rng, area)
    assert clean.shape[1] == units
    return clean + noise * rng.normal(size=clean.shape)

  return code


def linear(units: int, seed: int, area: tuple[int, int], noise: float) -> Code:
  """Linear in (x, y, 1), and noise."""

  def code(pos: Array, _: Array, rng: Generator) -> Array:
    mix = np.random.default_rng(seed).normal(size=(3, units))
    clean = np.c_[pos / np.array(area) - 0.5, np.ones(len(pos))] @ mix
    return clean + noise * rng.normal(size=clean.shape)

  return code


def slow(units: int, seed: int, area: tuple[int, int], noise: float) -> Code:
  """Noise of correlation 0.97 from step to step, on a place code."""
  place = place_code(units, seed, area, 0)

  def code(pos: Array, facing: Array, rng: Generator) -> Array:
    clean = (1 - noise) * place(pos, facing, rng)
    return clean + synthetic.noise(pos, facing, rng, units, 0.97)

  return code


# {name: (code, units, area, noise)}, small enough for the reference.
PROBLEMS = {
  'one-hot': (one_hot, 64, (8, 8), 0.3),
  'gaussian': (gaussian, 48, (12, 12), 0.2),
  'linear': (linear, 20, (12, 12), 0.15),
  'place': (place_code, 48, (12, 12), 0.7),
  'rectified': (rectified, 48, (14, 14), 0.7),
  'slow noise': (slow, 32, (14, 14), 0.0),
  'only noise': (slow, 32, (12, 12), 1.0),
}
