"""Two-dimensional pictures of a code: Isomap and principal components.

found = embed(wake, dreams, n_neighbors=150, isomap=True, seed=0)
"""

import dataclasses

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import Isomap

FITTED = 1500  # states that the embedding is fitted to; others are projected


@dataclasses.dataclass(frozen=True)
class Embedding:
  """Coordinates of waking (n, 2) and dreamed (m, 2) states.

  Attributes:
    method: isomap or pca.
    explained: share of the variance in the two components (PCA), or of the pairwise
      geodesic distances that the plane keeps (Isomap: 1 - residual variance); NaN of
      states that are all equal.
  """

  method: str
  wake: np.ndarray
  dream: np.ndarray
  explained: float


def embed(
  wake: np.ndarray, dream: np.ndarray, n_neighbors: int, isomap: bool, seed: int
) -> Embedding:
  """Embeds waking and dreamed states together.

  Isomap (Tenenbaum et al. 2000, doi:10.1126/science.290.5500.2319) on cosine distance,
  fitted to a sample and projecting the rest.
  """
  both = np.concatenate([wake, dream]) if len(dream) else wake
  both = np.asarray(both, np.float32)
  rng = np.random.default_rng([seed, 36])
  fitted = rng.permutation(len(both))[:FITTED]
  if isomap:
    most = max(2, min(n_neighbors, len(fitted) // 4))
    # The usual solver starts from numbers that no seed reaches.
    model = Isomap(n_neighbors=most, metric='cosine', eigen_solver='dense')
    model.fit(both[fitted])
    found = model.transform(both)
    explained = _kept(model.dist_matrix_, model.embedding_)
  else:
    with np.errstate(invalid='ignore'):  # of states that are all equal
      pca = PCA(min(2, both.shape[1]), random_state=seed).fit(both[fitted])
    found = pca.transform(both)
    found = np.pad(found, ((0, 0), (0, 2 - found.shape[1])))  # of a single unit
    explained = float(pca.explained_variance_ratio_.sum())
  method = 'isomap' if isomap else 'pca'
  return Embedding(method, found[: len(wake)], found[len(wake) :], explained)


def one_direction(X: np.ndarray) -> bool:
  """Whether the cosine distances of states (N, D) are all 0, as of a single unit of
  one sign: Isomap has no neighbours there, but there are components."""
  lengths = np.linalg.norm(X, axis=1, keepdims=True)
  directions = X / np.maximum(lengths, np.finfo(np.float32).tiny)
  return bool(np.allclose(directions, directions[0], rtol=0, atol=1e-6))


def _kept(geodesic: np.ndarray, plane: np.ndarray) -> float:
  i, j = np.triu_indices(len(plane), 1)
  flat = np.sqrt(np.square(plane[i] - plane[j]).sum(1))
  return float(np.corrcoef(geodesic[i, j], flat)[0, 1] ** 2)
