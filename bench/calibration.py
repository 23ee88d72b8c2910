"""Are the comparisons of errors honest, and strong enough? Planted cases.

  python bench/calibration.py             # all, as docs/decoding.md has them
  python bench/calibration.py --trials 200

The constant's errors are distances along random walks, so that those of a whole
episode go together. A layer's are some share of them, with a mean of its own in
each episode and noise at each timestep. Power: a layer at 0.8 or 0.9 of the
constant's error, tested by pairs. Calibration: two recordings of one network,
whose paths differ in difficulty; and layers that equal chance.
"""

import argparse
import pathlib
import sys

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import numpy as np

from dreamerv3.analysis.differences import Side, paired, unpaired

STEPS = 150  # timesteps of an episode, on average
SIZE = 5.0  # error of the best constant [tiles]


def path(rng: np.random.Generator, episodes: int) -> tuple[np.ndarray, np.ndarray]:
  """Errors (N,) of the constant on random walks, and the episode of each."""
  sizes = rng.integers(STEPS // 2, 2 * STEPS, episodes)
  walks = []
  for n in sizes:
    start = rng.normal(size=2)
    walk = start + np.cumsum(rng.normal(size=(n, 2)), 0) * SIZE / n**0.5 / 1.1
    walks.append(np.abs(walk).sum(1))
  return np.concatenate(walks), np.repeat(np.arange(episodes), sizes)


def layers(
  rng: np.random.Generator,
  constant: np.ndarray,
  episode: np.ndarray,
  share: float,
  count: int,
  spread: float = 0.15,
) -> np.ndarray:
  """Errors (L, N): a share of the constant's, with noise by episode and step."""
  episodes = episode.max() + 1
  own = share + spread * rng.normal(size=(count, episodes))
  noise = rng.gamma(2.0, 0.5, (count, len(episode)))
  return np.maximum(own, 0.05)[:, episode] * constant * noise


def power(
  share: float, episodes: int, trials: int, spread: float, seed: int = 0
) -> float:
  """How often a layer at a share of the constant's error is found."""
  rng, found = np.random.default_rng(seed), 0
  for trial in range(trials):
    constant, episode = path(rng, episodes)
    errors = layers(rng, constant, episode, share, 1, spread)
    test = paired(errors - constant, episode, 0, trial)
    found += bool(test.p[0] <= 0.05 and test.diff[0] < 0)
  return found / trials


def same_network(
  first: int, second: int, trials: int, count: int = 20, seed: int = 0
) -> tuple[float, float]:
  """How often two recordings of one network differ: of all tests, of families."""
  rng, alone, families = np.random.default_rng(seed), 0.0, 0
  for trial in range(trials):
    sides = []
    for episodes in (first, second):
      constant, episode = path(rng, episodes)
      errors = layers(rng, constant, episode, 0.8, count)
      sides.append(Side(errors, constant, episode))
    test = unpaired(sides[0], sides[1], 0, trial)
    alone += float((test.p <= 0.05).mean())
    families += bool((test.p_all <= 0.05).any())
  return alone / trials, families / trials


def at_chance(
  episodes: int, trials: int, count: int = 20, seed: int = 0
) -> tuple[float, float]:
  """How often layers that equal chance differ from it, by pairs."""
  rng, alone, families = np.random.default_rng(seed), 0.0, 0
  for trial in range(trials):
    constant, episode = path(rng, episodes)
    errors = layers(rng, constant, episode, 1.0, count)
    test = paired(errors - constant, episode, 0, trial)
    alone += float((test.p <= 0.05).mean())
    families += bool((test.p_all <= 0.05).any())
  return alone / trials, families / trials


def covered(episodes: int, trials: int, seed: int = 0) -> tuple[float, float]:
  """How often the intervals hold the truth: paired, and of two recordings."""
  rng, held = np.random.default_rng(seed), np.zeros(2)
  for trial in range(trials):
    constant, episode = path(rng, episodes)
    errors = layers(rng, constant, episode, 0.8, 20)
    other, places = path(rng, episodes)
    second = layers(rng, other, places, 0.8, 20)
    one = paired(errors - 0.8 * constant, episode, 500, trial)
    two = unpaired(
      Side(errors, constant, episode), Side(second, other, places), 500, trial
    )
    for i, x in enumerate((one, two)):
      held[i] += ((x.low <= 0) & (x.high >= 0)).mean()
  return float(held[0] / trials), float(held[1] / trials)


def main() -> None:
  """Prints power, calibration and coverage."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--trials', type=int, default=1000)
  trials = parser.parse_args().trials
  print('Power at 5 %: share of draws in which the layer is found')
  for share, episodes in ((0.8, 6), (0.8, 8), (0.9, 20), (0.9, 8)):
    found = [power(share, episodes, trials, spread) for spread in (0.05, 0.15)]
    print(
      f'  {share} x the constant, {episodes:2d} episodes: {found[0]:.1%}; '
      f'{found[1]:.1%} where the share varies by 0.15 over episodes',
      flush=True,
    )
  print('One network twice, and layers at chance: share that differs at 5 %')
  for first, second in ((20, 20), (8, 8), (6, 20), (40, 40)):
    alone, family = same_network(first, second, trials)
    print(
      f'  {first} v {second} episodes: {alone:.1%} of tests, {family:.1%} of '
      'families of 20 layers',
      flush=True,
    )
  for episodes in (6, 8, 20):
    alone, family = at_chance(episodes, trials)
    print(
      f'  at chance, {episodes} episodes: {alone:.1%} of tests, {family:.1%} of '
      'families',
      flush=True,
    )
  for episodes in (6, 8, 20):
    one, two = covered(episodes, trials)
    print(f'  95 % intervals, {episodes} episodes: hold {one:.1%}, {two:.1%}')


if __name__ == '__main__':
  main()
