"""dashboard.py as a command: what it refuses, and that it serves the page."""

import contextlib
import importlib.util
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from dreamerv3 import dashboard
from dreamerv3.base.errors import UserError
from tests import browser, cli
from tests.dashboard_page import planted


def free_port():
  with contextlib.closing(socket.socket()) as probe:
    probe.bind(('localhost', 0))
    return probe.getsockname()[1]


def test_mistakes_are_one_line(tmp_path):
  line = cli.refused(cli.script('dashboard', '--logdir', tmp_path / 'lost'))
  assert 'lost is no folder; give --logdir a run' in line
  line = cli.refused(cli.script('dashboard', cwd=tmp_path))
  assert 'There is no logdir and no agents here' in line
  with contextlib.closing(socket.socket()) as held:
    held.bind(('localhost', 0))
    held.listen()
    with pytest.raises(UserError, match=r'cannot be had \(Address already in use\)'):
      dashboard.check_port(held.getsockname()[1])


def test_without_streamlit_it_says_what_to_install(tmp_path, monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UserError, match=r"; pip install '\.\[dashboard\]'\.$"):
    dashboard.main(['--logdir', str(tmp_path)])


def test_of_the_usual_folders_one_is_enough(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'agents').mkdir()
  assert [str(x) for x in dashboard.places(dashboard.FOLDERS)] == ['agents']


@pytest.mark.slow
def test_the_page_is_served_to_this_machine_alone(tmp_path):
  planted.recording(planted.run(tmp_path / 'run') / 'trajectories')
  port = free_port()
  words = ['--logdir', str(tmp_path), '--port', str(port)]
  with subprocess.Popen(
    [sys.executable, cli.ROOT / 'dreamerv3' / 'dashboard.py', *words],
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    cwd=tmp_path,
  ) as server:
    try:
      answers(f'http://localhost:{port}/_stcore/health')
      if browser.program():
        look(f'http://localhost:{port}/')
    finally:
      server.send_signal(signal.SIGINT)
      said, _ = server.communicate(timeout=30)
  assert f'http://localhost:{port}' in said
  assert 'Traceback' not in said
  assert not (tmp_path / '.streamlit').exists()


def answers(address):
  end = time.monotonic() + 60
  while True:
    with contextlib.suppress(OSError), urllib.request.urlopen(address) as answer:
      assert answer.read() == b'ok'
      return
    assert time.monotonic() < end
    time.sleep(0.1)


def look(address):
  """Opens it; it asks nobody but its server for anything."""
  with browser.Browser() as tab:
    tab.call('Page.navigate', url=address)
    tab.wait("document.body?.innerText.includes('Runs in one figure')")
    tab.wait(
      "!!document.querySelector('.stVegaLiteChart canvas, .stVegaLiteChart svg')"
    )
    assert not [x for x in tab.errors if 'network for ' + address not in x]
