"""One process of a data-parallel run, for tests/agent/test_parallel.py.

python tests/agent/distributed_agent.py PORT REPLICA REPLICAS DEVICES OUT
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import numpy as np

from tests.agent import agents


def peaked(data: dict) -> dict:
  """Let the scalar heads predict about 1, as trained ones do.

  Fresh ones weigh bins of 1e8 equally, so that rounding errors are all one
  would see.
  """
  for head in ('rew', 'val', 'slowval'):
    bias = data['params'][f'{head}/head/logits/bias']
    bias[:] = -0.5 * ((np.arange(len(bias)) - 132) / 4) ** 2
  return data


def main(port: str, replica: str, replicas: str, devices: str, out: str) -> None:
  rank, ranks = int(replica), int(replicas)
  changes = {
    'batch_size': 4,
    'replica': rank,
    'replicas': ranks,
    'jax.mock_devices': int(devices),
    'jax.train_devices': list(range(int(devices))),
    'jax.coordinator_address': f'localhost:{port}' if ranks > 1 else '',
    'agent.rewhead.bins': 255,
    'agent.value.bins': 255,
    'agent.opt.warmup': 1,
    'agent.opt.lr': 1e-3,
  }
  agent = agents.make_agent(['debug'], changes)
  agent.load(peaked(agent.save()))
  # The images of seed 0 hold a near tie under a max-pool, where a rounding
  # error decides which pixel gets the gradient.
  rng = np.random.default_rng(1)
  rows = slice(rank * 4 // ranks, (rank + 1) * 4 // ranks)
  carry = agent.init_train(4 // ranks)
  mets: dict = {}
  outs: dict = {}
  for _ in range(3):
    data = agents.batch(agent, rng, 4, 5)
    local = {k: v[rows] for k, v in data.items()}
    carry, outs, mets = agent.train(carry, local)
  obs = {k: v[:, 0] for k, v in local.items() if k in agent.obs_space}
  _, act, _ = agent.policy(agent.init_policy(4 // ranks), obs)
  assert act['action'].shape == (4 // ranks,)
  result = {f'param/{k}': v for k, v in agent.save()['params'].items()}
  result |= {f'metric/{k}': v for k, v in mets.items()}
  result |= {f'replay/{k}': v for k, v in outs['replay'].items()}
  np.savez(out, **result)


if __name__ == '__main__':
  main(*sys.argv[1:])
