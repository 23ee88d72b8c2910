"""Pieces of a run's state that travel in the file run.pkl.

For the trainer:

  parts = Parts({'due': clock, 'late': Owed()}, step)
  parts.load(parts.save())
"""

from typing import Any

import numpy as np

from embodied.core import clock


class Owed:
  """Results of an update that an agent keeps until the next one.

  A save takes them from the agent, so that they are not lost, and they are
  used when the next update would have brought them: saving changes nothing.
  """

  def __init__(self) -> None:
    self.outs: dict[str, Any] = {}
    self.mets: dict[str, Any] = {}

  def put(self, agent: Any) -> None:
    """Takes what the agent has not handed out yet."""
    if hasattr(agent, 'flush'):
      outs, mets = agent.flush()
      if outs or mets:
        self.outs, self.mets = outs, mets

  def take(self) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hands it out, once."""
    outs, mets = self.outs, self.mets
    self.outs, self.mets = {}, {}
    return outs, mets

  def save(self) -> dict[str, Any]:
    """What was not handed out, without images."""
    mets = {k: float(v) for k, v in self.mets.items() if np.ndim(v) == 0}
    return {'outs': self.outs, 'mets': mets}

  def load(self, data: dict[str, Any]) -> None:
    """Continues saved results."""
    self.outs, self.mets = data['outs'], data['mets']


class Parts:
  """Several saveables as one, for the file run.pkl."""

  def __init__(self, parts: dict[str, Any], step: Any):
    self.parts = parts
    self.step = step

  def save(self) -> dict[str, Any]:
    """The state of each part."""
    return {k: v.save() for k, v in self.parts.items()}

  def load(self, data: dict[str, Any]) -> None:
    """Continues each part that was saved; tells which ones were not.

    A checkpoint of another script, or of an earlier version, has other parts.
    """
    new, unused = self.parts.keys() - data.keys(), data.keys() - self.parts.keys()
    if new:
      print(f'Not in the checkpoint, begins anew: {", ".join(sorted(new))}')
    if unused:
      print(f'In the checkpoint, but of no use here: {", ".join(sorted(unused))}')
    for name in self.parts.keys() - new:
      part = self.parts[name]
      if isinstance(part, clock.Ratio):
        part.load(data[name], step=int(self.step))
      else:
        part.load(data[name])
