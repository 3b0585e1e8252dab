"""The leader's side of a plan's faults: starts the process that plays them, follows what it does, and has it undo.

It is a process of its own so that its end is certain: it undoes everything when its input ends, whatever ends us.
Where it ends itself before its time, another is started to undo what it left behind.
"""

import contextlib
import logging
import os
import sys
import time
from typing import Any

import gevent
import msgspec
from gevent import subprocess

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.environment import SERVICE_TOKEN_VARIABLE
from loadtest.faults.messages import (
    Began,
    Begin,
    Ended,
    Failed,
    Order,
    Ready,
    Refused,
    ServiceProcess,
    Token,
    ToLeader,
    Undo,
)
from loadtest.measure.run_result import FaultResult, whole_seconds
from loadtest.plan.fault import NETWORK, Fault
from loadtest.plan.plan_file import Plan

READY_WITHIN_S = 30.0
ENDS_WITHIN_S = 25.0
UNDONE_WITHIN_S = 10.0
SHOWN_S = 10.0
"""How long a fault that was over at once stands among the metrics: somebody scrapes every few seconds."""
COMMAND = [sys.executable, "-m", "loadtest.faults"]

logger = logging.getLogger(__name__)


class FaultPlay:
    """The faults of one run."""

    def __init__(self, config: RunConfig, from_s: float = 0.0) -> None:
        """Start what plays those that begin at `from_s` or later. Raises `ConfigError` where one cannot be played."""
        plan = config.plan
        self.faults = [fault for fault in plan.faults if fault.at_s >= from_s]
        self.results = [_expected(fault, plan) for fault in self.faults]
        self.events: list[tuple[float, str]] = []
        """(t_s, what was done), for the report's time axis."""
        self.notes = [
            f"the fault {fault.name} was before the run was interrupted, and is not judged"
            for fault in plan.faults
            if fault.at_s < from_s
        ]
        self.through: list[str] = []
        self._zero_ns = 0
        self._left: dict[int, Token] = {}
        """Begun, and not yet undone."""
        self._closing = False
        self._order = Order(self.faults, _targets(config, self.faults), _service(config))
        self._player: Any = None  # gevent's Popen has no types
        if self.faults:
            self._player = self._start(self._order)
            self._await_ready(config)
            self._listener = gevent.spawn(self._listen)

    def shown(self, played_s: float) -> list[str]:
        """The names of the faults that go on now; one over at once is shown until a scrape saw it."""
        return [
            fault.name
            for fault in self.results
            if fault.began_s is not None
            and (fault.ended_s is None or played_s < max(fault.ended_s, fault.began_s + SHOWN_S))
        ]

    def begin(self, zero_ns: int) -> None:
        """The plan's time zero, on the monotonic clock, is known."""
        self._zero_ns = zero_ns
        self._say(Begin(zero_ns))

    def undo(self) -> None:
        """End the faults that go on, since the schedule has ended, and wait until they are undone."""
        self._say(Undo())
        deadline = time.monotonic() + UNDONE_WITHIN_S
        while self._left and not self._gone and time.monotonic() < deadline:
            gevent.sleep(0.02)

    def close(self, *, complete: bool) -> None:
        """End the player; `complete` says that the whole plan was played, and so every fault should have been."""
        if self._player is None:
            return
        self._closing = True
        _close_input(self._player)
        with gevent.Timeout(ENDS_WITHIN_S, False):
            self._listener.join()
            self._player.wait()
        for fault in self.results:
            if complete and not fault.problem and (fault.began_s is None or fault.ended_s is None):
                fault.problem = "it was never begun" if fault.began_s is None else "it was never undone"

    @property
    def _gone(self) -> bool:
        return self._player is None or self._player.poll() is not None

    def _start(self, order: Order) -> Any:
        player = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        player.stdin.write(msgspec.json.encode(order) + b"\n")
        player.stdin.flush()
        return player

    def _await_ready(self, config: RunConfig) -> None:
        line = b""
        with gevent.Timeout(READY_WITHIN_S, False):
            line = self._player.stdout.readline()
        said = msgspec.json.decode(line, type=ToLeader) if line else None
        if isinstance(said, Ready):
            self.through = said.through
            return
        self._closing = True
        _close_input(self._player)
        if isinstance(said, Refused):
            raise ConfigError("plan", f"{config.plan_name}: fault {said.fault}: {said.why}")
        raise ConfigError("plan", f"{config.plan_name}: fault: the process that plays faults did not start")

    def _listen(self) -> None:
        for line in self._player.stdout:
            self._take(msgspec.json.decode(line, type=ToLeader))
        if not self._closing:
            self._undo_after_its_death()

    def _take(self, message: ToLeader) -> None:
        match message:
            case Began(number=number, at_ns=at_ns, did=did, token=token):
                self._left[number] = token
                fault = self.results[number]
                fault.began_s, fault.did = self._offset_s(at_ns), did
                self._note(fault.began_s, f"fault {fault.name}: {did}")
            case Ended(number=number, at_ns=at_ns):
                self._left.pop(number, None)
                fault = self.results[number]
                if fault.began_s is None:
                    return  # it failed, and what was done of it has been undone
                fault.ended_s = self._offset_s(at_ns) if self.faults[number].for_s else fault.began_s
                if self.faults[number].for_s:
                    self._note(fault.ended_s, f"fault {fault.name}: over")
            case Failed(number=number, why=why):
                self._left.pop(number, None)
                fault = self.results[number]
                fault.problem = "; ".join(filter(None, (fault.problem, why)))
                self._note(self._offset_s(time.monotonic_ns()), f"fault {fault.name}: {why}")
            case _:
                logger.error("what plays the faults said %s out of turn", type(message).__name__)

    def _undo_after_its_death(self) -> None:
        """What played the faults has ended before its time: have another undo what goes on."""
        for fault in self.results:
            if fault.ended_s is None:
                fault.problem = "the process that plays faults ended before its time"
        if not self._left:
            return
        order = msgspec.structs.replace(self._order, undo=dict(self._left))
        another = self._start(order)
        for line in another.stdout:
            self._take(msgspec.json.decode(line, type=ToLeader))
        _close_input(another)
        another.wait()

    def _say(self, message: Begin | Undo) -> None:
        if self._player is None:
            return
        try:
            self._player.stdin.write(msgspec.json.encode(message) + b"\n")
            self._player.stdin.flush()
        except (OSError, ValueError) as error:
            logger.error("what plays the faults cannot be reached: %s", error)

    def _note(self, t_s: float, text: str) -> None:
        self.events.append((t_s, text))
        logger.info("%s", text)

    def _offset_s(self, at_ns: int) -> float:
        return round((at_ns - self._zero_ns) / 1e9, 6)


def _close_input(player: Any) -> None:
    """Say that nothing more comes; one that has been killed is told in vain."""
    with contextlib.suppress(OSError):  # what was written to it before is still to be sent
        player.stdin.close()


def _expected(fault: Fault, plan: Plan) -> FaultResult:
    """What is known of a fault beforehand."""
    from_s, to_s = fault.period
    counted_from_s, counted_to_s = whole_seconds(from_s, to_s)
    normal = plan.normally_played(plan.curve)
    return FaultResult(
        name=fault.name,
        kind=fault.kind,
        from_s=from_s,
        to_s=to_s,
        planned=normal.between(counted_from_s, counted_to_s),
        load_times=fault.times,
        recovers_within_s=fault.recovers_within_s,
        detected_within_s=fault.detected_within_s,
        least_goodput=fault.least_goodput,
    )


def _targets(config: RunConfig, faults: list[Fault]) -> list[str]:
    return config.addresses if any(fault.kind in NETWORK for fault in faults) else []


def _service(config: RunConfig) -> ServiceProcess | None:
    service = config.service
    if service is None or not service.pid:
        return None
    return ServiceProcess(
        pid=service.pid,
        created_s=service.created_s,
        url=service.url,
        admin_url=service.metrics_url.removesuffix("/metrics"),
        admin_token=os.environ.get(SERVICE_TOKEN_VARIABLE, ""),
        log=service.log,
    )
