import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest

from dreamerv3.analysis import devices
from dreamerv3.analysis.torch_arrays import TorchArrays
from dreamerv3.analysis.tuning import significance
from dreamerv3.analysis.tuning.maps import border
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.data.grid import Grid
from tests import synthetic
from tests.analysis import planted

AREA = 16, 11
# A rock, and a wall that one half cannot be reached through from the other.
ROCKS = (*((x, y) for x in (3, 4, 5) for y in (4, 5)), *((10, y) for y in range(11)))


def plain(
  x: np.ndarray,
  design: Design,
  distance: np.ndarray,
  labels: Mapping[str, np.ndarray],
  low: float,
) -> dict[str, float]:
  """All scores of one unit (N,) with the lowest activation, by loops in float64."""
  x = x - x.mean()
  tile, facing = design.tile, design.heading
  block = [*zip(*(design.track.pos // 3).T, facing, strict=True)]

  def groups(label):
    rows: dict[object, list[int]] = {}
    for i, key in enumerate(label):
      rows.setdefault(key, []).append(i)
    return [*rows.values()]

  def explained(label, values=x):
    """Share of all squares that the means of groups explain."""
    return sum(values[i].sum() ** 2 / len(i) for i in groups(label)) / (x**2).sum()

  def residual(label):
    out = x.copy()
    for rows in groups(label):
      out[rows] -= x[rows].mean()
    return out

  def bits(label):
    shares = [(len(i) / len(x), max(x[i].mean() - low, 0)) for i in groups(label)]
    mean = sum(p * r for p, r in shares)
    return sum(p * r / mean * np.log2(r / mean) for p, r in shares if r > 0)

  place, both = explained(tile), explained([*zip(tile, facing, strict=True)])
  out = {'EVs': place, 'R2_place': place, 'SI': bits(tile)}
  if (facing >= 0).all():
    turned = explained(facing)
    out |= {'HD_info': bits(facing), 'R2_HD': turned, 'R2_both': both}
    out['place_given_HD'] = (both - turned) / (1 - both)
    out['HD_given_place'] = (both - place) / (1 - both)
    wide = 'place_given_HD_wide', 'HD_given_place_wide'
    for name, label in zip(wide, (facing, tile), strict=True):
      out[name] = explained(block, residual(label)) / (1 - both)
  rates = [max(x[tile == v].mean() - low, 0) for v in range(design.n_tiles)]
  out['border_score'] = best_contrast(rates, distance)
  for name, label in labels.items():
    rows = label >= 0
    out[name] = explained(label[rows], x[rows])
  return out


def best_contrast(rates: list[float], distance: np.ndarray) -> float:
  """Of near and far, over the walls (G, V)."""
  found = []
  for steps in distance:
    near = [r for r, d in zip(rates, steps, strict=True) if d <= 1]
    far = [r for r, d in zip(rates, steps, strict=True) if 3 <= d < np.inf]
    if min(len(near), len(far)) >= border.MIN_TILES:
      a, b = np.mean(near), np.mean(far)
      found.append((a - b) / (a + b) if a + b > 0 else 0)
  return float(max(found))


def signals(design: Design, rng: np.random.Generator) -> np.ndarray:
  """Noise, a signed map, a facing, activity beside the wall alone, and rates."""
  n, (w, h) = len(design), AREA
  x, y = design.track.pos.T
  beside = (x == 0) | (y == 0) | (x == w - 1) | (y == h - 1)
  units = [
    rng.normal(size=n),
    np.sin(x / 3) + rng.normal(size=n),
    (design.heading == 2) + 0.4 * rng.normal(size=n),
    beside * rng.random(n),
    rng.random(n) ** 4 * (x > 6),
    5 + 1e-2 * rng.normal(size=n),
  ]
  return np.stack(units, 1).astype(np.float32)


@pytest.mark.parametrize('kind', ['faced', 'without facing', 'open'])
def test_all_scores_equal_plain_loops(kind, rng):
  tiles = synthetic.world(AREA, () if kind == 'open' else ROCKS)
  track = planted.track(tiles, rng, 8, 200)
  design = Design.build(track, Grid(*AREA))
  if kind == 'without facing':
    design = dataclasses.replace(design, heading=np.full_like(design.heading, -1))
  walls = border.find_walls(planted.free(tiles))
  distance = design.from_map(np.stack([x.distance for x in walls]))
  labels = {
    'speed': rng.integers(0, 2, len(design)),
    'action': rng.integers(-1, 5, len(design)),
  }
  scorer = significance.Scorer.build(design, distance, labels)
  X = np.repeat(signals(design, rng), 15, axis=1)  # more than one piece
  rows = rng.permutation(len(X))
  observed, null = scorer.test(X, np.stack([rows, rows[::-1]]).astype(np.int32))
  for found, order in ((observed, np.arange(len(X))), (null[:, 0], rows)):
    for d in range(0, X.shape[1], 15):
      x = X[order, d].astype(float)
      want = plain(x, design, distance, labels, min(x.min(), 0) - x.mean())
      assert set(want) == set(scorer.names)
      for name, got in zip(scorer.names, found[:, d : d + 15], strict=True):
        # Differences may be as small as float32 rounds what they are of.
        close = 3e-6 if name in ('SI', 'border_score') else 1e-7
        np.testing.assert_allclose(got, want[name], 1e-5, close, err_msg=f'{name} {d}')


def test_torch_scores_as_numpy_does(rng, monkeypatch):
  tiles = synthetic.world(AREA, ROCKS)
  track = planted.track(tiles, rng, 8, 200)
  design = Design.build(track, Grid(*AREA))
  walls = border.find_walls(planted.free(tiles))
  distance = design.from_map(np.stack([x.distance for x in walls]))
  labels = {'action': rng.integers(-1, 5, len(design))}
  scorer = significance.Scorer.build(design, distance, labels)
  X = np.concatenate([signals(design, rng), np.full((len(design), 1), 2.0)], 1)
  pairings = np.stack([rng.permutation(len(X)) for _ in range(3)]).astype(np.int32)
  monkeypatch.setattr(devices, 'on', lambda _: TorchArrays('cpu'))
  found = scorer.on('cuda:0').test(X.astype(np.float32), pairings)
  for mine, other in zip(
    found, scorer.test(X.astype(np.float32), pairings), strict=True
  ):
    np.testing.assert_allclose(mine, other, 1e-5, 1e-6)
  assert np.isnan(found[0][:, -1]).all()  # silent
