"""docs/tutorial.ipynb runs from top to bottom, and reads without being run."""

import json
import pathlib

import nbclient
import nbformat
import pytest

PATH = pathlib.Path(__file__).resolve().parents[1] / 'docs' / 'tutorial.ipynb'


def test_it_reads_without_being_run():
  assert PATH.stat().st_size < 1_000_000
  cells = json.loads(PATH.read_text())['cells']
  outputs = [o for c in cells for o in c.get('outputs', [])]
  assert sum('image/png' in o.get('data', {}) for o in outputs) >= 6
  assert not [o for o in outputs if o['output_type'] == 'error']
  assert all(c['execution_count'] for c in cells if c['cell_type'] == 'code')
  assert '/tmp/' not in ''.join(str(o) for o in outputs)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
def test_it_runs():
  book = nbformat.read(PATH, 4)
  folder = {'metadata': {'path': str(PATH.parent)}}
  nbclient.NotebookClient(book, timeout=600, resources=folder).execute()
  said = ''.join(o.get('text', '') for c in book.cells for o in c.get('outputs', []))
  assert 'left alone it repeats the recording: True' in said
