"""Links of the pages lead somewhere: to a file, and to a heading in it."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [
  *ROOT.glob('*.md'),
  *ROOT.glob('docs/*.md'),
  *ROOT.glob('agents/*/MODEL_CARD.md'),
]


def anchors(page):
  """Names that GitHub gives to the headings of a page."""
  text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.M | re.S)
  heads = re.findall(r'^#+ (.*)$', text, re.M)
  return {re.sub(r'[^\w -]', '', x.lower()).replace(' ', '-') for x in heads}


@pytest.mark.parametrize('page', PAGES, ids=lambda x: x.name)
def test_links_lead_somewhere(page):
  for link in re.findall(r'\]\(([^)\s]+)\)', page.read_text()):
    if link.startswith(('http:', 'https:')):
      continue
    name, _, anchor = link.partition('#')
    file = page.parent / name if name else page
    assert file.exists(), link
    assert not anchor or anchor in anchors(file), link


def test_files_named_in_the_pages_exist():
  """Paths in code marks that begin with a folder of the repository."""
  start = r'(?:docs|bench|dreamerv3|embodied|tests|slurm|agents)'
  for page in PAGES:
    for name in re.findall(rf'(?<![\w/.]){start}/[\w/]+\.\w+', page.read_text()):
      known = '/NAME.' in name or (ROOT / name).exists()
      assert known, f'{page.name}: {name}'


def test_every_page_and_picture_is_linked_from_somewhere():
  text = '\n'.join(x.read_text() for x in PAGES)
  for file in [*ROOT.glob('docs/*.md'), *ROOT.glob('docs/images/*')]:
    assert re.search(rf'[(/ ]{re.escape(file.name)}', text), file.name
