"""How to read each figure of this project, in one or two plain sentences.

reading('layer_comparison.png').text

By the name of the file; one that is not listed has no reading.
"""

import fnmatch
from typing import NamedTuple


class Reading(NamedTuple):
  """A figure in words.

  Attributes:
    title: what it is; text: how to read it; wide: it needs the whole width.
  """

  title: str
  text: str
  wide: bool = False


# The first pattern that fits holds.
READINGS = (
  (
    'layer_comparison',
    Reading(
      'Decoding error of each layer',
      'How far a linear decoder is off, in tiles: the diamond is the mean with its '
      '95 % interval over episodes, the box half of all timesteps. A layer tells the '
      'place only left of the lines of chance, and learned to only left of the square '
      'of the untrained network. One that is not may hold it in a form or among so '
      'many other units that this decoder does not find it.',
      wide=True,
    ),
  ),
  (
    'classification_*',
    Reading(
      'How far the decoder is off',
      'The share of timesteps at each distance from the true tile. Filled is the '
      'decoder; the outlines are a constant guess and a decoder of other paths, which '
      'know nothing of the moment.',
    ),
  ),
  (
    'occupancy_vs_error_*',
    Reading(
      'Error against visits',
      'Left where the agent was in training, in the middle the mean error on each '
      'tile, right the error against the number of visits: an error that falls with '
      'visits is partly one of too little data.',
      wide=True,
    ),
  ),
  (
    'probmap_world_*',
    Reading(
      'What the decoder believes, on the terrain',
      'Probability over the world at moments of one held-out episode, beside the true '
      'and the decoded tile. A narrow spot at the true tile is knowledge, a wide cloud '
      'none.',
      wide=True,
    ),
  ),
  (
    'probmap_*',
    Reading(
      'What the decoder believes',
      'Probability of each tile at moments of one held-out episode, in shares of the '
      "panel's largest; grey tiles were not visited in training.",
      wide=True,
    ),
  ),
  (
    'layer_summary',
    Reading(
      'Classes of units in each layer',
      'The share of units per class: tested against chance (to be reported), by '
      'thresholds alone (as in older work), and in the untrained network. What the '
      'untrained network has too was not learned.',
      wide=True,
    ),
  ),
  (
    '*_cell_types',
    Reading(
      'Classes of one layer',
      'For each class the share of units by test, by thresholds alone, and in the '
      'untrained control. Compare the first bar with the last.',
      wide=True,
    ),
  ),
  (
    '*_example_tuning_curves',
    Reading(
      'Example units of each class',
      'Mean activation on each visited tile, each map with a scale of its own. The '
      'explorer above has all units, with numbers.',
      wide=True,
    ),
  ),
  (
    '*_si_ev_scatter',
    Reading(
      'Information against held-out variance',
      'Up is a map that predicts other episodes, to the right one with much '
      'information, which noise can have, too. Only what lies high is reliable.',
    ),
  ),
  (
    '*_scree',
    Reading(
      'In how many ways maps differ',
      'Variance along each direction in which the maps of the units differ, beside '
      'that of shuffled maps: only what lies above these is structure.',
    ),
  ),
  *(
    (
      f'*_{name}',
      Reading(
        f'Units by the shape of their maps, {label}',
        'Each point is a unit, near those with maps alike. Islands in such a picture '
        'prove no kinds; clusters.csv says which groups hold.',
        wide=True,
      ),
    )
    for name, label in (('pca', 'PCA'), ('tsne', 't-SNE'), ('umap', 'UMAP'))
  ),
  (
    '*_cluster_examples',
    Reading(
      'Maps of each group',
      'Maps and autocorrelograms of the units that are most of their group. Groups '
      'that are kinds look alike within and unlike each other.',
      wide=True,
    ),
  ),
  (
    '*_isomap_metrics_*',
    Reading(
      'Units by their scores',
      'Each point is a unit, near those with scores alike, coloured by one score.',
    ),
  ),
  (
    '*_dist_*',
    Reading(
      'Spread of one score',
      'How many units have which value, with the maps of units along it: from the '
      'lowest to the highest.',
      wide=True,
    ),
  ),
  (
    'manifold_summary',
    Reading(
      'Geometry of the code',
      'Left, whether states near in space are near in the code (0: not at all), then '
      'the same beyond view and time; right, the number of dimensions in use. Lines '
      'are 95 % over episodes.',
      wide=True,
    ),
  ),
  (
    '*_srsa',
    Reading(
      'Distance in space against distance in the code',
      'If the line rises, places that are far apart have unlike states. A flat line, '
      'as of an untrained network, holds no map.',
      wide=True,
    ),
  ),
  (
    '*_hillfit',
    Reading(
      'How far the map reaches',
      'Mean distance in the code at each distance in space. Where the curve levels '
      'off, the code tells places no further apart.',
    ),
  ),
  (
    '*_isomap_position',
    Reading(
      'The code laid flat, coloured by position',
      'Each point is a moment. Colours in order mean that the code is laid out like '
      'the world along that axis.',
      wide=True,
    ),
  ),
  (
    '*_isomap_wakedream',
    Reading(
      'The code laid flat: waking and dreaming',
      'Dreams that lie among the waking states visit what the agent knows.',
    ),
  ),
  (
    '*_swdist',
    Reading(
      'How far dreams are from waking states',
      'Distance of each dreamt state to the nearest waking one, beside that of waking '
      'states of other episodes. Curves on each other mean that dreams look awake.',
    ),
  ),
  (
    '*_sw_over_time',
    Reading(
      'Dreams drift from waking states',
      'The same distance against the step of the dream; a rising line is a dream that '
      'leaves what was lived.',
    ),
  ),
  (
    'dream_vs_real',
    Reading(
      'Dreams against the real path',
      'Distance from where the agent really went, step by step. A dream keeps its '
      'place while it is below the lines of chance; one that merely stands still is '
      'the hardest of them. Right: moves that no agent can make.',
      wide=True,
    ),
  ),
  (
    'dream_trajectories_world',
    Reading(
      'Dreamt paths in the world',
      'Some starts, with the dream along the real actions and the one along its own, '
      'beside the real path.',
      wide=True,
    ),
  ),
  (
    'dream_probmap_*',
    Reading(
      'Where a dream may be',
      "The decoder's probability at six steps of a dream: along the real actions "
      'above, along its own below.',
      wide=True,
    ),
  ),
  (
    'over_training',
    Reading(
      'Space and score over training',
      'What the networks of the kept checkpoints tell of the place on one path, '
      'beside the score: which of both rises first.',
      wide=True,
    ),
  ),
  (
    'training_progress',
    Reading(
      'How it learned',
      'Return, unlocked achievements and losses over environment steps. The other '
      'figures are of the last checkpoint alone.',
      wide=True,
    ),
  ),
  (
    'trajectories',
    Reading(
      'Recorded paths',
      'Each line is an episode on the map. Where no line goes, nothing can be said '
      'about any unit.',
    ),
  ),
  (
    'heatmap',
    Reading(
      'Visits',
      'Timesteps on each tile, logarithmic. Few visits make noisy maps.',
    ),
  ),
  (
    '*_spatial',
    Reading(
      'Units along x and y',
      'Correlation with each axis in the half of the episodes that did not choose the '
      'units; inside the grey bars it is chance.',
      wide=True,
    ),
  ),
  (
    '*_activation',
    Reading('One unit on the map', 'Its mean activation on each visited tile.'),
  ),
  (
    'world_overlay',
    Reading(
      'The world as the agent saw it',
      'Each tile is the mean of all its pictures; grey was never seen.',
    ),
  ),
  (
    'fullworld_overlay',
    Reading('Paths on the terrain', 'The map as an episode begins, with all paths.'),
  ),
  ('world_only', Reading('The terrain', 'The map as an episode begins.')),
)


def reading(name: str) -> Reading | None:
  """What is known of a figure by the name of its file, e.g. 'heatmap.png'."""
  place = rank(name)
  return READINGS[place][1] if place < len(READINGS) else None


def rank(name: str) -> int:
  """The place of a figure in the order of a page; unknown ones are last."""
  stem = name.rpartition('.')[0] or name
  fits = (i for i, (x, _) in enumerate(READINGS) if fnmatch.fnmatchcase(stem, x))
  return next(fits, len(READINGS))
