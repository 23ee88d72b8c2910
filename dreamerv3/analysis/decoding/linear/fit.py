"""Fits a linear decoder of positions: activations to tiles.

  decoder = PositionDecoder(FitOptions()).fit(X, pos, groups, grid)
  decoder.predict(X)   # (N, 2) tiles

The model is p(tile | x) = softmax(x W) without a bias. Its weights start at
the closed-form solution of a linear-softmax problem, the regularised linear
discriminant, and are then improved by descent on the cross-entropy for as
long as that lowers the error on episodes held out inside the training data.
docs/decoding.md has the equations, and how it compares with AdamW.

One fit uses one CPU thread, so that its numbers do not depend on how many
fits run beside it; `layers` runs several at a time.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from dreamerv3.analysis.arrays import Draws
from dreamerv3.analysis.decoding import chance
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder, Search
from dreamerv3.analysis.decoding.linear.discriminant import Features, Solution
from dreamerv3.analysis.decoding.linear.readout import Readout, candidates
from dreamerv3.analysis.decoding.linear.ridge import RidgeDecoder, solve_ridge
from dreamerv3.analysis.decoding.linear.training import MOST_CHECKED, Training
from dreamerv3.data.activations import Matrix
from dreamerv3.data.grid import Grid, manhattan

# Ridge on the covariance within tiles, as a share of its mean diagonal.
PENALTIES = (1e4, 10.0, 1.0, 1e-1, 1e-2, 1e-3)
# Kept unless another is clearly better on held-out episodes.
USUAL_PENALTY = 0.1
CHECK_EVERY = 50  # iterations
BATCH = 32  # rows per iteration
TINY = 1e-12  # of a silent layer, whose gradient is 0
STEP = 1.0  # of the descent, relative to the inverse mean square input
MOST_READ = 300  # validation rows per group that choose the readout
LEAST_GAIN = 0.02  # share of the validation error at the start


@dataclasses.dataclass(frozen=True)
class FitOptions:
  """How long to improve the closed-form solution, and where.

  Attributes:
    n_iters: most iterations of the descent, of 32 rows each; 0 keeps the
      closed form.
    patience: stop after this many iterations without a lower validation
      error; 0 never stops early.
    seed: of every random choice.
    device: 'cpu' or 'cuda:k'.
    method: 'classification', a softmax over tiles, or 'ridge', see `ridge`.
    choose: choose ridge and iterations on validation groups; else the usual
      ridge and no descent.
  """

  n_iters: int = 5000
  patience: int = 500
  seed: int = 0
  device: str = 'cpu'
  choose: bool = True
  method: str = 'classification'


@dataclasses.dataclass(frozen=True)
class PositionDecoder:
  """The estimator: options in, `fit` gives what predicts.

  Attributes:
    options: see FitOptions.
    stopped: whether to give up, asked now and then.
  """

  options: FitOptions = FitOptions()
  stopped: Callable[[], bool] = lambda: False

  def fit(
    self,
    X: Matrix,
    pos: np.ndarray,
    groups: np.ndarray,
    grid: Grid,
    rows: np.ndarray | None = None,
  ) -> LinearDecoder | RidgeDecoder:
    """Fits the decoder of one layer.

    Args:
      X: (N, D) float32 activations, in memory or read as they are needed.
      pos: (M, 2) true tile of each training row.
      groups: (M,) validation group, -1 without; see `splits.inner`.
      grid: the world.
      rows: (M,) training rows of X, which is not copied; all by default.

    Raises:
      Stopped: `stopped` said so.
    """
    rows = np.arange(X.shape[0]) if rows is None else rows
    options = self.options
    classes, labels = np.unique(grid.to_class(pos), return_inverse=True)
    features = Features.learn(
      X, rows, labels, len(classes), options.seed, options.device
    )
    tiles = grid.to_pos(classes)
    data = Training.make(features, X, rows, labels, groups, tiles, self.stopped)
    # The first class is named where all logits are equal: a row without
    # information must not do worse than a guess that needs none.
    best = int(grid.to_class(chance.best_constant(grid.count(pos))))
    order = np.argsort(classes != best, kind='stable')
    if options.method == 'ridge':
      return solve_ridge(data, features, classes[order], grid)
    solution, search = _search(data, options)
    weights = features.to_raw(solution.weights, order)
    readout = Readout(search.sharpness, data.visits()[order], search.weight)
    return LinearDecoder(
      weights, classes[order], grid, '', readout=readout, search=search
    )


def _search(data: Training, options: FitOptions) -> tuple[Solution, Search]:
  """The weights on all training rows, by what the validation groups say."""
  penalty = _choose_penalty(data) if options.choose else USUAL_PENALTY
  temperature, steps, curve = 1.0, 0, np.zeros((0, 4))
  readout = Readout(1.0, data.visits())
  if data.kept >= 2:
    trial = data.discriminant(0).solve(penalty)
    temperature = _choose_temperature(data, trial)
    trial = trial.scaled(temperature)
    steps, curve, trial = _try_descent(data, trial, options)
    starts = _others(data, penalty, temperature, steps, options.seed)
    readout = _choose_readout(data, [trial, *starts])
  final = data.discriminant(None).solve(penalty).scaled(temperature)
  if steps:
    draws = Draws(options.seed + 1)
    for descent in _descend(data, final, None, draws, steps):
      final = descent
  how = readout.sharpness, readout.weight
  return final, Search(penalty, temperature, steps, curve, *how)


def _others(
  data: Training, penalty: float, temperature: float, steps: int, seed: int
) -> Iterator[Solution]:
  """Weights without each group but the first, found as the final ones are."""
  for group in range(1, data.kept):
    solution = data.discriminant(group).solve(penalty).scaled(temperature)
    for descent in _descend(data, solution, group, Draws(seed + 1), steps):
      solution = descent
    yield solution


def _choose_readout(data: Training, solutions: Iterable[Solution]) -> Readout:
  """The readout of least error on validation rows of all groups.

  The best constant and the most probable tile are among them, so that it is
  worse than neither there.

  Args:
    solutions: one per group, found without it.
  """
  errors: list[np.ndarray] = []
  tried = candidates(data.visits())
  for group, solution in enumerate(solutions):
    data.check()
    rows = data.validation(group)
    rows = rows[:: max(1, len(rows) // MOST_READ)]
    host = data.arrays.host
    known = host(solution.present)
    logits = host(data.logits(solution, rows))[:, known]
    true = data.true(rows)
    count = data.visits(group)[known]
    pos = data.pos[known]
    parts = [dataclasses.replace(x, visits=count) for x in tried]
    errors.append(
      np.stack([manhattan(pos[x.choose(logits, pos)], true) for x in parts])
    )
  return tried[int(np.concatenate(errors, 1).mean(1).argmin())]


def _choose_penalty(data: Training) -> float:
  """The ridge with the least error over the validation groups.

  The usual one stays unless the gain exceeds its standard error over groups:
  with few episodes the least error is mostly luck.
  """
  if data.kept < 2:
    return USUAL_PENALTY
  errors = np.zeros((len(PENALTIES), data.kept))
  for group in range(data.kept):
    found, rows = data.discriminant(group), data.validation(group)
    for i, penalty in enumerate(PENALTIES):
      data.check()
      errors[i, group] = data.error(found.solve(penalty), rows)
  best = int(errors.mean(1).argmin())
  gain = errors[PENALTIES.index(USUAL_PENALTY)] - errors[best]
  clear = gain.mean() > gain.std(ddof=1) / len(gain) ** 0.5
  return PENALTIES[best] if clear else USUAL_PENALTY


def _choose_temperature(data: Training, trial: Solution) -> float:
  """Scale of the logits with the least cross-entropy on validation rows.

  The cross-entropy is convex in the scale: a golden-section search.
  """
  rows = data.validation(0)
  rows = rows[trial.present[data.labels[rows]]]
  if not len(rows):
    return 1.0
  logits = data.logits(trial, rows)
  labels = data.labels[rows]

  def loss(power: float) -> float:
    return data.arrays.cross_entropy(logits * 2.0**power, labels)

  low, high, ratio = -12.0, 4.0, (5**0.5 - 1) / 2
  while high - low > 0.1:
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    if loss(left) < loss(right):
      high = right
    else:
      low = left
  scale: float = 2.0 ** ((low + high) / 2)
  return scale


def _try_descent(
  data: Training, start: Solution, options: FitOptions
) -> tuple[int, np.ndarray, Solution]:
  """Iterations of the descent with the least error on group 0, a curve, weights."""
  if not options.n_iters or not options.choose:
    return 0, np.zeros((0, 4)), start
  rows = data.validation(0)
  draws = Draws(options.seed + 1)
  others = np.flatnonzero(data.others(0))
  train = data.arrays.put(others[:: max(1, len(others) // MOST_CHECKED)])

  def row(iteration: int, solution: Solution) -> tuple[float, ...]:
    return (
      iteration,
      data.entropy(solution, train),
      data.entropy(solution, rows),
      data.error(solution, rows),
    )

  curve = [row(0, start)]
  best, least, kept = 0, curve[0][3], start
  iteration = 0
  for solution in _descend(data, start, 0, draws, options.n_iters):
    iteration = min(iteration + CHECK_EVERY, options.n_iters)
    curve.append(row(iteration, solution))
    if curve[-1][3] < least - LEAST_GAIN * curve[0][3]:
      best, least, kept = iteration, curve[-1][3], solution
    if options.patience and iteration - best >= options.patience:
      break
  return best, np.array(curve), kept


def _descend(
  data: Training,
  start: Solution,
  left_out: int | None,
  draws: Draws,
  iterations: int,
) -> Iterator[Solution]:
  """Stochastic gradient descent on the cross-entropy; yields every 50 steps.

  Steps are multiplied by the inverse noise covariance, which is plain descent
  on whitened features, where all directions have comparable curvature.
  """
  if not iterations:
    return
  arrays = data.arrays
  rows = np.flatnonzero(data.others(left_out))
  identity = arrays.put(np.eye(len(start.whitener)))
  precision = arrays.cho_solve(start.whitener, identity)
  moments = data.moments(left_out)
  step = STEP / max(float((precision * moments.mean_square()).sum()), TINY)
  precision, shift = arrays.single(precision), arrays.single(data.shift)
  W = arrays.copy(arrays.single(start.weights))
  hidden = arrays.single(arrays.zeros(W.shape[1]))
  hidden[~start.present] = -np.inf
  for iteration in range(1, iterations + 1):
    part = arrays.put(rows[draws.integers(len(rows), BATCH)])
    z = data.Z[part] + shift
    wrong = arrays.softmax(z @ W + hidden)
    wrong[np.arange(BATCH), data.labels[part]] -= 1
    W -= (step * (z @ precision)).T @ wrong
    if iteration % CHECK_EVERY == 0 or iteration == iterations:
      data.check()
      yield dataclasses.replace(start, weights=arrays.double(W))
