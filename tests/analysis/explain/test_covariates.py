import numpy as np

from dreamerv3.analysis.explain import covariates
from dreamerv3.analysis.explain.covariates import Steps
from dreamerv3.data.trajectories import Trajectories
from tests import synthetic
from tests.analysis import planted


def test_a_recording_gives_its_steps_in_the_order_of_its_track(recording):
  data = Trajectories.open(recording)
  track, steps = data.track(), Steps.gather(data)
  assert len(steps.moved) == len(steps.action) == len(track)
  episode = data.episodes[2]
  (rows,) = np.nonzero(track.episode == 2)
  np.testing.assert_array_equal(steps.action[rows], episode.read('action')[:-1])
  moved = (np.diff(episode.pos, axis=0) != 0).any(1)
  np.testing.assert_array_equal(steps.moved[rows], moved)
  last = [-1, *episode.read('action')[:-1]]
  way = np.diff(episode.pos, axis=0) @ (3, 1) + 4
  assert steps.before is not None
  for got, want in zip(
    steps.before[rows].T, ([-1, *last], [-1, -1, *last], [-1, *way]), strict=True
  ):
    np.testing.assert_array_equal(got, want[1 : len(episode)])
  names = {x.name for x in covariates.build(track, steps)}
  assert names >= {'facing', 'speed', 'action', 'view', 'ego_boundary', 'boundary'}
  alone = Steps.of_track(track)
  known = alone.moved >= 0
  np.testing.assert_array_equal(alone.moved[known], steps.moved[known])


def test_without_a_map_there_is_no_view(recording):
  track = Trajectories.open(recording).track()
  steps = Steps.of_track(track)
  names = {x.name for x in covariates.build(track, steps)}
  assert not names & {'view', 'ego_boundary', 'boundary'}
  assert set(covariates.labels(track, steps)) == {'speed'}


def test_what_was_seen_counts_and_not_the_map(rng):
  tiles = planted.world((14, 14), obstructed=False)
  track = planted.track(tiles, rng, 4, 60)
  walls = np.full((len(track), 9, 9), synthetic.MATERIALS.index('stone'), np.uint8)
  walls[:, 4, 4] = synthetic.MATERIALS.index('grass')
  steps = Steps.of_track(track, tiles, (2,))
  seen = Steps(steps.moved, steps.action, seen=walls, walkable=(2,))
  assert covariates.labels(track, steps).keys() >= {'front', 'near'}
  assert not covariates.labels(track, seen).keys() & {'front', 'near'}  # no choice


def test_every_column_is_one_value(rng):
  tiles = synthetic.world((14, 14), ((4, 4), (9, 8)))
  track = planted.track(tiles, rng, 4, 60)
  for found in covariates.build(track, Steps.of_track(track, tiles, (2,))):
    known = found.columns[found.columns >= 0]
    assert set(np.unique(known)) <= set(range(found.size)), found.name
