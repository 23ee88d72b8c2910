"""Groups of points, how apart they are, and whether others would group alike.

found = cluster(points, least=20)
print(found.count, found.strength)
print(agreement(found.labels, cluster(points[some], 20).labels, some))
"""

import dataclasses
import math

import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.metrics import silhouette_samples


@dataclasses.dataclass(frozen=True)
class Clusters:
  """Groups of N points.

  Attributes:
    labels: (N,) 0 and up by size, the largest first; -1 for points of none.
    silhouette: (N,) -1 to 1, how much nearer its own group is than the next one
      (Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7); NaN for points of none.
  """

  labels: np.ndarray
  silhouette: np.ndarray

  @property
  def count(self) -> int:
    """Number of groups."""
    return int(self.labels.max(initial=-1)) + 1

  @property
  def strength(self) -> float:
    """Sum of the silhouettes over all N points, as a mean: 0 without groups."""
    return float(np.nansum(self.silhouette) / max(len(self.labels), 1))


def cluster(points: np.ndarray, least: int) -> Clusters:
  """Groups by density (HDBSCAN: Campello et al. 2013, 10.1007/978-3-642-37456-2_14).

  Args:
    points: (N, d).
    least: points of the smallest group.
  """
  none = Clusters(np.full(len(points), -1), np.full(len(points), np.nan))
  if len(points) < 2 * least:
    return none
  found = HDBSCAN(min_cluster_size=least, copy=True).fit(points).labels_
  if found.max() < 1:
    return none
  order = np.argsort(-np.bincount(found[found >= 0]), kind='stable')
  labels = np.append(np.argsort(order), -1)[found]
  inside = labels >= 0
  silhouette = np.full(len(points), np.nan)
  silhouette[inside] = silhouette_samples(points[inside], labels[inside])
  return Clusters(labels, silhouette)


def agreement(
  labels: np.ndarray, others: np.ndarray, of: np.ndarray | None = None
) -> np.ndarray:
  """How well each group is found again, (K,) 0 to 1; NaN if none of it was drawn.

  The largest Jaccard index |A and B| / |A or B| of the group with any of the others
  (Hennig 2007, doi:10.1016/j.csda.2006.11.025).

  Args:
    labels: (N,) groups; others: (M,) groups of a second clustering.
    of: (M,) the points that were clustered again; all by default.
  """
  count = int(labels.max(initial=-1)) + 1
  first = labels if of is None else labels[of]
  found = np.full(count, np.nan)
  for k in range(count):
    mine = first == k
    if not mine.any():
      continue
    found[k] = 0
    for j in range(int(others.max(initial=-1)) + 1):
      theirs = others == j
      found[k] = max(found[k], (mine & theirs).sum() / (mine | theirs).sum())
  return found


def resampled(
  points: np.ndarray, found: Clusters, least: int, times: int, seed: int
) -> np.ndarray:
  """Mean agreement (K,) of each group with groups among two thirds of the points."""
  rng = np.random.default_rng([seed, 51])
  drawn = []
  size, fewest = 2 * len(points) // 3, max(2, math.ceil(2 * least / 3))
  for _ in range(times):
    some = np.sort(rng.choice(len(points), size, replace=False))
    again = cluster(points[some], fewest)
    drawn.append(agreement(found.labels, again.labels, some))
  return mean_known(np.array(drawn).reshape(times, found.count))


def mean_known(drawn: np.ndarray) -> np.ndarray:
  """Means (K,) over draws (B, K) of what is known; NaN where nothing is."""
  known = np.isfinite(drawn)
  total, count = np.where(known, drawn, 0).sum(0), known.sum(0)
  return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def one_gaussian(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Points of a single Gaussian cloud of the same covariance: one group, stretched.

  The null of SigClust (Liu et al. 2008, doi:10.1198/016214508000000454).
  """
  root = np.linalg.svd(points - points.mean(0), full_matrices=False)
  scale = root[1] / math.sqrt(max(len(points) - 1, 1))
  drawn: np.ndarray = rng.standard_normal((len(points), len(scale))) * scale @ root[2]
  return drawn
