"""Units in two dimensions: t-SNE, UMAP and Isomap.

  places = tsne(points, perplexity=30, seed=0)   # (N, 2)

For looking only: near points are alike, but gaps and sizes of groups mean nothing
(Wattenberg et al. 2016, doi:10.23915/distill.00002). Groups come from `clusters`.
"""

import importlib
import importlib.util

import numpy as np
from sklearn.manifold import TSNE, Isomap

LACKING = 'no picture by UMAP: umap-learn is not installed (pip install umap-learn)'


def tsne(points: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
  """van der Maaten & Hinton 2008, jmlr.org/papers/v9/vandermaaten08a.html.

  Args:
    points: (N, d); perplexity: a third of the points at most.
  """
  most = min(perplexity, (len(points) - 1) / 3)
  model = TSNE(2, perplexity=most, init='pca', random_state=seed)
  found: np.ndarray = model.fit_transform(np.asarray(points, np.float32))
  return found


def has_umap() -> bool:
  """Whether umap-learn is installed, without importing it."""
  return importlib.util.find_spec('umap') is not None


def umap(points: np.ndarray, neighbors: int, seed: int) -> np.ndarray:
  """McInnes et al. 2018, arXiv:1802.03426; needs umap-learn."""
  most = min(neighbors, len(points) - 1)
  library = importlib.import_module('umap')
  model = library.UMAP(n_neighbors=most, random_state=seed, n_jobs=1)
  return np.asarray(model.fit_transform(points))


def isomap(points: np.ndarray, neighbors: int) -> np.ndarray:
  """Tenenbaum et al. 2000, doi:10.1126/science.290.5500.2319."""
  most = max(2, min(neighbors, len(points) // 4))
  # Equal points, as of silent units, have equal neighbours and leave islands.
  # The usual solver starts from numbers that no seed reaches.
  model = Isomap(n_neighbors=most, eigen_solver='dense')
  found: np.ndarray = model.fit_transform(points)
  return found
