"""The plan of an analysis: one line, and a refusal where memory is too little."""

import dataclasses

import pytest

from dreamerv3 import decode_position, manifold_analysis, tuning_curve
from dreamerv3.analysis import devices
from dreamerv3.analysis.forecast import Forecast
from dreamerv3.analysis.tuning import layers
from dreamerv3.base.errors import UserError
from dreamerv3.base.host import job
from dreamerv3.data.trajectories import Trajectories


@pytest.fixture
def small(monkeypatch):
  found = job.HostMemory(10**9, 10**8, 'SLURM_MEM_PER_NODE')
  monkeypatch.setattr(job, 'memory', lambda: found)


def test_the_plan_is_one_line_with_all_that_it_takes(small):
  plan = Forecast('tuning', 5000, 800, 2e9, 1e8, 600)
  assert plan.line() == (
    'Plan: tuning of 800 units at 5000 timesteps; reads 2.0 GB, holds about '
    '100.0 MB of 100.0 MB (SLURM_MEM_PER_NODE), about 10 min of one CPU'
  )
  plan.check('choose fewer `layers`')
  plan = dataclasses.replace(plan, gpu=3e9, gpu_free=2e9)
  assert '(SLURM_MEM_PER_NODE) and 3.0 GB of 2.0 GB (GPU), about' in plan.line()
  with pytest.raises(UserError, match='3.0 GB of the GPU, and 2.0 GB are free'):
    plan.check('choose fewer `layers`')


def test_tuning_plans_for_the_gpu_that_tests(recording, monkeypatch):
  data = Trajectories.open(recording)
  host = layers.foresee(data, layers.Options())
  monkeypatch.setattr(devices, 'devices', lambda _: ['cuda:0'])
  monkeypatch.setattr(devices, 'free', lambda _: 8e9)
  plan = layers.foresee(data, layers.Options(device='cuda', n_jobs=2))
  assert host.gpu == 0
  assert 2 * layers.CONTEXT < plan.gpu < plan.gpu_free == 8e9
  assert plan.memory > host.memory + 2 * layers.TORCH


@pytest.mark.parametrize(
  ('main', 'stage', 'units'),
  [
    (tuning_curve.main, 'tuning', 178),
    (decode_position.main, 'decoding', 264),
    (manifold_analysis.main, 'geometry', 120),
  ],
)
def test_too_little_memory_is_refused_before_anything_is_written(
  small, recording, tmp_path, capsys, main, stage, units
):
  with pytest.raises(UserError, match=rf'{stage} needs about .* are free .* fewer '):
    main(['--data', str(recording), '--save', str(tmp_path / 'x')])
  assert capsys.readouterr().out.count(f'Plan: {stage} of {units} units') == 1
  assert not (tmp_path / 'x').exists()
