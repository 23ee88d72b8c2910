"""A headless Chromium, driven over its debugging pipe: no package, no open port.

with Browser() as browser:
  browser.open(path)
  browser.value('document.title')
  browser.click(120, 80)
  assert not browser.errors
"""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Any

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')


def program() -> str | None:
  """The browser of this machine; $CHROMIUM first."""
  names = (os.environ.get('CHROMIUM', ''), *NAMES)
  return next((found for x in names if x and (found := shutil.which(x))), None)


class Browser:
  """One tab. Errors of the console and uncaught exceptions collect in `errors`."""

  def __init__(self, width: int = 1200, height: int = 900, timeout: float = 90):
    self.errors: list[str] = []
    self.timeout = timeout
    self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    self._count = 0
    self._session = ''
    self._buffer = b''
    self._size = width, height
    self._start()

  def __enter__(self) -> 'Browser':
    return self

  def __exit__(self, *_: object) -> None:
    self.close()

  def _start(self) -> None:
    down, self._write = os.pipe()
    self._read, up = os.pipe()
    # Chromium reads commands on 3 and answers on 4.
    first, second = (os.dup(x) for x in (down, up))
    script = f'exec 3<&{first} 4>&{second} {first}<&- {second}>&-; exec "$@"'
    self._process = subprocess.Popen(
      [
        *('bash', '-c', script, 'bash', str(program())),
        *('--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars'),
        *('--disable-dev-shm-usage', '--no-first-run', '--disable-extensions'),
        *('--remote-debugging-pipe', f'--user-data-dir={self._profile.name}'),
        f'--window-size={self._size[0]},{self._size[1]}',
        'about:blank',
      ],
      pass_fds=(first, second),
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
      start_new_session=True,
    )
    for fd in (down, up, first, second):
      os.close(fd)
    targets = self.call('Target.getTargets')['targetInfos']
    tab = next(x['targetId'] for x in targets if x['type'] == 'page')
    found = self.call('Target.attachToTarget', targetId=tab, flatten=True)
    self._session = found['sessionId']
    for domain in ('Page', 'Runtime', 'Log', 'Network'):
      self.call(f'{domain}.enable')
    self.resize(*self._size)

  def call(self, method: str, **params: Any) -> dict[str, Any]:
    """A command of the protocol and its answer."""
    self._count += 1
    message: dict[str, Any] = {'id': self._count, 'method': method, 'params': params}
    if self._session:
      message['sessionId'] = self._session
    os.write(self._write, json.dumps(message).encode() + b'\0')
    deadline = time.monotonic() + self.timeout
    while True:
      answer = self._next(deadline)
      if answer.get('id') == self._count:
        if 'error' in answer:
          raise RuntimeError(f'{method}: {answer["error"]}')
        return answer['result']

  def _next(self, deadline: float) -> dict[str, Any]:
    while b'\0' not in self._buffer:
      if time.monotonic() > deadline:
        raise TimeoutError('the browser does not answer')
      part = os.read(self._read, 1 << 20)
      if not part:
        raise RuntimeError('the browser ended')
      self._buffer += part
    text, _, self._buffer = self._buffer.partition(b'\0')
    message = json.loads(text)
    self._note(message.get('method'), message.get('params', {}))
    return message

  def _note(self, method: str | None, params: dict[str, Any]) -> None:
    if method == 'Runtime.exceptionThrown':
      about = params['exceptionDetails']
      said = about.get('exception', {}).get('description', about.get('text'))
      self.errors.append(str(said))
    elif method == 'Log.entryAdded' and params['entry']['level'] == 'error':
      self.errors.append(params['entry']['text'])
    elif method == 'Network.requestWillBeSent':
      url = params['request']['url']
      if not url.startswith(('file:', 'data:', 'blob:', 'about:')):
        self.errors.append(f'asks the network for {url}')
    elif method == 'Runtime.consoleAPICalled' and params['type'] == 'error':
      self.errors.append(str(params['args']))

  def resize(self, width: int, height: int, mobile: bool = False) -> None:
    """The size of the window [css pixels]."""
    self.call(
      'Emulation.setDeviceMetricsOverride',
      width=width,
      height=height,
      deviceScaleFactor=1,
      mobile=mobile,
    )

  def dark(self, on: bool) -> None:
    """Whether the system of the reader is dark."""
    look = {'name': 'prefers-color-scheme', 'value': 'dark' if on else 'light'}
    self.call('Emulation.setEmulatedMedia', features=[look])

  def open(self, path: pathlib.Path) -> None:
    """Opens a page of ours and waits until it is ready."""
    self.call('Page.navigate', url=path.resolve().as_uri())
    self.wait('document.documentElement?.dataset.ready')

  def value(self, code: str) -> Any:
    """What an expression is, promises awaited."""
    found = self.call(
      'Runtime.evaluate', expression=code, returnByValue=True, awaitPromise=True
    )
    if 'exceptionDetails' in found:
      raise RuntimeError(str(found['exceptionDetails']['exception']['description']))
    return found['result'].get('value')

  def wait(self, code: str) -> Any:
    """Until an expression is true."""
    deadline = time.monotonic() + self.timeout
    while not (found := self.value(code)):
      if time.monotonic() > deadline:
        raise TimeoutError(f'{code} stays {found!r}; {self.errors}')
      time.sleep(0.02)
    return found

  def click(self, x: float, y: float) -> None:
    """A click of the mouse at a place of the window [css pixels]."""
    kinds = ('mouseMoved', 'mousePressed', 'mouseReleased')
    for kind in kinds:
      self.call(
        'Input.dispatchMouseEvent',
        type=kind,
        x=x,
        y=y,
        button='none' if kind == 'mouseMoved' else 'left',
        clickCount=0 if kind == 'mouseMoved' else 1,
      )

  def picture(self, path: pathlib.Path, whole: bool = False) -> None:
    """A screenshot, of the window or of the whole page."""
    shot = self.call('Page.captureScreenshot', captureBeyondViewport=whole)
    path.write_bytes(base64.b64decode(shot['data']))

  def close(self) -> None:
    """Ends the browser and all that it started."""
    with contextlib.suppress(ProcessLookupError):
      os.killpg(self._process.pid, signal.SIGKILL)
    self._process.wait()
    for fd in (self._read, self._write):
      os.close(fd)
    self._profile.cleanup()
