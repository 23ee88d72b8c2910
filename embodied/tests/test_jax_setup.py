"""Bringing JAX up where other processes join in."""

import jax
import pytest

from embodied.jax import setup


@pytest.mark.parametrize(
  ('env', 'devices', 'expected'),
  [
    # One process per node, with one or several GPUs.
    ({}, 1, [0]),
    ({'SLURM_LOCALID': '0', 'CUDA_VISIBLE_DEVICES': '0,1,2'}, 3, [0, 1, 2]),
    # Two tasks on a node that see the same four GPUs.
    ({'SLURM_LOCALID': '1', 'CUDA_VISIBLE_DEVICES': '0,1,2,3'}, 2, [2, 3]),
    ({'SLURM_LOCALID': '1'}, 1, [1]),
    # Two tasks, each bound to its own.
    ({'SLURM_LOCALID': '1', 'CUDA_VISIBLE_DEVICES': '1'}, 1, [0]),
    ({'SLURM_LOCALID': '1', 'CUDA_VISIBLE_DEVICES': '2,3'}, 2, [0, 1]),
    ({'JAX_LOCAL_DEVICE_IDS': '3', 'SLURM_LOCALID': '1'}, 1, None),
  ],
)  # fmt: skip
@pytest.mark.parametrize('address', ['', 'node0:1234'])
def test_each_process_takes_its_gpus(
  monkeypatch, address, env, devices, expected
):
  for name in (
    'SLURM_LOCALID', 'CUDA_VISIBLE_DEVICES', 'JAX_LOCAL_DEVICE_IDS',
  ):  # fmt: skip
    monkeypatch.delenv(name, raising=False)
  for name, value in env.items():
    monkeypatch.setenv(name, value)
  asked: dict = {}

  def initialize(
    coordinator_address=None, num_processes=None, process_id=None,
    local_device_ids=None,
  ):  # fmt: skip
    asked.update(address=coordinator_address, devices=local_device_ids)

  monkeypatch.setattr(jax.distributed, 'is_initialized', lambda: False)
  monkeypatch.setattr(jax.distributed, 'initialize', initialize)
  monkeypatch.setattr(jax, 'process_count', lambda: 2)
  monkeypatch.setattr(
    setup.multihost_utils, 'sync_global_devices', lambda name: None
  )
  setup.distribute(address, 1, 2, devices)
  assert asked == {'address': address or None, 'devices': expected}
