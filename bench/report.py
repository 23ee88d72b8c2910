"""How fast a page of many units opens, answers a click, and filters.

  python bench/report.py --units 30000 100000
  python bench/report.py --units 100000 --plotly plotly.min.js

Plants units with ten scores and a map each, writes them as report.py does, and opens
them in a headless Chromium (Debian's `chromium`) that draws by software. Times are from
the action to the second frame after it, the least of nine (of opening, of three), since
other work on the machine only adds. With --plotly, the same points in the same browser
by the WebGL scatter of plotly.js (it lies in the package `plotly`).
"""

import pathlib
import sys

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
import json
import tempfile
import time

import numpy as np

from dreamerv3.analysis.tuning.cell_types import Thresholds
from dreamerv3.analysis.tuning.maps.tile_maps import TileMaps
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.analysis.tuning.table import TuningTable
from dreamerv3.base import flags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import flag
from dreamerv3.pages.explorer import explorer
from dreamerv3.pages.packing import pack
from dreamerv3.pages.page import page
from tests import browser as browsers

LAYERS = 4
SIDE = 32  # of the world [tiles]
TIMES = 9
OPENED = 3
SCORES = (
  *('SI', 'EVs', 'HD_info', 'fieldsize', 'fieldasymmetry', 'pf_peaks'),
  *('border_score', 'R2_place', 'map_reliability', 'EV_best'),
)
CLICK = """const {cloud, units} = page.parts.explorer;
const [x, y] = cloud.place(units.rows[0]);
cloud.clicked({clientX: x, clientY: y});"""
FILTER = """const e = document.querySelector('[data-part="least"]');
e.value = %s; e.dispatchEvent(new Event('input'));"""
PEER = """<!doctype html><html><body>
<div id="plot" style="width:640px;height:440px"></div>
<script>%s</script><script>
const [x, y] = %s;
const draw = from => Plotly.react('plot', [{
  x: x.slice(from), y: y.slice(from), mode: 'markers', type: 'scattergl',
  marker: {size: 3},
}], {});
draw(0).then(() => { document.documentElement.dataset.ready = performance.now(); });
</script></body></html>"""
# Resolves to the milliseconds that an action takes until it is drawn.
TIMED = """(async () => {
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  const start = performance.now();
  %s
  await frame(); await frame();
  return performance.now() - start;
})()"""


@dataclasses.dataclass(frozen=True)
class BenchSettings:
  """Times the page of units."""

  units: tuple[int, ...] = flag((30_000, 100_000), low=LAYERS, help='Units to plant.')
  plotly: str = flag('', help='plotly.min.js, to draw the same points with.')


def main() -> None:
  """Prints a row per number of units."""
  args = flags.parse(BenchSettings)
  if browsers.program() is None:
    raise UserError('No Chromium here; install it, or name it in $CHROMIUM.')
  print(f'{"units":>8}{"write s":>9}{"MB":>7}{"open ms":>9}{"click":>7}{"filter":>8}')
  with tempfile.TemporaryDirectory() as folder, browsers.Browser() as browser:
    for count in args.units:
      path = pathlib.Path(folder) / f'{count}.html'
      print(row(browser, path, planted(count // LAYERS)))
      if args.plotly:
        print(peer(browser, path, pathlib.Path(args.plotly)))


def planted(each: int) -> Results:
  """Layers of units at random, with a map each."""
  rng = np.random.default_rng(0)
  tables = {}
  for k in range(LAYERS):
    metrics = {x: rng.gamma(2, 0.2, each) for x in SCORES}
    tables[f'layer/{k}'] = TuningTable(
      layer=f'layer/{k}',
      units=np.arange(each),
      curves=TileMaps.of(rng.random((each, SIDE, SIDE), np.float32)),
      hd_curves=rng.random((each, 4)),
      occupancy=np.ones((SIDE, SIDE)),
      metrics=metrics,
      p={},
      q={},
      n_nulls=0,
      walls=(),
    )
  return Results({}, tables, {}, Thresholds())


def row(browser: browsers.Browser, path: pathlib.Path, results: Results) -> str:
  """Writes and opens a page, and times what is done on it."""
  start = time.perf_counter()
  path.write_text(page('units', '', '', {'units': pack(explorer(results))}))
  wrote = time.perf_counter() - start
  opened = []
  for _ in range(OPENED):
    browser.open(path)
    opened.append(browser.value('page.timings.explorer'))
  clicked = [browser.value(TIMED % CLICK) for _ in range(TIMES)]
  passed = [browser.value(TIMED % (FILTER % (i / 20))) for i in range(TIMES)]
  count = browser.value('page.parts.explorer.count')
  if browser.errors:
    raise RuntimeError(f'the page complains: {browser.errors}')
  return (
    f'{count:>8}{wrote:>9.1f}{path.stat().st_size / 1e6:>7.1f}'
    f'{min(opened):>9.0f}{min(clicked):>7.0f}'
    f'{min(passed):>8.0f}'
  )


def peer(browser: browsers.Browser, path: pathlib.Path, library: pathlib.Path) -> str:
  """The same points by plotly.js: to draw all of them, then about a half."""
  cloud = 'page.parts.explorer.cloud'
  points = browser.value(f'[Array.from({cloud}.x), Array.from({cloud}.y)]')
  other = path.with_name('plotly.html')
  other.write_text(PEER % (library.read_text(), json.dumps(points)))
  opened = []
  for _ in range(OPENED):
    browser.open(other)
    opened.append(float(browser.value('document.documentElement.dataset.ready')))
  half = len(points[0]) // 2
  drawn = [browser.value(TIMED % f'await draw({half + i});') for i in range(TIMES)]
  size = other.stat().st_size / 1e6
  middle = min(drawn)
  return f'{"plotly":>8}{"":>9}{size:>7.1f}{min(opened):>9.0f}{"":>7}{middle:>8.0f}'


if __name__ == '__main__':
  flags.run(lambda _: main())
