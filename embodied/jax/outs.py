"""What a head predicts: distributions and regressions, in float32.

`sample(key)` with key None takes the mode, so that a whole model can be run
without chance. With a key per row (B,), row i depends on its own key alone.

  OneHot(logits, unimix=0.01).sample(key)  # straight-through gradient
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from . import internal
from .utils import along, one_hot

sg = jax.lax.stop_gradient
f32 = jnp.float32


class Output:
  """Base: `pred` is the point prediction, `loss` the cost of a target."""

  def pred(self) -> jax.Array:
    """The most likely event, or the mean."""
    raise NotImplementedError

  def loss(self, target: jax.Array) -> jax.Array:
    """Cost per element; targets carry no gradient."""
    return -self.logp(sg(target))

  def sample(self, key: jax.Array | None) -> jax.Array:
    """A drawn event; without a key `pred`."""
    raise NotImplementedError

  def logp(self, event: jax.Array) -> jax.Array:
    """Log probability (density) of an event [nats]."""
    raise NotImplementedError

  def entropy(self) -> jax.Array:
    """Entropy [nats]."""
    raise NotImplementedError

  def entropy_range(self) -> tuple[float, float]:
    """Smallest and largest entropy the family can take [nats]."""
    raise NotImplementedError


class Agg(Output):
  """Independent outputs over the last `dims` axes, costs summed over them."""

  def __init__(self, output: Output, dims: int):
    self.output, self.dims = output, dims

  def _sum(self, x: jax.Array) -> jax.Array:
    return x.sum(tuple(range(-self.dims, 0)))

  def pred(self) -> jax.Array:
    """That of the parts."""
    return self.output.pred()

  def sample(self, key: jax.Array | None) -> jax.Array:
    """That of the parts."""
    return self.output.sample(key)

  def loss(self, target: jax.Array) -> jax.Array:
    """Sum over the event's axes."""
    return self._sum(self.output.loss(target))

  def logp(self, event: jax.Array) -> jax.Array:
    """Sum over the event's axes."""
    return self._sum(self.output.logp(event))

  def entropy(self) -> jax.Array:
    """Sum over the event's axes."""
    return self._sum(self.output.entropy())

  def entropy_range(self) -> tuple[float, float]:
    """Least and largest entropy of the whole event [nats]."""
    lo, hi = self.output.entropy_range()
    size = math.prod(self.output.pred().shape[-self.dims :])
    return lo * size, hi * size

  def kl(self, other: 'Agg') -> jax.Array:
    """KL(self || other) in nats, for outputs that have one."""
    assert isinstance(self.output, Categorical)
    assert isinstance(other.output, Categorical)
    return self._sum(self.output.kl(other.output))


class Categorical(Output):
  """Integers with probabilities softmax(logits), (..., C) -> (...).

  unimix > 0 mixes in that share of the uniform distribution; `logits` are
  then those of the mixture.
  """

  def __init__(self, logits: jax.Array, unimix: float = 0.0):
    logits = logits.astype(f32)
    if unimix:
      probs = jax.nn.softmax(logits, -1)
      probs = (1 - unimix) * probs + unimix / logits.shape[-1]
      logits = jnp.log(probs)
    self.logits = logits
    self.classes = logits.shape[-1]

  def pred(self) -> jax.Array:
    """The most likely class, i32."""
    return jnp.argmax(self.logits, -1).astype(jnp.int32)

  def sample(self, key: jax.Array | None) -> jax.Array:
    """Draw by inversion of the cumulative distribution: one number each."""
    if key is None:
      return self.pred()
    probs = jax.nn.softmax(self.logits, -1)
    # A product with a triangle: cumsum is slow on the CPU.
    triangle = jnp.triu(jnp.ones((self.classes, self.classes), f32))
    below = jnp.matmul(probs, triangle, precision='highest')
    chance = internal.uniform(key, self.logits.shape[:-1])[..., None]
    index = (below <= chance * below[..., -1:]).sum(-1)
    return jnp.minimum(index, self.classes - 1).astype(jnp.int32)

  def logp(self, event: jax.Array) -> jax.Array:
    """Log probability of a class [nats]."""
    hit = one_hot(event, self.classes, f32)
    return (hit * jax.nn.log_softmax(self.logits, -1)).sum(-1)

  def entropy(self) -> jax.Array:
    """-sum p log p [nats]."""
    logprob = jax.nn.log_softmax(self.logits, -1)
    return -(jnp.exp(logprob) * logprob).sum(-1)

  def entropy_range(self) -> tuple[float, float]:
    """From certain to uniform [nats]."""
    return 0.0, math.log(self.classes)

  def kl(self, other: 'Categorical') -> jax.Array:
    """Sum of p (log p - log q) over classes [nats]."""
    logprob = jax.nn.log_softmax(self.logits, -1)
    logother = jax.nn.log_softmax(other.logits, -1)
    return (jnp.exp(logprob) * (logprob - logother)).sum(-1)


class OneHot(Categorical):
  """The same as one-hot vectors (..., C), with straight-through gradients.

  The value of a sample is the one-hot vector; its gradient is that of the
  probabilities (arXiv:1308.3432).
  """

  def pred(self) -> jax.Array:
    """The most likely vector, with the gradient of the probabilities."""
    return self._through(jnp.argmax(self.logits, -1))

  def sample(self, key: jax.Array | None) -> jax.Array:
    """A drawn vector, with the gradient of the probabilities."""
    if key is None:
      return self.pred()
    return self._through(super().sample(key))

  def logp(self, event: jax.Array) -> jax.Array:
    """Log probability of a one-hot vector [nats]."""
    return (jax.nn.log_softmax(self.logits, -1) * event).sum(-1)

  def _through(self, index: jax.Array) -> jax.Array:
    hit = one_hot(index, self.classes, f32)
    probs = jax.nn.softmax(self.logits, -1)
    return sg(hit) + (probs - sg(probs))


class Binary(Output):
  """A yes or no with probability sigmoid(logit)."""

  def __init__(self, logit: jax.Array):
    self.logit = logit.astype(f32)

  def pred(self) -> jax.Array:
    """Whether yes is more likely."""
    return self.logit > 0

  def prob(self) -> jax.Array:
    """Probability of yes."""
    return jax.nn.sigmoid(self.logit)

  def logp(self, event: jax.Array) -> jax.Array:
    """Cross entropy; event may be any number in [0, 1]."""
    event = event.astype(f32)
    yes = jax.nn.log_sigmoid(self.logit)
    no = jax.nn.log_sigmoid(-self.logit)
    return event * yes + (1 - event) * no

  def sample(self, key: jax.Array | None) -> jax.Array:
    """A drawn yes or no."""
    if key is None:
      return self.pred()
    return internal.uniform(key, self.logit.shape) < self.prob()


class MSE(Output):
  """A number per element with cost (mean - squash(target))^2."""

  def __init__(
    self,
    mean: jax.Array,
    squash: Callable[[jax.Array], jax.Array] = lambda x: x,
    unsquash: Callable[[jax.Array], jax.Array] = lambda x: x,
  ):
    self.mean = mean.astype(f32)
    self.squash, self.unsquash = squash, unsquash

  def pred(self) -> jax.Array:
    """The mean, unsquashed."""
    return self.unsquash(self.mean)

  def loss(self, target: jax.Array) -> jax.Array:
    """Squared error of squashed values; the target has no gradient."""
    assert target.shape == self.mean.shape, (target.shape, self.mean.shape)
    return jnp.square(self.mean - self.squash(sg(target.astype(f32))))


class BoundedNormal(Output):
  """Normal with mean tanh(mean) and deviation between lo and hi.

  stddev = (hi - lo) sigmoid(raw + 2) + lo.
  """

  def __init__(self, mean: jax.Array, raw: jax.Array, lo: float, hi: float):
    self.mean = jnp.tanh(mean.astype(f32))
    self.stddev = (hi - lo) * jax.nn.sigmoid(raw.astype(f32) + 2) + lo
    self.lo, self.hi = lo, hi

  def pred(self) -> jax.Array:
    """The mean."""
    return self.mean

  def sample(self, key: jax.Array | None) -> jax.Array:
    """mean + stddev * normal noise."""
    if key is None:
      return self.mean
    return self.mean + self.stddev * internal.normal(key, self.mean.shape)

  def logp(self, event: jax.Array) -> jax.Array:
    """Log density [nats]."""
    score = (event.astype(f32) - self.mean) / self.stddev
    norm = jnp.log(self.stddev) + 0.5 * math.log(2 * math.pi)
    return -0.5 * jnp.square(score) - norm

  def entropy(self) -> jax.Array:
    """Differential entropy [nats]."""
    return 0.5 * math.log(2 * math.pi * math.e) + jnp.log(self.stddev)

  def entropy_range(self) -> tuple[float, float]:
    """Entropies at the bounds of stddev [nats]."""
    base = 0.5 * math.log(2 * math.pi * math.e)
    return base + math.log(self.lo), base + math.log(self.hi)


@dataclasses.dataclass
class TwoHot(Output):
  """A scalar as a distribution over fixed bins, (..., K) -> (...).

  A target is split between its two neighbouring bins, linearly in distance,
  and the cost is the cross entropy (arXiv:2301.04104, eq. 9). Targets beyond
  the last bins count as the last bin.
  """

  logits: jax.Array
  bins: np.ndarray

  def __post_init__(self) -> None:
    self.logits = self.logits.astype(f32)
    assert self.logits.shape[-1] == len(self.bins), (
      self.logits.shape,
      len(self.bins),
    )
    assert len(self.bins) % 2 == 1, len(self.bins)

  def pred(self) -> jax.Array:
    """Expected value, from differences between opposite bins.

    Bins are antisymmetric, so sum p b = sum over b > 0 of b (p(b) - p(-b)).
    Equal logits give exactly zero in spite of bins of 1e8, also where a
    compiler fuses multiplication and addition.
    """
    probs = jax.nn.softmax(self.logits, -1)
    half = len(self.bins) // 2
    odd = probs[..., half + 1 :] - probs[..., :half][..., ::-1]
    return (odd * along(jnp.asarray(self.bins[half + 1 :]), odd)).sum(-1)

  def loss(self, target: jax.Array) -> jax.Array:
    """Cross-entropy with the weights of the two bins around the target."""
    target = sg(target.astype(f32))
    assert target.shape == self.logits.shape[:-1], (
      target.shape,
      self.logits.shape,
    )
    weights = self.target(target)
    logprob = jax.nn.log_softmax(self.logits, -1)
    return -(weights * logprob).sum(-1)

  def target(self, value: jax.Array) -> jax.Array:
    """Weights (..., K) of the two bins around each value."""
    bins, last = jnp.asarray(self.bins), len(self.bins) - 1
    method = 'scan' if internal.unroll() == 1 else 'scan_unrolled'
    above = jnp.searchsorted(self.bins, value, side='right', method=method)
    below = jnp.clip(above - 1, 0, last)
    above = jnp.clip(above, 0, last)
    to_below = jnp.abs(bins[below] - value)
    to_above = jnp.abs(bins[above] - value)
    same = below == above
    total = jnp.where(same, 2, to_below + to_above)
    to_below = jnp.where(same, 1, to_below)
    to_above = jnp.where(same, 1, to_above)
    low = one_hot(below, last + 1, f32) * (to_above / total)[..., None]
    high = one_hot(above, last + 1, f32) * (to_below / total)[..., None]
    return low + high


def symexp_bins(num: int) -> np.ndarray:
  """num (odd) bin centres, float32: symexp of -20..0, mirrored.

  The middle is exactly 0 and the rest exactly antisymmetric.
  """
  if num % 2 == 0:
    raise ValueError(f'bins {num}: expected an odd number')
  half = -np.expm1(np.linspace(20, 0, (num + 1) // 2)).astype(np.float32)
  half[-1] = 0  # not -0
  return np.concatenate([half, -half[:-1][::-1]])
