"""Settings: flags from a dataclass, errors in one line, exit code 2."""

import dataclasses

import pytest

from dreamerv3 import tuning_curve
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import NO_JOBS, flag, make_parser, parse
from tests import cli


@dataclasses.dataclass(frozen=True)
class ToolSettings:
  """Does a thing."""

  data: str = flag(help='Folder.')
  n_boot: int = flag(1000, low=0, help='Draws.')
  frac: float = flag(0.2, low=0, high=1, help='Fraction, in %.')
  mode: str = flag('a', choices=('a', 'b'), help='Mode.')
  layers: tuple[str, ...] = flag((), help='Layers.')
  area: tuple[int, int] | None = flag(None, help='W H.')
  save_model: bool = flag(False, help='Save.')
  world: bool = flag(True, help='World.')
  limit: int | None = flag(None, help='Limit.')
  n_jobs: int = flag(1, low=-1, never=NO_JOBS, help='Jobs.')


def test_defaults_and_values():
  assert parse(ToolSettings, ['--data', 'x']) == ToolSettings('x')
  got = parse(
    ToolSettings,
    [
      '--data=x',
      '--n_boot',
      '1e3',
      '--frac',
      '.5',
      '--mode',
      'b',
      '--layers',
      'p',
      'q',
      '--area',
      '6',
      '7',
      '--save_model',
      '--no-world',
      '--limit',
      '3',
    ],
  )
  assert got == ToolSettings('x', 1000, 0.5, 'b', ('p', 'q'), (6, 7), True, False, 3)


@pytest.mark.parametrize(
  ('argv', 'match'),
  [
    ([], 'required: --data'),
    (['--data', ''], '--data is empty'),
    (['--data', 'x', '--n_bot', '3'], r'--n_bot; did you mean --n_boot\?'),
    (['--data', 'x', '--zzzz', '3'], 'unknown argument --zzzz; see --help'),
    (['--data', 'x', '--n_jobs', '0'], '--n_jobs is 0; expected at least 1, or -1'),
    (['--data', 'x', '--n_boot', '-1'], '--n_boot is -1; expected at least 0'),
    (['--data', 'x', '--n_boot', '1e26'], '--n_boot is 1.*; expected at most 2147'),
    (['--data', 'x', '--frac', '2'], '--frac is 2.0; expected at most 1'),
    (['--data', 'x', '--frac', 'nan'], '--frac is nan'),
    (['--data', 'x', '--frac', 'inf'], '--frac is inf; expected a finite number'),
    (['--data', 'x', '--n_boot', '1.5'], 'not a whole number'),
    (['--data', 'x', '--n_boot', '1e400'], '1e400 is not a whole number'),
    (['--data', 'x', '--n_boot', 'many'], "invalid int value: 'many'"),
    (['--data', 'x', '--mode', 'c'], 'invalid choice'),
    (['--data', 'x', '--area', '3'], '--area: expected 2 arguments'),
  ],
)
def test_mistakes_are_one_line(argv, match):
  with pytest.raises(UserError, match=match) as info:
    parse(ToolSettings, argv)
  assert '\n' not in str(info.value)


def test_help_has_every_flag_with_its_default():
  text = make_parser(ToolSettings, 'x').format_help()
  for field in dataclasses.fields(ToolSettings):
    assert f'--{field.name}' in text
  assert '(default: 1000)' in text
  assert '(required)' in text


def test_help_is_for_reading():
  settings = tuning_curve.TuningSettings
  text = make_parser(settings, 'x').format_help()
  assert text.startswith('usage: x [--FLAG VALUE ...]')
  assert '  python dreamerv3/tuning_curve.py --data' in text  # the module's example
  assert '--no-no_hd' not in text
  assert parse(settings, ['--no-no_hd']).no_hd is False  # as studies write it


def test_what_a_command_shares_comes_after_its_own():
  @dataclasses.dataclass(frozen=True, kw_only=True)
  class Shared:
    """Shared."""

    area: int = flag(0, help='Area.')

  @dataclasses.dataclass(frozen=True, kw_only=True)
  class Own(Shared):
    """Own."""

    data: str = flag(help='Folder.')

  text = make_parser(Own, 'x').format_help()
  assert text.index('--data') < text.index('shared with') < text.index('--area')
  assert parse(Own, ['--data', 'x', '--area', '3']) == Own(data='x', area=3)


@pytest.mark.parametrize(
  ('code', 'said'),
  [
    ('raise errors.UserError("no such thing")', 'no such thing'),
    ('raise errors.UserError("no a\\nb, c\\x1b[2J")', r'no a\nb, c\x1b[2J'),
    ('open("x" * 300)', 'is no place (File name too long); check the path.'),
  ],
)
def test_run_exits_with_2_and_no_traceback(code, said):
  code = (
    f'from dreamerv3.base import errors, flags\ndef main(argv): {code}\nflags.run(main)'
  )
  line = cli.refused(cli.python('-c', code))
  assert line.startswith('-c: error: ')
  assert line.strip().endswith(said)


def test_bugs_keep_their_traceback():
  code = (
    'from dreamerv3.base import flags\ndef main(argv): return 1 / 0\nflags.run(main)'
  )
  done = cli.python('-c', code)
  assert done.returncode == 1
  assert 'ZeroDivisionError' in done.stderr
