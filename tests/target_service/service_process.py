"""The real service as a child process, and a small HTTP client for it, for system tests."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "target_service"]


class Answer(NamedTuple):
    """An HTTP response, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


class Service:
    """A running service."""

    def __init__(self, process: "subprocess.Popen[str]", admin_url: str, url: str, log: Path) -> None:
        self.process = process
        self.admin_url = admin_url
        self.url = url
        self.log = log

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the API."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def worker_pids(self) -> list[int]:
        """The workers that run now."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def order(
        self, key: str | None = None, sku: str = "sku-000001", quantity: int = 1, **headers: str
    ) -> Answer:
        """Create an order."""
        body = {"buyer_id": 7, "lines": [{"sku": sku, "quantity": quantity}]}
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.ask("POST", "/orders", json.dumps(body), **headers)

    def ask(self, method: str, path: str, body: str | bytes | None = None, **headers: str) -> Answer:
        """One request on a connection of its own; underscores in header names stand for dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named.setdefault("Content-Type", "application/json")
        return ask(self.url, method, path, body, named)

    def metric(self, series: str) -> float:
        """The value of one series, as `/metrics` writes it."""
        text = ask(self.admin_url, "GET", "/metrics", None, {"Cache-Control": "no-cache"}).body.decode()
        values = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.rsplit(" ", 1)[0] == series]
        assert len(values) == 1, f"{series} is {len(values)} times in:\n{text}"
        return float(values[0])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(90)


def ask(
    url: str, method: str, path: str, body: str | bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    """One HTTP request on a connection of its own."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    with contextlib.closing(HTTPConnection(parts.hostname, parts.port, timeout=90)) as connection:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())


@contextlib.contextmanager
def running(folder: Path, *flags: str, store: str | None = None, **environment: str) -> Iterator[Service]:
    """Start the service on free ports with a store in `folder`; kill what is left of it afterwards."""
    log = folder / "service.log"
    command = [*COMMAND, "--port", "0", "--admin-port", "0", *flags]
    command += ["--store", store or f"sqlite:///{folder}/orders.db"]
    with log.open("a") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | environment
        )
    try:
        assert process.stdout is not None
        said = [process.stdout.readline().split(), process.stdout.readline().split()]
        assert [words[:1] for words in said] == [["admin"], ["ready"]], log.read_text()
        yield Service(process, said[0][1], said[1][1], log)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
