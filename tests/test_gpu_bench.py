"""The benchmark for a lent GPU: what it runs, in what order, and when it stops."""

import json
import subprocess
import sys

import pytest

from bench import gpu
from bench.gpu_parts import tables
from dreamerv3.setup.machine import Gpus

CHILD = """
import json, os, pathlib, sys, time
spec, options = (json.loads(x) for x in sys.argv[1:])
if spec['part'] == 'parity':
  sys.exit('no golden numbers')
if spec.get('unroll') == 1 or spec.get('preset') == 'slow':
  time.sleep(60)
if spec['part'] == 'decode':
  tries = pathlib.Path(options['json'] + '.tries')
  tries.write_text(tries.read_text() + 'x' if tries.exists() else 'x')
  if tries.read_text() == 'x':
    print(json.dumps({'error': 1.0}), flush=True)
    print('RESOURCE_EXHAUSTED: Out of memory', 'and more', sep=chr(10), file=sys.stderr)
    os._exit(1)
print(json.dumps({'ready': True}), flush=True)
sys.stdin.readline()
began = time.time()
time.sleep(60 if spec.get('preset') == 'stuck' else 0.2)
row = {'began': began, 'ended': time.time(), 'card': 'Card'}
print(json.dumps(row), flush=True)
if spec.get('profile'):
  print(json.dumps({'part': 'profile', 'bound': 'host bounds it'}), flush=True)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
  child = tmp_path / 'child.py'
  child.write_text(CHILD)
  monkeypatch.setattr(gpu, 'COMMAND', (sys.executable, str(child)))
  monkeypatch.setattr(gpu, 'SETTLE', 0)
  path = tmp_path / 'x.json'

  def call(*argv):
    given = ['--json', str(path), '--jobs', '20']
    code = gpu.main([*argv, *given])
    return code, json.loads(path.read_text())['rows']

  return call


def test_parts_are_timed_one_by_one_and_what_fails_or_is_late_is_said(
  run, capsys, monkeypatch
):
  def left(bench):
    late = [x for x in bench.jobs if x.spec.get('unroll') == 1 or x.alone]
    return float(any(x not in late for x in (*bench.alive, *bench.waiting)))

  monkeypatch.setattr(gpu.GpuBench, 'left', left)  # until only the late ones remain
  code, rows = run('--presets', 'a', 'b')
  assert code == 0
  done = sorted((x for x in rows if 'began' in x), key=lambda x: x['began'])
  for before, after in zip(done, done[1:], strict=False):
    assert after['began'] >= before['ended']
  steps = [x for x in done if x['part'] == 'train']
  assert {(x['preset'], x['form']) for x in steps} == {
    (preset, form) for preset in 'ab' for form in ('ours', 'plain')
  }
  late = [x for x in rows if x['part'] == 'train' and x['unroll'] == 1]
  assert [x['note'] for x in late] == ['out of time'] * 2
  notes = [x['note'] for x in rows if x['part'] == 'parity']
  assert len(notes) == 3
  assert all('no golden numbers' in x for x in notes)
  shown = capsys.readouterr().out
  assert '## Card' in shown
  assert '- a: host bounds it.' in shown
  assert '- train a ours 1: out of time' in shown


def test_what_had_too_little_memory_beside_others_is_tried_again_alone(run, capsys):
  code, rows = run('--budget', '10', '--parts', 'decode', 'policy', '--presets', 'a')
  assert code == 0
  assert [x['part'] for x in rows] == ['policy', 'decode']
  assert rows[1]['began'] >= rows[0]['ended']
  assert 'RESOURCE_EXHAUSTED: Out of memory; again' in capsys.readouterr().out


def test_the_budget_holds_though_nothing_was_measured(run):
  code, rows = run('--budget', '1', '--parts', 'policy', '--presets', 'slow')
  assert code == 1
  assert [x['note'] for x in rows] == ['out of time']


def test_what_never_ends_while_the_others_are_held_is_ended(run, monkeypatch):
  monkeypatch.setattr(gpu, 'LONGEST', 2 / 480)
  code, rows = run('--parts', 'policy', '--presets', 'stuck', 'a')
  assert code == 0
  assert [x.get('note') for x in rows] == ['took too long to time', None]


def test_a_place_that_cannot_be_written_to_is_one_line(tmp_path, capsys):
  (tmp_path / 'file').write_text('')
  assert gpu.main(['--json', str(tmp_path / 'file' / 'x.json')]) == 2
  assert 'choose another folder' in capsys.readouterr().err


def test_rows_are_on_disk_before_the_end(tmp_path):
  options = gpu.parse(['--json', str(tmp_path / 'x.json'), '--parts', 'decode'])
  bench = gpu.GpuBench(options)
  bench._add(bench.jobs[0], {'seconds': 1.5})
  saved = json.loads((tmp_path / 'x.json').read_text())['rows']
  assert saved == [{'part': 'decode', 'seconds': 1.5}]


def test_flags_are_checked(monkeypatch):
  assert {x['part'] for x in gpu.jobs(gpu.parse(['--parts', 'decode']))} == {'decode'}
  quick = gpu.parse(['--quick', '--platform', 'cpu'])
  assert (quick.presets, quick.batch) == (['debug'], 2)
  assert {x['part'] for x in gpu.jobs(quick)} == set(gpu.PARTS)
  monkeypatch.setattr(gpu.os, 'cpu_count', lambda: 16)
  for free, jobs in ((139e9, 16), (24e9, 3), (10e9, 2)):
    monkeypatch.setattr(
      gpu, 'find_gpus', lambda x=free: Gpus((int(x),), True, (int(x),))
    )
    assert gpu.parse([]).jobs == jobs
  for argv in (['--budget', '0'], ['--parts', 'all'], ['--platform', 'tpu']):
    with pytest.raises(SystemExit):
      gpu.parse(argv)


def test_the_most_useful_parts_come_first():
  every = gpu.jobs(gpu.parse([]))
  names = [tables.name(x) for x in every]
  assert names[:3] == [
    'train size12m ours 4',
    'train size200m ours 4',
    'train size25m ours 4',
  ]
  assert len(names) == len(set(names))
  assert names.index('policy size12m') < names.index('train size12m plain 4')
  assert {'record size200m', 'decode', 'tuning', 'parity bfloat16 default'} < {*names}


def test_tables_name_the_card_and_leave_out_what_is_unknown():
  step: dict = {'part': 'train', 'preset': 'size12m', 'form': 'ours'}
  step['step_ms'] = 3.14159
  rows = [
    {**step, 'of_peak': 0.256, 'card': 'NVIDIA H200'},
    {**step, 'form': 'plain'},
    {'part': 'decode', 'note': 'torch sees no GPU'},
  ]
  assert tables.markdown(rows, 'python bench/gpu.py').splitlines() == [
    '## NVIDIA H200',
    '',
    '`python bench/gpu.py`',
    '',
    '| preset | form | train step [ms] | of peak FLOP/s |',
    '| --- | --- | --- | --- |',
    '| size12m | ours | 3.14 | 26% |',
    '| size12m | plain | 3.14 |  |',
    '',
    'Left out:',
    '',
    '- decode: torch sees no GPU',
  ]


# By part, what its rows tell beside what the tables show.
TOLD = {
  'train': {'step_ms', 'updates_s', 'gb', 'plan_gb', 'estimate_gb', 'span_ms', 'bound'},
  'policy': {'policy1_ms', 'policy16_ms'},
  'record': {'steps_s', 'replay_steps_s', 'layers'},
  'decode': {'seconds', 'error'},
  'tuning': {'seconds', 'nulls'},
}


@pytest.mark.slow
@pytest.mark.parametrize('part', TOLD)
def test_each_part_runs_on_a_cpu(part):
  argv = ['--platform', 'cpu', '--quick', '--parts', part]
  options = gpu.parse(argv)
  options.length, options.seconds = 3, 0.1
  spec = gpu.jobs(options)[0]
  command = [*gpu.COMMAND, json.dumps(spec), json.dumps(vars(options))]
  done = subprocess.run(
    command, cwd=gpu.ROOT, input='go\n', capture_output=True, text=True, check=True
  )
  lines = [x for x in done.stdout.splitlines() if x.startswith('{')]
  first, *rows = map(json.loads, lines)
  assert first == {'ready': True}
  assert {k for x in rows for k in x} >= TOLD[part]
