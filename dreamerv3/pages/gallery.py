"""The saved figures of a run with a reading each, as part of a page.

html = gallery(sources.results)
"""

import base64
import pathlib
from html import escape

from dreamerv3.base.errors import UserError
from dreamerv3.pages import pictures
from dreamerv3.pages.readings import Reading, rank, reading
from dreamerv3.run_info import read_run_info

MOST_BYTES = 4_500_000  # of all figures, as they lie in the page
FORMS = ('.png', '.svg', '.pdf')  # the first is shown
UNKNOWN = Reading('', '')


def figures(results: pathlib.Path) -> list[pathlib.Path]:
  """The pictures that provenance lists and that are there, in the order of a page.

  Of one that was drawn in several forms the PNG.
  """
  found: dict[pathlib.Path, pathlib.Path] = {}
  for path in sorted(results.rglob('run_info.json')):
    for entry in read_run_info(path.parent):
      for picture in entry.outputs:
        if picture.suffix in FORMS and picture.is_file():
          stem = picture.with_suffix('')
          known = found.get(stem, picture)
          found[stem] = min(known, picture, key=lambda x: FORMS.index(x.suffix))
  return sorted(found.values(), key=lambda x: (rank(x.name), str(x)))


def gallery(results: pathlib.Path, room: int = MOST_BYTES) -> str:
  """All figures that fit, and the names of those that do not; '' for none.

  Args:
    room: bytes of the page for them.
  """
  root = results.absolute()
  shown, left_out, used = [], [], 0
  for path in figures(results):
    name = str(path.relative_to(root)) if root in path.parents else str(path)
    if path.suffix != FORMS[0]:
      left_out.append(f'{name} (drawn without a PNG)')
      continue
    try:
      file, size = pictures.figure(path)
    except UserError as e:
      left_out.append(str(e))
      continue
    text = base64.b64encode(file).decode()
    if used + len(text) > room:
      left_out.append(name)
      continue
    used += len(text)
    shown.append(_figure(name, reading(path.name) or UNKNOWN, text, size))
  if not shown and not left_out:
    return ''
  note = ''
  if left_out:
    note = (
      f'<p class="note">For figures {room / 1e6:.1f} MB are left. Not here: '
      f'{escape(", ".join(left_out))}.</p>'
    )
  return (
    '<section id="figures"><h2>Figures</h2>'
    f'<div class="figures">{"".join(shown)}</div>{note}</section>'
  )


def _figure(name: str, about: Reading, text: str, size: tuple[int, int]) -> str:
  title = escape(about.title or name)
  wide = ' class="wide"' if about.wide else ''
  return (
    f'<figure{wide}><h3>{title}</h3><p>{escape(about.text)}</p>'
    f'<img loading="lazy" width="{size[0]}" height="{size[1]}" '
    f'alt="{title}: {escape(name)}" src="data:image/webp;base64,{text}">'
    f'<figcaption>{escape(name)}</figcaption></figure>'
  )
