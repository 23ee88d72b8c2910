"""The geometry of some layers of a recording, beside a control and dreams.

found = study(data, ['dyn/deter'], GeometryOptions(), control=untrained)
files.save_pickle('manifold_results.pkl', to_dict(found))
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv3.analysis.geometry import evidence, sampling, space
from dreamerv3.analysis.geometry.dimension import Dimension, participation, two_nn
from dreamerv3.analysis.geometry.dreamed import Sleep
from dreamerv3.analysis.geometry.embedding import Embedding, embed, one_direction
from dreamerv3.analysis.geometry.saturation import Hill, hill_fit
from dreamerv3.analysis.geometry.similarity import Similarity
from dreamerv3.data.samples import Track
from dreamerv3.data.trajectories import Trajectories

NAN = float('nan')
COMPARED = ('srsa', 'partial', 'ratio', 'intrinsic')  # with a control


@dataclasses.dataclass(frozen=True)
class GeometryOptions:
  """What is computed; see the flags of manifold_analysis.py."""

  max_wake_samples: int = 4000
  n_neighbors: int = 150
  no_isomap: bool = False
  no_hill: bool = False
  n_shuffles: int = 200
  n_boot: int = 500
  seed: int = 0


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A number with its 95 % interval over episodes, and p where it was tested."""

  value: float
  low: float = NAN
  high: float = NAN
  p: float = NAN


@dataclasses.dataclass(frozen=True)
class LayerGeometry:
  """What was found of one layer.

  Attributes:
    layer, units, rows, episodes: what was compared.
    srsa, partial, walking: sRSA; given view and time; with distances in steps.
    ratio, intrinsic: participation ratio and TwoNN dimension.
    space: (S,) distances [tiles]; code: (S,) mean distance of the code at each; pairs:
      (S,) behind it; histogram: (S, BINS) of them; widest: end of its last bin.
    hill: the saturating fit of `code`; None if left out.
    embedding, wake_pos: picture of the states, positions (n, 2) of the waking ones.
    sleep: distance of dreams to waking states; None without dreams.
  """

  layer: str
  units: int
  rows: int
  episodes: int
  srsa: Estimate
  partial: Estimate
  walking: Estimate
  ratio: Dimension
  intrinsic: Dimension
  space: np.ndarray
  code: np.ndarray
  pairs: np.ndarray
  histogram: np.ndarray
  widest: float
  hill: Hill | None
  embedding: Embedding
  wake_pos: np.ndarray
  sleep: Sleep | None = None


@dataclasses.dataclass(frozen=True)
class GeometryComparison:
  """A layer with its control, and their differences.

  Attributes:
    geometry: of the recording; control: of the control, None without one.
    srsa, partial, ratio, intrinsic: trained minus control, with bootstrap p.
    paired: both were recorded on one path, and episodes are drawn together.
  """

  geometry: LayerGeometry
  control: LayerGeometry | None = None
  srsa: Estimate = Estimate(NAN)
  partial: Estimate = Estimate(NAN)
  ratio: Estimate = Estimate(NAN)
  intrinsic: Estimate = Estimate(NAN)
  paired: bool = False


@dataclasses.dataclass(frozen=True)
class SampledRows:
  """What all layers of a recording share: the sampled rows and their distances."""

  data: Trajectories
  track: Track
  rows: np.ndarray
  tile: np.ndarray
  straight: np.ndarray
  walking: np.ndarray | None
  views: np.ndarray | None
  options: GeometryOptions

  @classmethod
  def of(cls, data: Trajectories, options: GeometryOptions) -> 'SampledRows':
    """Draws the rows and looks up what they share."""
    track = data.track()
    rows = sampling.choose(track, options.max_wake_samples, options.seed)
    walkable = data.metadata.walkable()
    walking = None if walkable is None else space.walking(walkable, track.pos)
    return cls(
      data,
      track,
      rows,
      data.grid.to_class(track.pos),
      space.straight(data.grid),
      walking,
      sampling.views(data, track, rows),
      options,
    )

  @property
  def episode(self) -> np.ndarray:
    """Episode of each timestep that is compared."""
    episode: np.ndarray = self.track.episode[self.rows]
    return episode

  def similarity(self, X: np.ndarray, table: np.ndarray) -> Similarity:
    """Compares the sampled rows' activations X (n, D)."""
    return Similarity.of(
      X,
      self.tile[self.rows],
      table,
      self.episode,
      self.track.t[self.rows],
      self.views,
      self.options.seed,
    )

  def weights(self) -> np.ndarray:
    """Bootstrap draws of the episodes that have rows in the sample."""
    count = len(np.unique(self.episode))
    return evidence.weights(count, self.options.n_boot, self.options.seed)


def study(
  data: Trajectories,
  names: Sequence[str],
  options: GeometryOptions,
  control: Trajectories | None = None,
  dreams: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> Iterator[GeometryComparison]:
  """Layer by layer, in the order of `names`.

  Args:
    control: recording of another network, of the same layers.
    dreams: {layer: (states (N, H, D), valid (N, H))} of layers that were dreamed.
  """
  scene = SampledRows.of(data, options)
  beside = None if control is None else SampledRows.of(control, options)
  for name in names:
    dreamed = (dreams or {}).get(name)
    found, similarity = measure(scene, name, dreamed)
    if beside is None:
      yield GeometryComparison(found)
      continue
    other, theirs = measure(beside, name, None)
    paired = same_path(scene, beside)
    yield _compared(scene, beside, found, similarity, other, theirs, paired)


def measure(
  scene: SampledRows, name: str, dreamed: tuple[np.ndarray, np.ndarray] | None
) -> tuple[LayerGeometry, Similarity]:
  """One layer of one recording."""
  options = scene.options
  X = scene.data.activations(name).read(scene.rows)
  similarity = scene.similarity(X, scene.straight)
  weight = scene.weights()
  p = evidence.exchanged(
    X,
    scene.tile,
    scene.straight,
    scene.track,
    scene.rows,
    scene.views,
    options.n_shuffles,
    options.seed,
  )
  walking = Estimate(NAN)
  if scene.walking is not None:
    walking = _estimate(scene.similarity(X, scene.walking), (), weight, NAN)
  pairs = similarity.histogram.sum(1)
  code = similarity.near / np.where(pairs > 0, pairs, np.nan)
  distance = np.arange(len(pairs), dtype=float)
  sleep, states = None, np.zeros((0, X.shape[1]), np.float32)
  if dreamed is not None:
    sleep = Sleep.of(X, scene.episode, *dreamed)
    states = dreamed[0][dreamed[1]]
  found = LayerGeometry(
    layer=name,
    units=X.shape[1],
    rows=len(X),
    episodes=len(np.unique(scene.episode)),
    srsa=_estimate(similarity, (), weight, p['p']),
    partial=_estimate(similarity, similarity.controls, weight, p['p_partial']),
    walking=walking,
    ratio=participation(X, scene.episode, weight),
    intrinsic=two_nn(X, scene.episode, weight),
    space=distance,
    code=code,
    pairs=pairs,
    histogram=similarity.histogram,
    widest=similarity.widest,
    hill=None if options.no_hill else hill_fit(distance, code, pairs),
    embedding=_embedding(X, states, options),
    wake_pos=scene.track.pos[scene.rows],
    sleep=sleep,
  )
  return found, similarity


def same_path(scene: SampledRows, other: SampledRows) -> bool:
  """Whether two recordings went the same ways in the same episodes."""
  mine, theirs = ([(x.number, len(x)) for x in y.data.episodes] for y in (scene, other))
  if mine != theirs or len(scene.track) != len(other.track):
    return False
  return bool((scene.track.pos == other.track.pos).all())


def _embedding(
  X: np.ndarray, states: np.ndarray, options: GeometryOptions
) -> Embedding:
  isomap = not options.no_isomap and not one_direction(X)
  return embed(X, states, options.n_neighbors, isomap, options.seed)


def _estimate(
  similarity: Similarity, given: Sequence[str], weight: np.ndarray, p: float
) -> Estimate:
  drawn = evidence.draws(similarity, given, weight)
  low, high = evidence.interval(drawn, weight.shape[1])
  return Estimate(similarity.value(given), low, high, p)


def _compared(
  scene: SampledRows,
  beside: SampledRows,
  found: LayerGeometry,
  mine: Similarity,
  other: LayerGeometry,
  theirs: Similarity,
  paired: bool,
) -> GeometryComparison:
  weight, apart = scene.weights(), beside.weights()
  if not paired:  # the same seed would draw the same episodes on both sides
    apart = evidence.weights(apart.shape[1], len(apart), beside.options.seed + 1)
  few = min(weight.shape[1], apart.shape[1])
  srsa, partial = (
    _difference(
      mine.value(given) - theirs.value(given),
      evidence.draws(mine, given, weight) - evidence.draws(theirs, given, apart),
      few,
    )
    for given in ((), mine.controls)
  )
  # Draws are exchangeable, so that another order of one side makes it independent.
  rng = np.random.default_rng([beside.options.seed, 37])
  order = np.arange(len(apart)) if paired else rng.permutation(len(apart))
  ratio, intrinsic = (
    _difference(a.value - b.value, a.drawn - b.drawn[order], few)
    for a, b in ((found.ratio, other.ratio), (found.intrinsic, other.intrinsic))
  )
  return GeometryComparison(found, other, srsa, partial, ratio, intrinsic, paired)


def _difference(value: float, drawn: np.ndarray, episodes: int) -> Estimate:
  low, high = evidence.interval(drawn, episodes)
  return Estimate(
    value, low, high, evidence.two_sided(drawn, episodes) if np.isfinite(low) else NAN
  )


def to_dict(found: Sequence[GeometryComparison]) -> dict[str, Any]:
  """Plain dicts of arrays, as manifold_results.pkl holds them."""
  return {'format': 1, 'layers': [dataclasses.asdict(x) for x in found]}


def from_dict(values: Mapping[str, Any]) -> list[GeometryComparison]:
  """Reads what `to_dict` made."""
  return [_comparison(x) for x in values['layers']]


def _comparison(x: Mapping[str, Any]) -> GeometryComparison:
  return GeometryComparison(
    _geometry(x['geometry']),
    None if x['control'] is None else _geometry(x['control']),
    # Results of before have no differences of dimensions.
    **{k: Estimate(**x.get(k, {'value': NAN})) for k in COMPARED},
    paired=bool(x['paired']),
  )


def _geometry(x: Mapping[str, Any]) -> LayerGeometry:
  parts = {
    'srsa': Estimate,
    'partial': Estimate,
    'walking': Estimate,
    'ratio': Dimension,
    'intrinsic': Dimension,
    'hill': Hill,
    'embedding': Embedding,
    'sleep': Sleep,
  }
  made = {k: None if x[k] is None else of(**x[k]) for k, of in parts.items()}
  return LayerGeometry(**{**x, **made})
