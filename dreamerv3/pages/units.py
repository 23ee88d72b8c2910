"""Tuning results alone as a page: what the viewer shows, where there is no screen.

path = write(folder / 'units.html', results, folder / 'tuning_results.pkl')
"""

import pathlib
from typing import Any

from dreamerv3.analysis.tuning.results import Results
from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.pages.explorer import explorer
from dreamerv3.pages.packing import pack
from dreamerv3.pages.page import page
from dreamerv3.pages.player import choose, player
from dreamerv3.pages.sources import measured
from dreamerv3.run_info import noting

NAME = 'units.html'


def write(
  path: pathlib.Path,
  results: Results,
  tuning: pathlib.Path,
  args: Any = None,
) -> pathlib.Path:
  """Writes the page, with episodes where the recording is at hand, and its entry.

  Args:
    path: of the page.
    tuning: the file that holds the results, whose entry names the recording.
    args: settings of the command, for provenance.
  """
  data = {'units': pack(explorer(results))}
  recording = measured(tuning)
  try:
    episodes = None if recording is None else Trajectories.open(recording)
  except UserError:  # the units are all there without it
    episodes = None
  if episodes is not None:
    data['player'] = pack(player(episodes, choose(episodes, None), None, results))
  total = sum(len(x) for x in results.tables.values())
  facts = f'{total:,} units of {len(results.tables):,} layers, from {tuning}.'
  inputs = {'from_pkl': str(tuning), 'data': str(recording or '')}
  with noting(path.parent, 'explorer', args, inputs) as note:
    with files.atomic(path, 'w') as file:
      file.write(page('Units and what they are tuned to', facts, '', data))
    note.outputs.append(path)
  return path
