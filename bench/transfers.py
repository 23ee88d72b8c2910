"""How many bytes go to the device and back, per update and per action, by preset?

For whoever wonders whether a bus or a network limits training on a GPU. Shapes and
dtypes are those of the programs, traced without computing, so that any machine tells;
`tests/agent/test_transfers.py` holds that these are all the copies there are.

sent      a batch, by the prefetching thread: images, flags, latents of the first step
fetched   what an update found: latents and metrics, on their way once it is done
vectors   the same if stoch came as vectors and not as classes
copied    parameters of the policy, on the device, once per action after updates
act_sent, act_fetched   a policy call: observations; actions and latents

  python bench/transfers.py --presets size12m size200m
"""

import argparse
import pathlib
import re
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

COLUMNS = ('sent', 'fetched', 'vectors', 'copied', 'act_sent', 'act_fetched')


def zeros(shape: tuple[int, ...], dtype: Any) -> Any:
  """An array that takes no memory."""
  import numpy as np

  return np.broadcast_to(np.zeros((), dtype), shape)


def size(tree: Any) -> float:
  """MB of arrays, or of their shapes."""
  import jax
  import numpy as np

  leaves = jax.tree.leaves(tree)
  return sum(int(np.prod(x.shape)) * x.dtype.itemsize for x in leaves) / 1e6


def measure(preset: str, options: argparse.Namespace) -> dict[str, float]:
  """MB by column."""
  import jax
  import ninjax as nj
  import numpy as np

  from bench import train
  from dreamerv3.agent.model import Model, stored
  from dreamerv3.setup.make import agent_config
  from embodied.jax.internal import seeded

  config = train.settle(preset, options)
  obs, act = train.spaces()
  model = Model(obs, act, agent_config(config), jax.numpy.dtype(options.dtype))
  state, carry = model.shapes(), jax.eval_shape(lambda: model.init_carry(options.batch))
  lead = options.batch, config.replay_context + options.length
  batch = {k: zeros((*lead, *v.shape), v.dtype) for k, v in {**obs, **act}.items()}
  for key, value in stored(carry.latent).items():
    batch[key] = zeros((*lead, *value.shape[1:]), np.float32)
  batch['stepid'] = zeros((*lead, 20), np.uint8)
  batch['consec'] = zeros(lead, np.int32)
  given = model.needed(batch), zeros((2,), np.uint32)
  *_, outs, mets = jax.eval_shape(seeded(model.train), state, carry, *given)

  def policy(state: Any, obs: Any, keys: Any) -> Any:
    now = model.init_carry(options.envs), obs, keys
    return nj.pure(model.policy)(state, *now, modify=False)[1]

  names = (*model.spaces, 'is_first')
  seen = {k: zeros((options.envs, *obs[k].shape), obs[k].dtype) for k in names}
  acts = seen, zeros((options.envs, 2), np.uint32)
  _, *found = jax.eval_shape(seeded(policy), state, *acts)
  copied = {k: v for k, v in state.items() if re.match(model.policy_regex, k)}
  classes = outs['replay']['dyn/stoch']
  vectors = carry.latent.stoch.shape[-1] * carry.latent.stoch.dtype.itemsize
  fetched = size((outs, mets))
  return {
    'sent': size(given),
    'fetched': fetched,
    'vectors': fetched + size(classes) * (vectors - 1),
    'copied': size(copied),
    'act_sent': size(acts),
    'act_fetched': size(found),
  }


def main(argv: list[str] | None = None) -> int:
  """Prints a row for each preset."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--presets', nargs='+', default=['size12m'])
  parser.add_argument('--dtype', default='bfloat16', help='as --jax.compute_dtype')
  parser.add_argument('--batch', type=int, default=16)
  parser.add_argument('--length', type=int, default=64)
  parser.add_argument('--envs', type=int, default=16)
  options = parser.parse_args(argv)
  more = dict(platform='cpu', cache='off', unroll=0, devices=1)
  options = argparse.Namespace(**vars(options), **more)
  print(' '.join(f'{x:>12}' for x in ('MB', *COLUMNS)))
  for preset in options.presets:
    row = measure(preset, options)
    print(' '.join(f'{x:>12}' for x in (preset, *(f'{row[x]:.4g}' for x in COLUMNS))))
  return 0


if __name__ == '__main__':
  sys.exit(main())
