"""Checkpoints of next to nothing, for tests of their folders."""

from embodied.run.checkpoint import Checkpoint


class Box:
  def __init__(self, value=None):
    self.value = value

  def save(self):
    return self.value

  def load(self, value):
    self.value = value


def make(folder, value=0, step=0, **kwargs):
  parts = {'step': Box(step), 'agent': Box(value)}
  return Checkpoint(folder, parts, **kwargs)


def save(folder, step, value=0, keep=(0,)):
  it = make(folder, value, step, keep=keep)
  it.load_latest()
  it.parts['step'].value, it.parts['agent'].value = step, value
  path = it.save(step)
  it.close()
  return path
