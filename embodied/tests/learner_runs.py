"""Runs of the training loop with a numpy agent on the dummy environment."""

import json
import pathlib

import elements

from embodied.core import logging, streams
from embodied.core.replay import Replay
from embodied.envs.dummy import Dummy
from embodied.run.train import train
from embodied.tests.learner import Learner

BATCH, LENGTH = 2, 4


def args_of(logdir, **kwargs):
  settings = dict(
    logdir=str(logdir),
    batch_size=BATCH,
    batch_length=LENGTH,
    consec_train=1,
    consec_report=1,
    steps=80.0,
    duration=0,
    train_ratio=4.0,
    log_every=-1,
    report_every=0,
    save_every=0,
    ckpt_keep=[0.0],
    envs=2,
    eval_envs=1,
    eval_eps=1,
    report_batches=1,
    from_checkpoint='',
    from_checkpoint_regex='',
    usage={'psutil': True, 'nvsmi': False},
    greedy=False,
    debug=True,
    log_keys='',
    replicas=1,
  )
  return elements.Config({**settings, **kwargs})


class Factories:
  """The factories of a run, and what they made."""

  def __init__(self, logdir, hook=None, length=9, **kwargs):
    self.args = args_of(logdir, **kwargs)
    self.logdir = pathlib.Path(logdir)
    self.hook, self.length = hook, length
    self.episodes, self.replays = {}, []

  def agent(self):
    env = self.env(0)
    self.made = Learner(env.obs_space, env.act_space, hook=self.hook)
    return self.made

  def env(self, index, episode=0):
    self.episodes[index] = episode
    return Dummy('disc', size=(8, 8), length=self.length)

  def replay(self, folder, share=1.0):
    length = self.args.consec_train * LENGTH + 1
    kept = Replay(length, int(1000 * share), folder, 32, online=True)
    self.replays.append(kept)
    return kept

  def stream(self, replay, mode):
    source = streams.Replayed(replay, BATCH, mode)
    consec = self.args.consec_train if mode == 'train' else 1
    return streams.Consec(source, LENGTH, consec, prefix=1)

  def logger(self, step, resumed=None):
    self.logdir.mkdir(parents=True, exist_ok=True)
    names = 'metrics.jsonl', 'scores.jsonl'
    if resumed is not None:
      for name in names:
        logging.truncate_jsonl(self.logdir / name, resumed)
    return logging.Logger(
      step,
      [
        logging.JsonLines(self.logdir / names[0]),
        logging.JsonLines(self.logdir / names[1], r'^episode/score'),
      ],
    )

  def run(self, loop=train):
    return loop(self.agent, self.replay, self.env, self.stream, self.logger, self.args)

  def lines(self, name='metrics.jsonl'):
    return read_lines(self.logdir / name)


def read_lines(path):
  return [json.loads(x) for x in path.read_text().splitlines()]


def logged(lines, key):
  return [(x['step'], x[key]) for x in lines if key in x]
