"""Are the settings sane? Each wrong value is named with what is expected.

check(config)  # raises UserError
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import elements

from dreamerv3.base.drawing import FORMATS, WIDTHS
from dreamerv3.base.errors import UserError

Rule = tuple[str, Callable[[Any], bool], str]

OUTPUTS = ('jsonl', 'tensorboard', 'wandb')
LAST_EPISODE = 1_000_000  # of a recording; see dream_decode.FIRST
DTYPES = ('auto', 'bfloat16', 'float32')
PRECISIONS = ('auto', 'default', 'high', 'highest')


def _regex(value: str) -> bool:
  try:
    re.compile(value)
  except re.error:
    return False
  return True


def _finite(value: Any) -> bool:
  return not isinstance(value, float) or not math.isinf(value)


def _among(*choices: str) -> tuple[Callable[[Any], bool], str]:
  return (lambda x: x in choices), f'one of {", ".join(choices)}'


_POSITIVE = (lambda x: x > 0), 'above 0'
_SEVERAL = (lambda x: x >= 2), 'at least 2, since values are learned from pairs'
_NOT_NEGATIVE = (lambda x: x >= 0), 'at least 0'
_SHARE = (lambda x: 0 <= x <= 1), 'in [0, 1]'

# Regular expression of keys, what must hold, how to say it.
RULES: tuple[Rule, ...] = (
  (r'(batch|report)_length', *_SEVERAL),
  (r'jax\.mock_devices', lambda x: x >= -1, 'at least -1'),
  (r'agent\.imag_last', lambda x: x == 0 or x >= 2, '0 or at least 2'),
  (
    r'batch_size|consec_\w+|replicas'
    r'|run\.(steps|envs|eval_envs|eval_eps|report_batches)|logger\.fps'
    r'|replay\.(size|chunksize)|agent\.(imag_length|horizon)'
    r'|agent\..*\.(deter|hidden|stoch|classes|blocks|depth|units|bins|kernel)'
    r'|agent\.slowvalue\.every|env\.\w+\.(size|area|length|cells)'
    r'|agent\..*\.(mults|limit|minstd|maxstd)'
    r'|eval_trajectory\.(num_episodes|first_episode|envs)'
    r'|dream_decode\.(num_batches|num_episodes|warmup|horizon)',
    *_POSITIVE,
  ),
  (
    r'(run|eval_trajectory)\.envs|run\.eval_envs',
    lambda x: x <= 10_000,
    'at most 10000',
  ),
  (r'replay\.chunksize', lambda x: x < 2**20, f'at most {2**20 - 1}'),
  (
    r'seed|replica|replay_context|run\.(duration|train_ratio)'
    r'|agent\.opt\.(lr|agc|eps|wd|warmup|anneal)|agent\.loss_scales\.\w+'
    r'|env\.crafter\.egocentric_view|jax\.(expect_devices|prefetch|unroll)'
    r'|agent\..*\.\w*layers|jax\.(policy|train)_devices'
    r'|agent\..*\.(outscale|free_nats|slowreg|bspace)|replay\.(prio\.exponent|recexp)',
    *_NOT_NEGATIVE,
  ),
  (
    r'replay\.fracs\.\w+|replay\.prio\.maxfrac|agent\..*\.(unimix|rate|lam)'
    r'|agent\.opt\.beta[12]',
    *_SHARE,
  ),
  (r'agent\.\w+\.(perclo|perchi)', lambda x: 0 <= x <= 100, 'in [0, 100]'),
  (
    r'jax\.coordinator_address',
    lambda x: not x or bool(re.fullmatch(r'\S+:[0-9]{1,5}', x)),
    'host:port',
  ),
  (r'jax\.platform', *_among('auto', 'cpu', 'cuda')),
  (r'jax\.compute_dtype', *_among(*DTYPES)),
  (r'replay\.deter', *_among('auto', 'float32', 'bfloat16', 'float16')),
  (r'jax\.matmul_precision', *_among(*PRECISIONS)),
  (r'(eval_trajectory|replay_activations)\.dtype', *_among('float16', 'float32')),
  (
    r'(eval_trajectory|replay_activations)\.all_episodes',
    lambda x: x.lower() in ('auto', 'true', 'false'),
    'auto, True or False',
  ),
  (r'replay_activations\.max_episodes', *_NOT_NEGATIVE),
  (
    r'replay_activations\.observe',
    lambda x: x in ('all', 'none') or (x.isdecimal() and x.isascii()),
    'all, none, or how many timesteps are seen',
  ),
  (r'replay_activations\.perturb', *_among('none', 'pixels', 'vitals', 'view')),
  (r'replay_activations\.checkpoints', lambda x: x in ('', 'all'), 'all, or nothing'),
  (r'dream_decode\.width', *_among(*WIDTHS)),
  (
    r'dream_decode\.format',
    lambda x: x and set(x.split(',')) <= set(FORMATS),
    f'{", ".join(FORMATS)}, or several joined by commas',
  ),
  (r'agent\.policy_dist_disc', *_among('categorical', 'onehot')),
  (r'agent\.policy_dist_cont', *_among('bounded_normal')),
  (r'agent\.conhead\.output', *_among('binary')),
  (
    r'agent\.(rewhead|value)\.output',
    *_among('symexp_twohot', 'symlog_mse', 'mse'),
  ),
  (r'agent\.opt\.schedule', *_among('const', 'linear', 'cosine')),
  (r'agent\..*\.norm', *_among('rms', 'layer', 'none')),
  (r'jax\.enable_policy', lambda x: x, 'True, since every script acts'),
  (r'logger\.outputs', lambda x: set(x) <= set(OUTPUTS), ', '.join(OUTPUTS)),
  (
    r'logger\.filter|run\.from_checkpoint_regex',
    _regex,
    'a regular expression',
  ),
  (
    r'run\.ckpt_keep',
    lambda x: x in ((0,), (-1,)) or all(y > 0 for y in x),
    '0 (newest), -1 (all), or steps above 0',
  ),
  (r'task', lambda x: '_' in x, '<suite>_<task>, e.g. crafter_reward'),
  # Everywhere but at the priority of steps that no training has seen.
  (r'(?!replay\.prio\.initial).*', _finite, 'a finite number'),
)


def check(config: elements.Config) -> None:
  """Raises UserError for the first setting out of its range."""
  flat = config.flat
  for keys, holds, expected in RULES:
    for key in (k for k in flat if re.fullmatch(keys, k)):
      value = flat[key]
      each = value if _each(key, value) else (value,)
      if not all(x == x and holds(x) for x in each):
        raise UserError(f'--{key} is {show(value)}; expected {expected}.')
  _check_together(config, flat)


def _each(key: str, value: Any) -> bool:
  """Whether a rule speaks of the entries of a list, not of the list."""
  whole = ('logger.outputs', 'run.ckpt_keep')
  return isinstance(value, tuple) and key not in whole


def _check_together(config: elements.Config, flat: Mapping[str, Any]) -> None:
  shares = sum(v for k, v in flat.items() if k.startswith('replay.fracs.'))
  if abs(shares - 1) > 1e-6:
    raise UserError(f'--replay.fracs.* add up to {shares:g}; expected 1.')
  stored = config.batch_length * config.consec_train
  if config.report_length * config.consec_report > stored:
    raise UserError(
      f'--report_length x consec_report is '
      f'{config.report_length * config.consec_report}; expected at most '
      f'batch_length x consec_train = {stored}.'
    )
  recording = config.eval_trajectory
  last = recording.first_episode + recording.num_episodes - 1
  if last > LAST_EPISODE:
    raise UserError(
      f'--eval_trajectory.first_episode and num_episodes end at {last}; '
      f'expected at most {LAST_EPISODE}: dreams begin in later episodes.'
    )
  if config.replica >= config.replicas:
    raise UserError(
      f'--replica is {config.replica}; expected less than --replicas {config.replicas}.'
    )
  _check_devices(config)


def _check_devices(config: elements.Config) -> None:
  """Batches and environments are split over devices without a rest."""
  for key in ('train_devices', 'policy_devices'):
    devices = config.jax[key]
    if len(set(devices)) < len(devices):
      raise UserError(f'--jax.{key} is {show(devices)}; expected each device once.')
  each = len(config.jax.train_devices)
  if config.batch_size % (each * config.replicas):
    every = f' in each of {config.replicas} processes'
    raise UserError(
      f'--batch_size is {config.batch_size}; expected a multiple of the '
      f'{each} train devices{every if config.replicas > 1 else ""}.'
    )
  acting = {'train': ['envs'], 'eval_only': ['envs']}
  acting['train_eval'] = ['envs', 'eval_envs']
  each = len(config.jax.policy_devices)
  for key in acting.get(config.script, []):
    if config.run[key] % each:
      raise UserError(
        f'--run.{key} is {config.run[key]}; expected a multiple of the {each} '
        '--jax.policy_devices.'
      )


def show(value: Any) -> str:
  """A setting as it is typed."""
  return ' '.join(map(str, value)) if isinstance(value, tuple) else str(value)
