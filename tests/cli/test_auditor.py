"""`--auditor` is checked by the command itself, in its own process, before any traffic."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audit.test_run_audit import AUDITOR


@pytest.fixture
def target() -> Iterator[str]:
    """The address of a server that answers."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_class_that_cannot_audit_is_refused_by_the_command_without_importing_locust(
    target: str, tmp_path: Path
) -> None:
    (tmp_path / "own_books.py").write_text(AUDITOR, encoding="utf-8")
    asked = ["run", "smoke", "--target", target, "--auditor", "own_books:Half"]
    command = [sys.executable, "-X", "importtime", "-m", "loadtest.cli.main", *asked]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert (done.returncode, said[0].split(":")[:3]) == (2, ["error", " --auditor", " own_books"]), (
        done.stderr
    )
    assert "| locust" not in done.stderr, "Locust patches modules that are in use by then"
