"""The benchmark for a lent GPU: what it runs, in what order, and when it stops."""

import json
import sys

import pytest

from bench import gpu, gpu_parts

CHILD = """
import json, sys, time
spec = json.loads(sys.argv[1])
if spec['part'] == 'parity':
  sys.exit('no golden numbers')
if spec.get('unroll') == 1:
  time.sleep(60)
if spec['part'] == 'train':
  print(json.dumps({'ready': True}), flush=True)
  sys.stdin.readline()
began = time.time()
time.sleep(0.2)
print(json.dumps({'began': began, 'ended': time.time()}), flush=True)
"""


def test_unready_parts_are_left_out_and_the_rest_is_timed_one_by_one(
  tmp_path, monkeypatch, capsys
):
  child = tmp_path / 'child.py'
  child.write_text(CHILD)
  monkeypatch.setattr(gpu, 'COMMAND', (sys.executable, str(child)))
  argv = ['--budget', '5', '--presets', 'a', 'b', '--json', str(tmp_path / 'x.json')]
  assert gpu.main(argv) == 0
  rows = json.loads((tmp_path / 'x.json').read_text())['rows']
  trains = [x for x in rows if x['part'] == 'train']
  late = [x for x in trains if x['unroll'] == 1]
  assert [x['note'] for x in late] == ['not compiled in time'] * 2
  done = [x for x in trains if x['unroll'] == 4]
  assert [(x['preset'], x['form']) for x in done] == [
    ('a', 'ours'),
    ('b', 'ours'),
    ('a', 'plain'),
  ]
  for before, after in zip(done, done[1:], strict=False):
    assert after['began'] >= before['ended']
  notes = [x['note'] for x in rows if x['part'] == 'parity']
  assert len(notes) == 3
  assert all('no golden numbers' in x for x in notes)
  shown = capsys.readouterr().out
  assert (
    shown.index('\ntrain\n') < shown.index('\nparity\n') < shown.index('\ndecode\n')
  )


def test_flags_are_checked():
  assert {x['part'] for x in gpu.jobs(gpu.parse(['--parts', 'decode']))} == {'decode'}
  quick = gpu.parse(['--quick', '--platform', 'cpu'])
  assert (quick.presets, quick.batch) == (['debug'], 2)
  for argv in (['--budget', '0'], ['--parts', 'all'], ['--platform', 'tpu']):
    with pytest.raises(SystemExit):
      gpu.parse(argv)


def test_peaks_are_known_by_name_or_given():
  assert gpu_parts.peak('NVIDIA H200', 0) == 989
  assert gpu_parts.peak('NVIDIA L4', 0) == 121
  assert gpu_parts.peak('NVIDIA L40S', 0) == 362
  assert gpu_parts.peak('Some Card', 0) == 0
  assert gpu_parts.peak('Some Card', 12.5) == 12.5
