"""Averages and episodes, and that a resumed run continues them."""

import io
import math

import numpy as np

from embodied.run import metrics, progress, usage


def test_mean_skips_nan_and_starts_over():
  mean = metrics.Mean()
  mean.add({'a': 1.0, 'b': math.nan, 'video': np.zeros((2, 3))}, prefix='x')
  mean.add({'a': np.float32(4.0), 'b': math.nan}, prefix='x')
  mean.add({'a': math.nan}, prefix='x')
  found = mean.result()
  assert found['x/a'] == 2.5
  assert math.isnan(found['x/b'])
  assert found['x/video'].shape == (2, 3)
  assert mean.result() == {}


def test_mean_continues():
  mean, other = metrics.Mean(), metrics.Mean()
  mean.add({'a': 1.0})
  other.load(mean.save())
  other.add({'a': 2.0})
  assert other.result() == {'a': 1.5}
  assert mean.result() == {'a': 1.0}


def test_rate_continues_without_the_pause():
  clock = iter([0.0, 2.0, 100.0, 102.0])
  rate = metrics.Rate(lambda: next(clock))
  rate.step(6)
  saved = rate.save()
  other = metrics.Rate(lambda: 100.0)
  other.load(saved)
  other.now = lambda: 102.0
  other.step(2)
  assert other.result() == 2.0


def step(reward, first=False, last=False, **kwargs):
  return {
    'reward': np.float32(reward),
    'is_first': first,
    'is_last': last,
    'image': np.zeros((4, 4, 3), np.uint8),
    **{k.replace('log_', 'log/', 1): v for k, v in kwargs.items()},
  }


def test_episode():
  logged: list[dict] = []
  mean = metrics.Mean()
  episodes = metrics.Episodes(logged.append, mean, keys='log/health')
  episodes(step(0, first=True, log_achievement_eat=0, log_health=9), 0)
  episodes(step(1, log_achievement_eat=1, log_health=8), 0)
  episodes(step(1, log_achievement_eat=2, log_health=7), 0)
  assert logged == []
  episodes(step(-0.5, last=True, log_achievement_eat=2, log_health=6), 0)
  assert logged == [
    {
      'episode/score': 1.5,
      'episode/length': 4,
      'episode/achievement_eat': 2.0,
    }
  ]
  stats = mean.result()
  assert stats['epstats/log/health/avg'] == 7.5
  assert stats['epstats/log/health/max'] == 9
  assert stats['epstats/log/health/sum'] == 30
  assert stats['epstats/reward_rate'] == 2 / 3
  assert stats['epstats/policy_image'].shape == (4, 4, 4, 3)
  assert not any('achievement' in k for k in stats)
  assert episodes.scores == [1.5]


def test_workers_do_not_mix_and_a_cut_episode_is_not_counted():
  logged: list[dict] = []
  episodes = metrics.Episodes(logged.append, metrics.Mean())
  for worker in (0, 1):
    episodes(step(0, first=True), worker)
    episodes(step(worker), worker)
  episodes(step(0, first=True), 0)  # reset in the middle
  episodes(step(5, last=True), 0)
  episodes(step(1, last=True), 1)
  assert [x['episode/score'] for x in logged] == [5, 2]


def test_video_of_the_first_worker_is_bounded():
  mean = metrics.Mean()
  episodes = metrics.Episodes(lambda x: None, mean, frames=3)
  episodes(step(0, first=True), 0)
  for _ in range(5):
    episodes(step(0), 0)
  episodes(step(0, last=True), 0)
  assert mean.result()['epstats/policy_image'].shape[0] == 3


def test_durations():
  assert progress.duration(5) == '5s'
  assert progress.duration(65) == '1m 5s'
  assert progress.duration(3700) == '1h 1m'
  assert progress.duration(90000) == '1d 1h'
  assert progress.duration(math.inf) == 'unknown time'


class Screen(io.StringIO):
  def isatty(self):
    return True


def test_progress_in_a_file_is_a_line_now_and_then():
  file = io.StringIO()
  shown = progress.RunProgress(100_000, done=100, every=0.0, file=file)
  shown.episode(2.0)
  for _ in range(5000):  # of this start, whatever the run has learned before
    shown.learn()
  shown.began -= 1000
  shown.reach(10_100)
  shown.close()
  assert file.getvalue().startswith('10100/100000 steps (10.1%), score 2.00, ')
  assert file.getvalue().count('\n') == 1
  assert '5.00 updates/s' in file.getvalue()
  assert '10.0 steps/s' in file.getvalue()
  assert 'left' in file.getvalue()


def test_progress_on_a_terminal_is_a_bar():
  file = Screen()
  shown = progress.RunProgress(1000, done=100, file=file)
  shown.learn()
  shown.reach(500)
  shown.print('a line')
  shown.close()
  assert '500/1000' in file.getvalue()
  assert 'updates/s' in file.getvalue()
  assert 'a line\n' in file.getvalue()


def test_usage_names():
  stats = usage.Usage(nvsmi=False).stats()
  assert stats['psutil/proc_ram_gb'] > 0
  assert 0 < stats['psutil/total_ram_frac'] < 1
  assert usage.Usage(psutil=False, nvsmi=False).stats() == {}


def test_usage_of_gpus():
  found = usage.parse_nvsmi('50, 25, 2048\n[N/A], 1, 2\n100, 0, 0\n')
  assert found == {
    'nvsmi/compute_avg/gpu0': 0.5,
    'nvsmi/memory_avg/gpu0': 0.25,
    'nvsmi/memory_used_gb/gpu0': 2.0,
    'nvsmi/compute_avg/gpu2': 1.0,
    'nvsmi/memory_avg/gpu2': 0.0,
    'nvsmi/memory_used_gb/gpu2': 0.0,
  }
