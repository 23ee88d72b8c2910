"""One file for the browser: a run's sentences, units, episodes, dreams and figures.

  text = page('my_run', '20 episodes', '<section id="verdict">...</section>', {})

No network: styles, scripts and data lie in the file, and its content security policy
forbids the rest, so that text from a file that got past the escaping would not run.
"""

import base64
import hashlib
import importlib.resources
import string
from collections.abc import Mapping
from html import escape

SCRIPTS = (
  'uPlot.iife.min.js',
  'data.js',
  'maps.js',
  'cloud.js',
  'lines.js',
  'unit.js',
  'explorer.js',
  'player.js',
  'dreams.js',
  'main.js',
)
STYLES = ('uPlot.min.css', 'page.css')
PARTS = {'units': 'explorer', 'player': 'player', 'dreams': 'dreams'}


def asset(name: str) -> str:
  """A file of the folder `assets`, which is installed with the package."""
  folder = importlib.resources.files('dreamerv3.pages.assets')
  return folder.joinpath(name).read_text(encoding='utf-8')


def page(
  title: str, facts: str, body: str, data: Mapping[str, str], after: str = ''
) -> str:
  """The file.

  Args:
    title, facts: plain text.
    body, after: markup before and after the interactive parts; what is in them from
      files has to be escaped.
    data: {'units', 'player' or 'dreams': text by `packing.pack`}; each brings its part
      of the page.
  """
  parts = ''.join(asset(f'{PARTS[x]}.html') for x in PARTS if x in data)
  whole = body + parts + after
  script = _script()
  digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  holders = '\n'.join(
    f'<script type="text/plain" id="data-{name}">{packed}</script>'
    for name, packed in data.items()
  )
  policy = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
  )
  return string.Template(asset('page.html')).substitute(
    policy=policy,
    title=escape(title),
    style=_style(),
    facts=escape(facts),
    nav=_nav(whole),
    body=whole,
    data=holders,
    script=script,
  )


def _script() -> str:
  """The library, then our files as one unit whose names nobody else sees."""
  library, *own = (asset(x) for x in SCRIPTS)
  joined = '\n'.join(own)
  return f"{library}\n(() => {{\n'use strict';\n{joined}}})();\n"


def _style() -> str:
  return '\n'.join(asset(x) for x in STYLES)


NAMES = {
  'verdict': 'Known',
  'explorer': 'Units',
  'player': 'Episodes',
  'dreams': 'Dreams',
  'figures': 'Figures',
  'missing': 'Missing',
  'provenance': 'Provenance',
}


def _nav(whole: str) -> str:
  there = [x for x in NAMES if f'<section id="{x}">' in whole]
  return ''.join(f'<a href="#{x}">{NAMES[x]}</a>' for x in there)
