"""Faults of the service's processes: what is undone of one that could not be begun, or not be undone."""

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from loadtest.faults.messages import ServiceProcess
from loadtest.faults.process_faults import ProcessFault, RunningService
from loadtest.faults.service_faults import ServiceFaults
from loadtest.plan.fault import Fault


def made(kind: str, log: Path) -> tuple[ProcessFault, ServiceFaults]:
    """A fault of a supervisor, whose part this process plays; it is sent no signal."""
    created_s = psutil.Process().create_time()
    service = ServiceProcess(os.getpid(), created_s, "http://127.0.0.1:1", "http://127.0.0.1:2", "", str(log))
    running, told = RunningService(service), ServiceFaults(service)
    fault = Fault(name=kind, kind=kind, at_s=3, for_s=1, process="supervisor")
    return ProcessFault(fault, running, told), told


def test_a_stop_that_was_never_sent_has_nothing_to_undo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[signal.Signals] = []
    monkeypatch.setattr("loadtest.faults.process_faults._send", lambda _process, what: sent.append(what))
    fault, _ = made("stop", tmp_path / "log")
    asyncio.run(fault.undo({}))
    assert sent == []


def test_a_supervisor_that_cannot_be_started_again_keeps_no_other_fault_waiting_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault, told = made("kill", tmp_path / "no such folder" / "log")
    monkeypatch.setattr("loadtest.faults.process_faults._runs", lambda _process: False)

    async def scene() -> None:
        await told.goes_down()
        with pytest.raises(FileNotFoundError):
            await fault.undo({"command": ["true"]})
        async with asyncio.timeout(30):
            await told.up()

    asyncio.run(scene())
