"""Keeps compiled templates beside the templates, as Python keeps compiled modules: in `__pycache__`.

To compile the report's template takes a tenth of a second of a core, and each run's end needs it twice. Who can write
there can write our modules too, so what is there is trusted as they are. Jinja itself tells a file of another Python,
or of a template that has changed since, and compiles anew.
"""

import contextlib
import pickle
import sys
import tempfile
import zlib
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

FOLDER = Path(__file__).parent / "templates" / "__pycache__"


class CompiledTemplates(jinja2.BytecodeCache):
    """Compiled templates as files in `folder`; where none can be written, each process compiles for itself.

    `settings` is the source that sets up Jinja: what it compiles depends on that, and on Jinja's release.
    """

    def __init__(self, settings: Path, folder: Path = FOLDER) -> None:
        self._folder = folder
        compiler = f"{jinja2.__version__}-{zlib.crc32(settings.read_bytes()):08x}"
        self._suffix = f"{sys.implementation.cache_tag}-jinja-{compiler}.pyc"

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill `bucket` with what was kept of its template; leave it empty where that is nothing of use."""
        unusable = (OSError, EOFError, ValueError, pickle.UnpicklingError)
        with contextlib.suppress(*unusable), self._path(bucket).open("rb") as file:
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template, in one step: others may read meanwhile."""
        if sys.dont_write_bytecode:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                try:
                    bucket.write_bytecode(file)
                    file.flush()
                    Path(file.name).replace(self._path(bucket))
                except OSError:
                    Path(file.name).unlink(missing_ok=True)

    def _path(self, bucket: Bucket) -> Path:
        return self._folder / f"{bucket.key}.{self._suffix}"
