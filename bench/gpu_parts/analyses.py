"""Decoding and tuning of planted activations, on the CPU and on a GPU."""

import argparse
import dataclasses
import time
from typing import Any

import numpy as np

from bench.gpu_parts.talk import say, wait


def decode(_: dict[str, Any], options: argparse.Namespace) -> None:
  """A fit of a position decoder: by numpy on the CPU, by torch on the GPU."""
  import torch

  from dreamerv3.analysis.decoding.linear.fit import FitOptions, PositionDecoder
  from dreamerv3.data.grid import Grid

  rows, units, side = (400, 16, 6) if options.quick else (10000, 512, 32)
  rng = np.random.default_rng(0)
  pos = rng.integers(0, side, (rows, 2))
  waves = rng.normal(size=(2, units)) * 4 / side
  X = np.tanh(np.sin(pos @ waves) + rng.normal(size=(rows, units)))
  X = X.astype(np.float32)
  groups = (np.arange(rows) * 5 // rows).astype(np.int64)
  grid = Grid(side, side)
  devices = ['cpu', *(['cuda:0'] if torch.cuda.is_available() else [])]
  few = slice(None, None, max(1, rows // 400))
  for device in devices:  # libraries and kernels, before the clock runs
    fit = PositionDecoder(FitOptions(n_iters=2, device=device))
    fit.fit(X[few], pos[few], groups[few], grid)
  wait()
  for device in reversed(devices):
    fit = PositionDecoder(FitOptions(n_iters=200, device=device))
    began = time.perf_counter()
    found = fit.fit(X, pos, groups, grid)
    took = time.perf_counter() - began
    error = np.abs(found.predict(X[:2000]) - pos[:2000]).sum(-1).mean()
    say(device=device, rows=rows, units=units, seconds=took, error=float(error))
  if len(devices) == 1:
    say(device='cuda', note=f'torch {torch.__version__} sees no GPU')


def tuning(_: dict[str, Any], options: argparse.Namespace) -> None:
  """Tuning of units, with pairings of chance that the CPU or the GPU tests."""
  import torch

  from bench import tuning as bench
  from dreamerv3.analysis.tuning import table
  from dreamerv3.analysis.tuning.maps.binned_path import Design
  from dreamerv3.analysis.tuning.maps.border import find_walls
  from dreamerv3.analysis.tuning.setup import Setup
  from dreamerv3.data.grid import Grid
  from dreamerv3.data.samples import Samples

  rows, units, nulls = (2000, 16, 10) if options.quick else (20000, 512, 200)
  track = bench.path(rows)
  design = Design.build(track, Grid(*bench.AREA))
  walls = find_walls(np.ones(bench.AREA, bool))
  samples = Samples('layer', bench.activity(track, units), track)
  setup = Setup.build(design, walls, n_shuffles=nulls)
  devices = ['cpu', *(['cuda:0'] if torch.cuda.is_available() else [])]
  setups = {x: dataclasses.replace(setup, device=x) for x in devices}
  for device in devices:
    table.measure(samples, setups[device], units=np.arange(8))
  wait()
  for device in reversed(devices):
    began = time.perf_counter()
    found = table.measure(samples, setups[device])
    took = time.perf_counter() - began
    tuned = float((found.q['EVs'] <= 0.05).mean())  # the same everywhere
    say(device=device, rows=rows, units=units, nulls=nulls, seconds=took, tuned=tuned)
