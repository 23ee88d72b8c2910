"""The kinds of maps of some layers' units, and whether they are more than chance.

for name, found in study(results, KindsOptions()):
  print(found.verdict())
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dreamerv3.analysis.tuning.kinds import autocorrelograms, clusters, pictures
from dreamerv3.analysis.tuning.kinds.clusters import Clusters
from dreamerv3.analysis.tuning.maps import fields
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.analysis.tuning.table import TuningTable

ALPHA = 0.05  # of the strength of groups, against both nulls
STABLE = 0.75  # agreement from which a group counts as found again (Hennig 2007)
EXAMPLES = 6  # units per group that are kept to be drawn

# Maps (D, W, H) of drawn episodes, of the units (D,) of a layer.
Redraw = Callable[[TuningTable, np.ndarray], Iterator[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class KindsOptions:
  """How units are grouped; the flags of analyze_tuning.py."""

  n_components: int = 50
  perplexity: float = 30.0
  umap_neighbors: int = 15
  min_cluster_size: int = 20
  no_normalize: bool = False
  n_shuffles: int = 99
  n_resamples: int = 50
  max_neurons: int = 2000
  seed: int = 0


@dataclasses.dataclass(frozen=True)
class LayerKinds:
  """Groups of one layer's units.

  Attributes:
    layer: name; silent: units without a map, left out.
    units: (N,) index of each grouped unit in the layer; classes: (N,) their names.
    labels, silhouette: (N,) see `Clusters`.
    variances: (C,) of the principal components of the autocorrelograms; chance: (C,)
      95th percentile of those of shuffled maps; used: components that exceed it in a
      row, two at least, in which units are grouped.
    strength: mean silhouette over all units, 0 without groups; shuffled, gaussian:
      (B,) the same of shuffled maps, and of one Gaussian cloud.
    again: (K,) agreement of each group with groups of resampled units; episodes: (K,)
      of maps of resampled episodes, NaN without a recording.
    places: {pca, tsne, umap: (N, 2)} pictures.
    examples: (E,) rows of units to show, by group and silhouette; maps (E, W, H) and
      autocorrelograms (E, 2W - 1, 2H - 1) of them.
  """

  layer: str
  silent: int
  units: np.ndarray
  classes: np.ndarray
  labels: np.ndarray
  silhouette: np.ndarray
  variances: np.ndarray
  chance: np.ndarray
  used: int
  strength: float
  shuffled: np.ndarray
  gaussian: np.ndarray
  again: np.ndarray
  episodes: np.ndarray
  places: Mapping[str, np.ndarray]
  examples: np.ndarray
  maps: np.ndarray
  autocorrelograms: np.ndarray

  @property
  def p(self) -> float:
    """Share of nulls that group as well, of the kinder null; 1 without groups."""
    if not len(self.again):
      return 1.0
    if not len(self.shuffled):
      return float('nan')
    return max(
      float((1 + (x >= self.strength).sum()) / (1 + len(x)))
      for x in (self.shuffled, self.gaussian)
    )

  @property
  def holds(self) -> np.ndarray:
    """(K,) bool, which groups are more than chance and are found again."""
    stable = self.again >= STABLE
    stable &= ~np.isfinite(self.episodes) | (self.episodes >= STABLE)
    return stable & (self.p <= ALPHA)

  def verdict(self) -> str:
    """What may be said of a layer's kinds."""
    count, held = len(self.again), int(self.holds.sum())
    if not count:
      return f'{self.layer}: no kinds of maps; the units are of one cloud, or alone.'
    groups = f'{count} groups of autocorrelograms (p {self.p:.3f})'
    if not self.p <= ALPHA:
      return f'{self.layer}: no kinds of maps; {groups} as chance makes them.'
    if not held:
      return f'{self.layer}: no kinds of maps; of {groups} none is found again.'
    share = np.isin(self.labels, np.flatnonzero(self.holds)).mean()
    return f'{self.layer}: of {groups} {held} found again, {share:.0%} of the units.'


def study(
  results: Results,
  options: KindsOptions,
  redraw: Redraw | None = None,
) -> Iterator[tuple[str, LayerKinds | str]]:
  """Layer by layer, its name first; of layers with too few maps the reason, one line.

  Args:
    results: of tuning_curve.py.
    redraw: makes maps of drawn episodes; None without a recording.
  """
  for name, table in results.tables.items():
    names = results.names(name)
    rows, silent = _chosen(table, options)
    if len(rows) < 2 * options.min_cluster_size:
      reason = (
        f'{name}: {len(rows)} units have a map; --min_cluster_size '
        f'{options.min_cluster_size} needs twice as many.'
      )
      yield name, reason
      continue
    yield name, _layer(table, rows, silent, names[rows], options, redraw)


def _chosen(table: TuningTable, options: KindsOptions) -> tuple[np.ndarray, int]:
  """Units whose maps are not constant, a random sample of many; and how many are."""
  curves = table.curves.values
  varied = np.nan_to_num(np.nanmax(curves, 1) - np.nanmin(curves, 1)) > 0
  rows = np.flatnonzero(varied)
  silent = len(curves) - len(rows)
  if 0 < options.max_neurons < len(rows):
    rng = np.random.default_rng([options.seed, 50])
    rows = np.sort(rng.choice(rows, options.max_neurons, replace=False))
  return rows, silent


def _layer(
  table: TuningTable,
  rows: np.ndarray,
  silent: int,
  classes: np.ndarray,
  options: KindsOptions,
  redraw: Redraw | None,
) -> LayerKinds:
  maps, least = table.curves[rows], options.min_cluster_size
  lags = autocorrelograms.lags(maps)
  space = _Space.of(autocorrelograms.rows(maps, lags, not options.no_normalize))
  chance, shuffled = _shuffled(maps, lags, space, options)
  points = space.scores[:, : chance.used]
  found = clusters.cluster(points, least)
  rng = np.random.default_rng([options.seed, 53])
  gaussian = [
    clusters.cluster(clusters.one_gaussian(points, rng), least).strength
    for _ in range(options.n_shuffles)
  ]
  again = clusters.resampled(points, found, least, options.n_resamples, options.seed)
  episodes = np.full(found.count, np.nan)
  if redraw is not None and found.count:
    drawn = [
      clusters.agreement(
        found.labels,
        clusters.cluster(
          space.project(
            autocorrelograms.rows(x, lags, not options.no_normalize), chance.used
          ),
          least,
        ).labels,
      )
      for x in redraw(table, rows)
    ]
    episodes = clusters.mean_known(np.array(drawn))
  examples = _examples(found)
  return LayerKinds(
    layer=table.layer,
    silent=silent,
    units=table.units[rows],
    classes=classes,
    labels=found.labels,
    silhouette=found.silhouette,
    variances=space.variances[: options.n_components],
    chance=chance.variances,
    used=chance.used,
    strength=found.strength,
    shuffled=shuffled,
    gaussian=np.array(gaussian),
    again=again,
    episodes=episodes,
    places=_places(points, options),
    examples=examples,
    maps=maps[examples],
    autocorrelograms=_whole(maps[examples]),
  )


class _Space(NamedTuple):
  """Principal components of autocorrelograms: scores (N, C), variances (C,)."""

  mean: np.ndarray
  axes: np.ndarray
  scores: np.ndarray
  variances: np.ndarray

  @classmethod
  def of(cls, X: np.ndarray) -> '_Space':
    mean = X.mean(0)
    left, size, axes = np.linalg.svd(X - mean, full_matrices=False)
    return cls(mean, axes, left * size, size**2 / max(len(X) - 1, 1))

  def project(self, X: np.ndarray, used: int) -> np.ndarray:
    points: np.ndarray = (X - self.mean) @ self.axes[:used].T
    return points


class _Chance(NamedTuple):
  """Variances that components of shuffled maps reach, and components above them."""

  variances: np.ndarray
  used: int


def _shuffled(
  maps: np.ndarray, lags: np.ndarray, space: _Space, options: KindsOptions
) -> tuple[_Chance, np.ndarray]:
  """Parallel analysis (Horn 1965, doi:10.1007/BF02289447) and strengths by chance."""
  rng = np.random.default_rng([options.seed, 52])
  own = space.variances[: options.n_components]
  spaces = []
  for _ in range(options.n_shuffles):
    noise = autocorrelograms.shuffled(maps, rng)
    made = _Space.of(autocorrelograms.rows(noise, lags, not options.no_normalize))
    # Of the scores only as many as can be used are kept.
    spaces.append((made.scores[:, : len(own)], made.variances[: len(own)]))
  if not spaces:
    return _Chance(np.full(len(own), np.nan), min(2, len(own))), np.zeros(0)
  limit = np.percentile([x for _, x in spaces], 95, axis=0)
  above = int(np.argmin(np.append(own > limit, False)))
  used = min(max(above, 2), len(own))
  strengths = [
    clusters.cluster(x[:, :used], options.min_cluster_size).strength for x, _ in spaces
  ]
  return _Chance(limit, used), np.array(strengths)


def _places(points: np.ndarray, options: KindsOptions) -> dict[str, np.ndarray]:
  found = {
    'pca': points[:, :2],
    'tsne': pictures.tsne(points, options.perplexity, options.seed),
  }
  if pictures.has_umap():
    found['umap'] = pictures.umap(points, options.umap_neighbors, options.seed)
  return found


def _examples(found: Clusters) -> np.ndarray:
  """The units of the highest silhouette of each group; rows (E,)."""
  chosen = []
  for k in range(found.count):
    of = np.flatnonzero(found.labels == k)
    best = of[np.argsort(-found.silhouette[of], kind='stable')]
    chosen.append(best[:EXAMPLES])
  return np.concatenate(chosen) if chosen else np.zeros(0, int)


def _whole(maps: np.ndarray) -> np.ndarray:
  """Autocorrelograms (E, 2W - 1, 2H - 1), to be looked at."""
  shape = (len(maps), *(2 * n - 1 for n in maps.shape[1:]))
  if not len(maps):
    return np.zeros(shape, np.float32)
  return fields.autocorrelation(autocorrelograms.centred(maps))


def to_dict(found: Sequence[LayerKinds]) -> dict[str, Any]:
  """Plain dicts of arrays, as cluster_results.pkl holds them."""
  return {'format': 1, 'kinds': [dataclasses.asdict(x) for x in found]}


def from_dict(values: Mapping[str, Any]) -> list[LayerKinds]:
  """Reads what `to_dict` made."""
  return [LayerKinds(**x) for x in values['kinds']]
