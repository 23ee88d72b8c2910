"""The rows of bench/gpu.py as Markdown, for docs/performance.md.

print(markdown(rows, 'python bench/gpu.py'))
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.gpu_parts.kernels import FUSION, KINDS

Row = Mapping[str, Any]

# By part, the columns: key of a row -> head.
COLUMNS: dict[str, dict[str, str]] = {
  'train': {
    'preset': 'preset',
    'form': 'form',
    'unroll': 'steps of a scan as one',
    'dtype': 'dtype',
    'step_ms': 'train step [ms]',
    'steps_s': 'steps/s',
    'updates_s': 'updates/s of the agent',
    'gflop': 'GFLOP',
    'of_peak': 'of peak FLOP/s',
    'tflop_s': 'TFLOP/s',
    'gb': 'GB moved',
    'of_bandwidth': 'of bandwidth',
    'tb_s': 'TB/s',
    'plan_gb': 'GB planned',
    'peak_gb': 'GB at most',
    'estimate_gb': 'GB estimated',
    'compile_s': 'compiled in [s]',
  },
  'profile': {
    'preset': 'preset',
    'update_ms': 'update [ms]',
    'span_ms': 'step on the device',
    **{k: k for k in ('matmul', 'convolution', FUSION, 'scan', 'copy', 'collective')},
    'idle': 'idle',
    'launches': 'kernels',
    'short_ms': 'in those below 5 us',
  },
  'policy': {
    'preset': 'preset',
    'dtype': 'dtype',
    'policy1_ms': '1 environment [ms]',
    'policy16_ms': '16 environments [ms]',
  },
  'record': {
    'preset': 'preset',
    'layers': 'layers',
    'kb': 'kB per step',
    'steps_s': 'steps/s, 16 environments',
    **{k: k for k in ('env', 'policy', 'transfer', 'take', 'disk', 'writer')},
    'replay_steps_s': 'replayed steps/s',
  },
  'decode': {
    'device': 'device',
    'rows': 'timesteps',
    'units': 'units',
    'seconds': 'seconds',
    'error': 'error [tiles]',
  },
  'tuning': {
    'device': 'device',
    'rows': 'timesteps',
    'units': 'units',
    'nulls': 'nulls',
    'seconds': 'seconds',
    'tuned': 'share tuned',
  },
  'parity': {
    'dtype': 'dtype',
    'precision': 'precision',
    'group': 'group',
    'median': 'median error',
    'worst': 'worst',
    'where': 'of',
    'total': 'total loss',
  },
}
SHARES = {'of_peak', 'of_bandwidth', 'env', 'policy', 'transfer', 'take', 'disk'}
SHARES |= {'writer'}
assert {*KINDS} < {*COLUMNS['profile']}


def markdown(rows: Sequence[Row], command: str) -> str:
  """A table per part, what bounds each preset, and what is missing and why."""
  card = next((x['card'] for x in rows if 'card' in x), 'unknown device')
  lines = [f'## {card}', '', f'`{command}`']
  for part in COLUMNS:
    some = [x for x in rows if x['part'] == part and 'note' not in x]
    if some:
      lines += ['', *_table(some, COLUMNS[part])]
  lines += [''] if any('bound' in x for x in rows) else []
  lines += [f'- {x["preset"]}: {x["bound"]}.' for x in rows if 'bound' in x]
  left = [x for x in rows if 'note' in x]
  lines += ['', 'Left out:', ''] if left else []
  lines += [f'- {name(x)}: {x["note"]}' for x in left]
  return '\n'.join(lines)


def _table(rows: Sequence[Row], columns: Mapping[str, str]) -> list[str]:
  known = [k for k in columns if any(k in x for x in rows)]
  cells = [[_shown(k, x.get(k, '')) for k in known] for x in rows]
  heads = [columns[k] for k in known]
  return [f'| {" | ".join(x)} |' for x in (heads, ['---'] * len(known), *cells)]


def _shown(key: str, value: object) -> str:
  if not isinstance(value, float):
    return str(value)
  if key in SHARES:
    return f'{value:.0%}'
  return f'{value:.0f}' if value >= 1000 else f'{value:.3g}'


def name(spec: Row) -> str:
  """What a row or a job is about, in a few words."""
  words = ('part', 'preset', 'form', 'unroll', 'dtype', 'precision', 'device')
  return ' '.join(str(spec[x]) for x in words if x in spec)


def short(row: Row) -> str:
  """All numbers of a row in one line."""
  return ', '.join(f'{k} {_shown(k, v)}' for k, v in row.items() if k != 'longest')
