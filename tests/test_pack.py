"""A training run becomes a folder to ship."""

import json
import pickle
import runpy

import numpy as np
import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.run_info import log_run_info
from embodied.run import checkpoint

pack = runpy.run_path('agents/pack.py', run_name='pack')


def make_run(folder, steps):
  """A run with a checkpoint and an episode at each of its steps."""
  params = {k: np.ones(3, np.float32) for k in ('enc/a', 'val/b', 'opt/c', 'slowval/b')}
  for i, step in enumerate(steps):
    path = folder / 'ckpt' / f'2026010{i + 1}T000000F00000{len(folder.name)}'
    path.mkdir(parents=True)
    data = {'params': params, 'counters': {'updates': step}}
    (path / 'agent.pkl').write_bytes(pickle.dumps(data))
    (path / 'step.pkl').write_bytes(pickle.dumps(step))
    (path / 'done').touch()
  episodes = [{'step': x, 'episode/score': 1.0, 'fps/policy': 9.0} for x in steps]
  learned = [{'step': x, 'train/loss': 0.123456789} for x in steps]
  for name, records in (('scores', episodes), ('metrics', [*episodes, *learned])):
    lines = ''.join(json.dumps(x) + '\n' for x in records)
    (folder / f'{name}.jsonl').write_text(lines)
  (folder / 'config.yaml').write_text(f'logdir: {folder}\nseed: 0\n')
  log_run_info(folder, 'train', {'logdir': str(folder)})
  return folder


def test_what_inference_needs_of_runs_that_went_on(tmp_path):
  runs = [make_run(tmp_path / 'a', (10, 20)), make_run(tmp_path / 'bb', (5, 30))]
  save = tmp_path / 'agents' / 'small'
  words = ['--logdir', *map(str, runs), '--save', str(save), '--steps', '12', '0']
  pack['main'](words)
  kept = checkpoint.complete(save / 'ckpt')
  assert [checkpoint.step_of(x) for x in kept] == [10, 50]
  newest = checkpoint.find(save)
  assert checkpoint.step_of(newest) == 50
  data = checkpoint.read(newest / 'agent.pkl')
  assert sorted(data['params']) == ['enc/a', 'val/b']
  scores = [json.loads(x) for x in (save / 'scores.jsonl').read_text().splitlines()]
  assert [x['step'] for x in scores] == [10, 20, 25, 50]
  assert 'fps/policy' not in scores[0]
  learned = (save / 'metrics.jsonl').read_text()
  assert '"train/loss":0.123457' in learned
  for path in save.rglob('*.*'):
    if path.suffix in ('.json', '.yaml'):
      assert str(tmp_path) not in path.read_text()
  assert 'logdir: logdir/bb' in (save / 'config.yaml').read_text()
  with pytest.raises(UserError, match='is there already'):
    pack['main'](words)
  (runs[1] / 'run_info.json').unlink()
  with pytest.raises(UserError, match='lacks run_info.json'):
    pack['main']([*words[:4], str(tmp_path / 'other')])
  assert not (tmp_path / 'other').exists()
