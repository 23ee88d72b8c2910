"""What the nulls of some units say, in as few numbers as the layer's tables need.

  evidence = Evidence.of(names, observed, null, drift)   # (D, S), (D, S, n)
  Evidence.join([evidence, other]).q()['EVs']           # (D,) corrected

A unit has thousands of null scores and a handful of p values: blocks hand on what p
and q are made of, so that memory does not grow with the number of nulls.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from dreamerv3.analysis import nulls
from dreamerv3.analysis.tuning import significance

# Two labels of one question, of which the more unusual counts.
VIEW = ('front', 'near')
DRIFT = 'map_drift'


@dataclasses.dataclass(frozen=True)
class Evidence:
  """p of every tested score of D units, and what q and the table add to it.

  Attributes:
    tails: {score: p values and tails}, in parts of the units.
    shares: {R2 of a model: (D,)}, freed from the bias of finite data.
  """

  tails: Mapping[str, tuple[nulls.Tail, ...]]
  shares: Mapping[str, np.ndarray]

  @classmethod
  def of(
    cls, names: Sequence[str], observed: np.ndarray, null: np.ndarray, drift: np.ndarray
  ) -> 'Evidence':
    """Of a block of units.

    R2' = (R2 - mean null R2) / (1 - mean null R2)

    Args:
      names: of the S scores; observed: (D, S); null: (D, S, n).
      drift: (1 + s, D) of the halves of the recording, see `maps.drift`; the
        observed one first; no row for few episodes.
    """
    tails: dict[str, tuple[nulls.Tail, ...]] = {}
    shares: dict[str, np.ndarray] = {}
    if not null.shape[2]:
      return cls(tails, shares)
    if len(drift):
      tails[DRIFT] = (nulls.tail(drift[0], drift[1:]),)
    for i, name in enumerate(names):
      if name in significance.WIDE or name == VIEW[1]:
        continue
      scores, row = observed[:, i], null[:, i].T.astype(np.float64)
      if name in significance.R2:
        bias = row.mean(0)
        with np.errstate(invalid='ignore', divide='ignore'):
          shares[name] = (scores - bias) / (1 - bias)
        continue
      other = VIEW[1] if name == VIEW[0] else f'{name}_wide'
      if other in names:
        both = [i, names.index(other)]
        scores, row = nulls.strongest(
          observed[:, both].T.astype(np.float64),
          null[:, both].transpose(1, 2, 0).astype(np.float64),
        )
      tails['view' if name == VIEW[0] else name] = (nulls.tail(scores, row),)
    return cls(tails, shares)

  @classmethod
  def join(cls, parts: Sequence['Evidence']) -> 'Evidence':
    """The units of all parts, in their order."""
    first = parts[0]
    return cls(
      {k: tuple(t for x in parts for t in x.tails[k]) for k in first.tails},
      {k: np.concatenate([x.shares[k] for x in parts]) for k in first.shares},
    )

  def p(self) -> dict[str, np.ndarray]:
    """{score: (D,)} against the nulls of each unit; NaN of silent ones."""
    return {k: np.concatenate([x.p for x in v]) for k, v in self.tails.items()}

  def q(self) -> dict[str, np.ndarray]:
    """{score: (D,)} the same, corrected over all units."""
    return {k: nulls.q_values(nulls.tail_p_values(v)) for k, v in self.tails.items()}
