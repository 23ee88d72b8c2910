"""Errors against the golden numbers in one dtype and precision of products."""

import argparse
import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.golden import Golden
from bench.gpu_parts.talk import Row, say

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / 'tests' / 'fixtures' / 'dreamerv3_size1m.npz'


def parity(spec: dict[str, Any], options: argparse.Namespace) -> None:
  """Forward pass, then losses and gradients, which take long to compile on a CPU."""
  jax.config.update('jax_platforms', options.platform)
  jax.config.update('jax_default_matmul_precision', spec['precision'])
  golden = Golden(str(GOLDEN), jnp.dtype(spec['dtype']))
  parts = (golden.forward, golden.losses)[: 1 if options.quick else 2]
  for part in parts:
    began = time.perf_counter()
    part()
    took = time.perf_counter() - began
    for name, errors in golden.errors.items():
      where, worst = max(errors.items(), key=lambda x: x[1])
      middle = float(np.median(list(errors.values())))
      row: Row = dict(group=name, median=middle, worst=worst, where=where)
      if 'loss/total' in errors:
        row['total'] = errors['loss/total']
      say(**row, seconds=took)
    golden.errors.clear()
