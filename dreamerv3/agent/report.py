"""What a report shows: open-loop video, gradient norms per loss.

For whoever wants to see whether the world model works: true frames, the
model's frames, and their difference, one above the other. The model watches
the first half of each sequence and imagines the second.

  frames = video(true, pred, context=16)  # (T + 10, 3 H + 4, N (W + 4), 3)
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dreamerv3.agent.latents import Arrays, Latent, State
from dreamerv3.agent.networks import TRAINED, Networks
from embodied.jax import internal, shards

ROWS = 6  # sequences in a video
BORDER = 2  # pixels around a sequence
PAUSE = 10  # black frames before a video repeats
SEEN, IMAGINED = (0, 255, 0), (255, 0, 0)  # colour of the border


def openloop(
  nets: Networks,
  start: Latent,
  obs: Arrays,
  prevact: Arrays,
  key: jax.Array | None,
) -> dict[str, jax.Array]:
  """Watch the first half of each sequence, imagine the second.

  The actions are those that were really taken. Runs in a ninjax context.

  Returns:
    openloop/<image key> uint8 video, see `video`.
  """
  num, length = obs['is_first'].shape
  num, half = min(num, -(-ROWS // shards.count())), length // 2
  obs, prevact, start = jax.tree.map(lambda x: x[:num], (obs, prevact, start))
  key1, key2 = internal.split(key, 2)
  first = jax.tree.map(lambda x: x[:, :half], (obs, prevact))
  second = jax.tree.map(lambda x: x[:, half:], prevact)
  tokens = nets.enc(first[0], 2, nets.dtype)
  reset = first[0]['is_first']
  carry, seen = nets.dyn.observe(start, tokens, first[1], reset, key1)
  _, dreamed = nets.dyn.imagine(carry, second, key2)
  feat = jax.tree.map(lambda a, b: jnp.concatenate([a, b], 1), seen, dreamed)
  recons = nets.dec(feat)

  def rows(x: jax.Array) -> jax.Array:
    return shards.whole(x)[:ROWS]

  return {
    f'openloop/{k}': video(rows(obs[k]), rows(recons[k].pred()), half)
    for k in nets.enc.images
  }


def video(true: jax.Array, pred: jax.Array, context: int) -> jax.Array:
  """Sequences side by side, each as true | predicted | error, from the top.

  Args:
    true: uint8 (N, T, H, W, C).
    pred: float (N, T, H, W, C) in [0, 1].
    context: frames the model has seen; their border is green, then red.

  Returns:
    uint8 (T + 10, 3 H + 4, N (W + 4), C).
  """
  assert true.shape == pred.shape, (true.shape, pred.shape)
  N, T, H, W, C = true.shape
  pred = jnp.clip(pred * 255, 0, 255).astype(jnp.uint8)
  error = (pred.astype(jnp.int32) - true.astype(jnp.int32) + 255) // 2
  stack = jnp.concatenate([true, pred, error.astype(jnp.uint8)], 2)
  colors = np.zeros((T, C), np.uint8)
  colors[:context] = (SEEN * C)[:C]
  colors[context:] = (IMAGINED * C)[:C]
  frame = jnp.broadcast_to(
    colors[None, :, None, None, :],
    (N, T, 3 * H + 2 * BORDER, W + 2 * BORDER, C),
  )
  inner = slice(BORDER, -BORDER)
  frame = frame.at[:, :, inner, inner].set(stack)
  frames = frame.transpose((1, 2, 0, 3, 4))
  frames = frames.reshape((T, 3 * H + 2 * BORDER, -1, C))
  return jnp.pad(frames, ((0, PAUSE), (0, 0), (0, 0), (0, 0)))


def grad_norms(loss: Callable[[State], Arrays], state: State) -> dict[str, jax.Array]:
  """Norm of the gradient of each loss alone, as gradnorm/<loss>.

  Args:
    loss: state -> metrics, among them each loss as loss/<name>.
    state: of the networks.
  """
  trained = {k: v for k, v in state.items() if TRAINED.match(k)}
  rest = {k: v for k, v in state.items() if k not in trained}

  def losses(trained: State) -> Arrays:
    found = loss({**trained, **rest})
    return {k: v for k, v in found.items() if k.startswith('loss/')}

  values, pullback = jax.vjp(losses, trained)
  norms = {}
  for name in values:
    one = {k: jnp.float32(k == name) for k in values}
    grads = shards.mean(pullback(one)[0])
    square = sum(jnp.square(v).sum() for v in jax.tree.leaves(grads))
    norms[name.replace('loss/', 'gradnorm/')] = jnp.sqrt(square)
  return norms
