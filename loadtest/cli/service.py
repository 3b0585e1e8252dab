"""The order service as a child process, on an embedded database, for a run that names no target."""

import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import IO

from loadtest.cli.children import Child

READY = "ready "
ADMIN = "admin "


class ServiceError(Exception):
    """The order service did not start; the message has the end of its log."""


class Service:
    """A running order service; `url` is where it answers.

    With a `fault_token`, whoever has that can have it make faults.
    """

    def __init__(
        self,
        store: str,
        log: Path,
        *,
        workers: int = 1,
        stock: int | None = None,
        fault_token: str = "",
        inherits: Sequence[int] = (),
        cores: Collection[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        command = [sys.executable, "-m", "target_service", "--host", "127.0.0.1", "--port", "0"]
        command += ["--admin-port", "0", "--workers", str(workers), "--store", store]
        if stock is not None:
            command += ["--stock", str(stock)]
        if fault_token:
            command += ["--enable-faults", "yes"]
        self.store = store
        self.child = Child(
            "order service",
            command,
            log=log,
            environment={
                **(environment or {}),
                **({"ORDERS_ADMIN_TOKEN": fault_token} if fault_token else {}),
            },
            stdout=subprocess.PIPE,
            inherits=inherits,
            cores=cores,
        )
        """Its supervisor, which starts fallen workers again."""
        self.url, self.admin_url = self._wait_until_ready()

    @property
    def metrics_url(self) -> str:
        """Its own Prometheus page."""
        return f"{self.admin_url}/metrics"

    def stop(self) -> int:
        """Let it drain and end; its exit code."""
        code = self.child.stop(timeout_s=30)
        self.child.close()
        return code

    def _wait_until_ready(self) -> tuple[str, str]:
        output: IO[bytes] | None = self.child.process.stdout
        assert output is not None  # noqa: S101 - asked for as a pipe
        admin = ""
        for line in iter(output.readline, b""):
            text = line.decode().strip()
            if text.startswith(ADMIN):
                admin = text.removeprefix(ADMIN)
            elif text.startswith(READY):
                return text.removeprefix(READY), admin
        self.stop()
        raise ServiceError(f"the order service did not start:\n{self.child.last_lines()}")
