"""What can be typed? The text of `main.py --help`, read from configs.yaml.

print(help_text(CONFIGS.read_text(), {'train': 'Trains.'}, blocks, ['env']))
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import elements

from dreamerv3.base.errors import UserError
from dreamerv3.setup.config import Blocks, nearest
from dreamerv3.setup.rules import show
from dreamerv3.setup.rundir import flatten

HEAD = """\
usage: python dreamerv3/main.py [--script NAME] [--configs PRESET ...] \
[--FLAG VALUE ...]

Settings: defaults < presets from left to right < flags. The scripts that look
at a trained run take its agent, env, task and seed between presets and flags.
Lists: --k 1 2 or --k 1,2; --k+ x appends. A flag with regular expression
signs sets every key that it matches in full: --agent.'.*'.units 64
"""


# For a command without any words: enough to begin with.
SHORT = """\
usage: python dreamerv3/main.py --configs PRESET ... --logdir RUN [--FLAG VALUE]

  train    python dreamerv3/main.py --configs crafter_small size25m --logdir RUN
  try it   python dreamerv3/main.py --configs crafter_small debug --logdir RUN
  record   python dreamerv3/main.py --logdir RUN --script eval_trajectory
  control  python dreamerv3/main.py --logdir RUN --script replay_activations \
--replay_activations.load_checkpoint False
  dream    python dreamerv3/main.py --logdir RUN --script dream_decode \
--dream_decode.decoder_model FILE

--help lists all scripts, presets and flags, --help env those of a block."""


def help_text(
  text: str,
  scripts: Mapping[str, str],
  blocks: Blocks,
  topics: Sequence[str] = (),
) -> str:
  """Scripts, presets and flags with their defaults and meaning.

  Args:
    text: configs.yaml, whose comments are the help.
    scripts: names with one line each.
    blocks: the same file, parsed.
    topics: 'scripts', 'presets' or blocks of flags, such as env.crafter; all
      by default.

  Raises:
    UserError: a topic that there is not.
  """
  comments = read_comments(text)
  presets = {k: summary(v) for k, v in blocks.items() if k != 'defaults'}
  flat = elements.Config(blocks['defaults']).flat
  if not topics:
    return '\n'.join(
      [
        HEAD,
        *_listed('scripts', scripts),
        '',
        *_listed('presets', presets),
        '',
        'flags and defaults:',
        *_flags(flat, comments),
        '',
        f'--help TOPIC prints one of: {" ".join(_topics(flat))}',
      ]
    )
  lines: list[str] = []
  for topic in (x.removeprefix('--') for x in topics):
    chosen = {k: v for k, v in flat.items() if f'{k}.'.startswith(f'{topic}.')}
    if topic in ('scripts', 'presets'):
      lines += _listed(topic, scripts if topic == 'scripts' else presets)
    elif chosen:
      lines += _flags(chosen, comments)
    else:
      near = nearest(topic, _topics(flat))
      known = ', '.join(_topics(flat))
      raise UserError(f"--help knows no topic '{topic}'{near}; known: {known}.")
  return '\n'.join(lines)


def _topics(flat: Mapping[str, Any]) -> list[str]:
  """What help can be asked for; deeper blocks, such as agent.dyn, are too."""
  return ['scripts', 'presets', *dict.fromkeys(k.partition('.')[0] for k in flat)]


def _listed(title: str, about: Mapping[str, str]) -> list[str]:
  width = max(len(x) for x in about)
  return [f'{title}:', *(f'  {k:<{width}}  {v}' for k, v in about.items())]


def _flags(flat: Mapping[str, Any], comments: Mapping[str, str]) -> list[str]:
  lines = []
  for key, value in flat.items():
    left = f'  --{key} {show(value) or repr("")}'
    lines.append(f'{left:<46}  {comments.get(key, "")}'.rstrip())
  return lines


def summary(block: Mapping[str, Any], most: int = 110) -> str:
  """The settings of a preset on one line, as far as they fit."""
  line = ', '.join(f'{k}={show(v)}' for k, v in flatten(block).items())
  return line if len(line) <= most else line[: most - 3] + '...'


def read_comments(text: str) -> dict[str, str]:
  """Comment behind each key of the block `defaults`, by dotted name."""
  path: list[tuple[int, str]] = []
  found = {}
  for line in text.splitlines():
    parsed = re.match(r'( *)([\w.]+):(?:\s.*?)??(?:\s\s?# (.*))?$', line)
    if not parsed:
      continue
    indent, key, comment = len(parsed[1]), parsed[2], parsed[3]
    path = [x for x in path if x[0] < indent] + [(indent, key)]
    names = [name for _, name in path]
    if names[0] == 'defaults' and comment:
      found['.'.join(names[1:])] = comment
  return found
