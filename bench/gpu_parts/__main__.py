"""Runs the part that the first argument names, with the options of the second."""

import argparse
import ctypes
import importlib
import json
import os
import signal
import sys

MODULES = {
  'train': 'train_step',
  'policy': 'acting',
  'record': 'acting',
  'decode': 'analyses',
  'tuning': 'analyses',
  'parity': 'parity',
}
_PR_SET_PDEATHSIG = 1


def main() -> None:
  """Run a part."""
  spec, options = (json.loads(x) for x in sys.argv[1:])
  if sys.platform == 'linux':
    # Held processes would outlive a killed parent, and keep their share of the GPU.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
  os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
  # Of several cards one: each process would take a share of all.
  cards = os.environ.get('CUDA_VISIBLE_DEVICES', '0')
  os.environ['CUDA_VISIBLE_DEVICES'] = cards.split(',')[0]
  part = spec['part']
  if part == 'parity':
    # It is not timed: its kernels need not be the best ones.
    os.environ.setdefault('XLA_FLAGS', '--xla_gpu_autotune_level=0')
  if options['quick']:  # programs run once: they need not be good ones
    fast = (
      ' --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true'
    )
    os.environ['XLA_FLAGS'] = os.environ.get('XLA_FLAGS', '') + fast
  module = importlib.import_module(f'bench.gpu_parts.{MODULES[part]}')
  getattr(module, part)(spec, argparse.Namespace(**options))


if __name__ == '__main__':
  main()
