"""How far it is: lines where there is no terminal, no more often than asked."""

import io

from dreamerv3.base.progress import ProgressBar
from dreamerv3.recording.bar import EpisodeBar


def test_a_log_gets_a_line_now_and_then():
  often, seldom = io.StringIO(), io.StringIO()
  with ProgressBar(3, 'unit', every=0.0, file=often) as bar:
    bar.update(1, 'enc/cnn0')
    bar.update(2)
  with ProgressBar(3, 'unit', file=seldom) as bar:
    bar.update(3)
  assert often.getvalue().splitlines() == ['1/3 units, enc/cnn0', '3/3 units']
  assert not seldom.getvalue()


def test_a_recording_says_its_rate_and_mean_return(capsys):
  with EpisodeBar(2, every=0.0) as bar:
    bar.step()
    bar.step()
    bar.episode(3.0)
    bar.step()
    bar.episode(1.0)
  first, *_, last = capsys.readouterr().err.splitlines()
  assert first.startswith('0/2 episodes, 1 steps, ')
  assert first.endswith('mean return -')
  assert last.startswith('2/2 episodes, 3 steps, ')
  assert last.endswith('mean return 2.00')
