"""A master that is stopped before anything has begun."""

import signal
from typing import Any

import pytest
from locust.argument_parser import LocustArgumentParser
from locust.runners import MasterRunner

from loadtest.exit_codes import ExitCode
from loadtest.fleet.relayed import routes_of
from loadtest.plugin.leading import Leading


def test_a_master_that_is_stopped_before_its_run_begins_lets_workers_and_relays_go() -> None:
    runner: Any = MasterRunner.__new__(MasterRunner)
    told: list[tuple[str, str]] = []
    runner.greenlet = None
    runner.quit = lambda: told.append(("quit", "every worker"))
    runner.send_message = lambda kind, _data, name: told.append((kind, name))
    routes_of(runner).relays.add("relay_1")
    with pytest.raises(SystemExit) as ended:
        Leading(LocustArgumentParser(), None)._on_signal(runner, signal.SIGTERM)
    assert ended.value.code == ExitCode.ABORTED
    assert told == [("quit", "relay_1"), ("quit", "every worker")]
