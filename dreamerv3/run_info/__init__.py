"""Provenance: which command, on which code, made the files of a folder, of what.

  with noting('results', 'decode_position', args, inputs={'data': path}) as note:
    note.outputs += [save_table('results')]
  log_run_info('results', 'decode_position', vars(args), outputs=[...])  # at once

Appends an entry to `results/run_info.json`, a JSON array: before the work with the
status "running", afterwards completed with "done", "failed" or "stopped". Paths are
relative to that folder, so that they hold after it was moved. For every command;
`origin.py` follows the entries back to the training run.
"""

from dreamerv3.base.version import version_line
from dreamerv3.run_info.entries import Entry, Input, read_run_info
from dreamerv3.run_info.writing import Note, log_run_info, noting, plain

__all__ = [
  'Entry',
  'Input',
  'Note',
  'log_run_info',
  'noting',
  'plain',
  'read_run_info',
  'version_line',
]
