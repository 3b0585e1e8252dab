"""Locust as its users pace it: FastHttpUser with `constant_throughput`."""

from typing import Any

from locust import FastHttpUser, constant_throughput, events, task


def _options(parser: Any, **_: Any) -> None:
    parser.add_argument("--each-per-s", type=float, default=1.0, help="requests a second of one user")


events.init_command_line_parser.add_listener(_options)


class Caller(FastHttpUser):
    """Asks for one page, so often a second."""

    def wait_time(self) -> float:
        """As `constant_throughput`, at the rate that the command line says."""
        if self._pace is None:
            self._pace = constant_throughput(self.environment.parsed_options.each_per_s)
        return float(self._pace(self))

    _pace: Any = None

    @task
    def call(self) -> None:
        """One request."""
        self.client.get("/")
