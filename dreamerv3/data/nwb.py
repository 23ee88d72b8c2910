"""A recording as a file of Neurodata Without Borders (NWB 2, https://nwb.org).

For laboratories whose tools read NWB: positions, episodes as trials, layers as time
series, units as a table.

  nwbfile = build(data, ['dyn/deter'], About(...))
  write(nwbfile, path)

All timesteps are there, the reset observation of each episode (t = 0) too, where the
recurrent state is a constant. Times are those of `data.convert.clock`.
"""

import dataclasses
import datetime
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv3.data import convert
from dreamerv3.data.trajectories import Trajectories

# Per-timestep values that are written where all episodes have them: unit, meaning.
VALUES = {
  'reward': ('a.u.', 'Reward that came with the observation.'),
  'action': ('index', 'Action taken at the timestep.'),
  'daylight': ('a.u.', 'Daylight, 0 at night to 1.'),
  'sleeping': ('bool', 'Whether the agent sleeps.'),
  'vital_health': ('points', 'Health, 0 to 9.'),
  'vital_food': ('points', 'Food, 0 to 9.'),
  'vital_drink': ('points', 'Drink, 0 to 9.'),
  'vital_energy': ('points', 'Energy, 0 to 9.'),
}
FRAME = 'Tiles of the world: (0, 0) is its north-west corner, x east, y south.'


@dataclasses.dataclass(frozen=True)
class About:
  """What the file says of itself.

  Attributes:
    identifier: of this content, the same for the same recording and layers.
    start: when the recording began, with a time zone.
    agent: name of the run and digest of its weights.
    provenance: commands, code and digests behind it, as text.
    step_s: how long a timestep lasts [s], a convention.
  """

  identifier: str
  start: datetime.datetime
  agent: str
  provenance: str
  step_s: float = 1.0


def build(
  data: Trajectories,
  names: Sequence[str],
  about: About,
  units: Mapping[str, Mapping[str, np.ndarray]] | None = None,
  images: bool = False,
) -> Any:
  """The `pynwb.NWBFile` of a recording.

  Args:
    names: layers to write.
    units: {layer: {measure: (D,)}}, further columns of the table of units.
    images: write what the agent saw, too.
  """
  from pynwb import NWBFile  # slow to import
  from pynwb.file import Subject

  data = dataclasses.replace(data, drop_first=False)
  time = data.track().clock(about.step_s)
  nwbfile = NWBFile(
    session_description=_described(data, about.step_s),
    identifier=about.identifier,
    session_start_time=about.start,
    experiment_description='Activations of an artificial agent; nothing was alive.',
    keywords=['DreamerV3', 'Crafter', 'world model', 'spatial representation'],
    notes=about.provenance,
    subject=Subject(
      subject_id=about.agent,
      description='A DreamerV3 agent, no animal: age 0 stands for none.',
      sex='U',
      age='P0D',
    ),
    source_script='dreamerv3/export_nwb.py of dreamerv3-space',
    source_script_file_name='export_nwb.py',
  )
  _add_episodes(nwbfile, data, time)
  _add_behavior(nwbfile, data, time)
  _add_layers(nwbfile, data, names, time, units or {})
  if images:
    _add_images(nwbfile, data, time)
  return nwbfile


def write(nwbfile: Any, path: pathlib.Path) -> None:
  """Writes an NWBFile.

  Raises:
    OSError: the disk is full, or the folder cannot be written.
  """
  import h5py
  from pynwb import NWBHDF5IO

  try:
    # Opened here: the other warns of names that do not end in .nwb, as unfinished do.
    with h5py.File(path, 'w') as container, NWBHDF5IO(file=container, mode='w') as io:
      io.write(nwbfile)
  except RuntimeError as e:
    number = re.search(r'errno = (\d+)', str(e))  # how HDF5 says that a write failed
    if number is None:
      raise
    raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from e


def series_name(layer: str) -> str:
  """How a layer is called in the file, where / divides groups."""
  return layer.replace('/', '_')


def _described(data: Trajectories, step_s: float) -> str:
  w, h = data.metadata.area
  network = {True: 'a trained', False: 'an untrained', None: 'an'}[
    data.metadata.trained
  ]
  return (
    f'{len(data)} episodes of {network} agent in Crafter, a world of {w} x {h} tiles. '
    f'A timestep is stated to last {step_s:g} s; an empty one lies between episodes.'
  )


def _add_episodes(nwbfile: Any, data: Trajectories, time: convert.RowTimes) -> None:
  nwbfile.add_trial_column('episode', 'Number of the episode, as in its file name.')
  nwbfile.add_trial_column('timesteps', 'Timesteps, the reset observation included.')
  for place, start, stop in zip(time.episodes, time.starts, time.ends, strict=True):
    episode = data.episodes[place]
    nwbfile.add_trial(
      start_time=float(start),
      stop_time=float(stop),
      episode=episode.number,
      timesteps=len(episode),
    )


def _add_behavior(nwbfile: Any, data: Trajectories, time: convert.RowTimes) -> None:
  from pynwb import TimeSeries
  from pynwb.behavior import Position, SpatialSeries

  module = nwbfile.create_processing_module('behavior', 'Where the agent was.')
  track = data.track()
  position = SpatialSeries(
    name='position',
    data=_packed(track.pos.astype(np.float64)),
    timestamps=_packed(time.times),
    reference_frame=FRAME,
    unit='n.a.',  # the standard knows no tiles
    description='Tile (x, y) of the agent [tiles].',
  )
  module.add(Position(name='Position', spatial_series=position))
  shared = {'timestamps': position}
  if (track.facing != 0).any():
    values = {'facing': (track.facing, 'tiles', 'Direction (dx, dy) it faces.')}
  else:
    values = {}
  for key, (unit, text) in VALUES.items():
    if all(key in x.arrays for x in data.episodes):
      rows = np.concatenate([x.read(key) for x in data.episodes])
      values[key] = (rows, unit, text)
  for key, (rows, unit, text) in values.items():
    kept = rows.astype(np.int8) if rows.dtype == bool else rows
    module.add(
      TimeSeries(name=key, data=_packed(kept), unit=unit, description=text, **shared)
    )


def _add_layers(
  nwbfile: Any,
  data: Trajectories,
  names: Sequence[str],
  time: convert.RowTimes,
  units: Mapping[str, Mapping[str, np.ndarray]],
) -> None:
  from pynwb import TimeSeries

  module = nwbfile.create_processing_module(
    'activations', 'Layers of the network, one column per unit.'
  )
  first = None
  track = data.track()
  for name in names:
    samples = data.layer(name, track)
    series = TimeSeries(
      name=series_name(samples.layer),
      data=_packed(samples.X),
      unit='a.u.',
      description=f'Activation of the units of {samples.layer}.',
      timestamps=_packed(time.times) if first is None else first,
    )
    first = first or series
    module.add(series)
    module.add(_unit_table(samples.layer, samples.X.shape[1], units.get(name, {})))


def _unit_table(layer: str, count: int, columns: Mapping[str, np.ndarray]) -> Any:
  from pynwb.core import DynamicTable, VectorData

  made = [VectorData(name='unit', description='Column of it.', data=np.arange(count))]
  for key, values in columns.items():
    text = f'{key}, see docs/data_format.md of the project.'
    kept = values.tolist() if values.dtype.kind in 'UO' else values
    made.append(VectorData(name=key, description=text, data=kept))
  return DynamicTable(
    name=f'{series_name(layer)}_units',
    description=f'Units of {layer}, in the order of the columns of its series.',
    columns=made,
  )


def _add_images(nwbfile: Any, data: Trajectories, time: convert.RowTimes) -> None:
  from pynwb.image import ImageSeries

  nwbfile.add_acquisition(
    ImageSeries(
      name='view',
      data=_packed(np.concatenate([x.read('image') for x in data.episodes])),
      unit='n.a.',
      format='raw',
      timestamps=_packed(time.times),
      description='What the agent saw, RGB.',
    )
  )


def _packed(values: np.ndarray) -> Any:
  """Compressed without loss, in pieces along time."""
  from pynwb import H5DataIO

  return H5DataIO(values, compression='gzip', compression_opts=4, shuffle=True)
