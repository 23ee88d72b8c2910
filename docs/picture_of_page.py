"""A picture of the page of a run, for the README; needs Chromium.

python docs/picture_of_page.py logdir/run/report.html docs/images/report.png
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from tests.browser import Browser

PART = 'document.getElementById("explorer").scrollIntoView()'


def main(page: str, picture: str) -> None:
  """Opens a page at its units and saves what the window shows."""
  with Browser(1180, 830) as browser:
    browser.open(pathlib.Path(page))
    browser.value(PART)
    browser.value('new Promise(done => setTimeout(done, 500))')
    browser.picture(pathlib.Path(picture))


if __name__ == '__main__':
  main(*sys.argv[1:])
