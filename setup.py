"""Notes the commit in a package that pip builds; all else is in pyproject.toml.

python setup.py build_py --build-lib DIR
"""

import pathlib
import sys

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from dreamerv3.base import version


class BuildStamped(build_py):
  """Adds git_sha.txt beside version.py, so that provenance knows the code."""

  def run(self) -> None:
    """Builds, then stamps; not where the files stay in the checkout."""
    super().run()
    sha, dirty = version.code()
    if dirty is None or getattr(self, 'editable_mode', False):
      return
    stamp = pathlib.Path(self.build_lib, version.STAMP.relative_to(ROOT))
    stamp.write_text(sha + ('-dirty' if dirty else '') + '\n')


setup(cmdclass={'build_py': BuildStamped})
