"""Plays the faults of one run: each begins at its instant, lasts, and is undone, whatever happens."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable

import msgspec

from loadtest.faults.hook import HookFault
from loadtest.faults.machine_faults import CpuFault, DiskFault
from loadtest.faults.maker import FaultError, Maker
from loadtest.faults.messages import (
    Began,
    Begin,
    Ended,
    Failed,
    Order,
    Ready,
    Refused,
    Token,
    ToLeader,
    ToPlayer,
    Undo,
)
from loadtest.faults.network_faults import Network, NetworkFault
from loadtest.faults.process_faults import ProcessFault, RunningService
from loadtest.faults.service_faults import ServiceFault, ServiceFaults
from loadtest.plan.fault import HOOK, NETWORK, PROCESS, SERVICE, Fault

UNMET = "nothing met it, so it proves nothing"

Say = Callable[[ToLeader], None]


class Traffic(Maker):
    """A fault that is in the plan's curve, or in nobody's hands: there is nothing to do."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def check(self) -> None:
        """Anything can be done by nobody."""

    async def begin(self) -> tuple[str, Token]:
        """Say what the curve does now."""
        if self._fault.times > 1:
            return f"the plan sent {self._fault.times:g} times its own rate", {}
        return "its period began", {}

    async def undo(self, _token: Token) -> None:
        """Nothing was done."""


def _reason_of(error: Exception) -> str:
    """Why a fault failed: in a maker's own words, or by an error that it did not expect."""
    return str(error) if isinstance(error, FaultError) else f"{type(error).__name__}: {error}"


async def _sleep_until(at_ns: float) -> None:
    # More than once: uvloop's timers are whole milliseconds, and end up to half of one early.
    while (left_ns := at_ns - time.monotonic_ns()) > 0:
        await asyncio.sleep(left_ns / 1e9)


class Player:
    """Plays an order; `say` tells the leader."""

    def __init__(self, order: Order, say: Say) -> None:
        self._order = order
        self._say = say
        self._network = Network(order.targets)
        self._service: RunningService | None = None
        self._service_faults = ServiceFaults(order.service) if order.service is not None else None
        self._tasks: list[asyncio.Task[None]] = []
        self._steps: dict[asyncio.Task[bool], int] = {}
        self._makers: list[Maker] = []
        self._begun: dict[int, tuple[Maker | None, Token]] = {}

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Do what the leader says, until it says no more."""
        if self._order.undo:
            await self._undo_what_was_left()
            return
        if not await self._get_ready():
            return
        while line := await reader.readline():
            match msgspec.json.decode(line, type=ToPlayer):
                case Begin(zero_ns=zero_ns):
                    self._begin(zero_ns)
                case Undo():
                    await self._undo_all()

    async def close(self) -> None:
        """Undo what is still going on, and end what was started."""
        await self._undo_all()
        self._network.close()
        if self._service is not None:
            await asyncio.to_thread(self._service.close)

    async def _get_ready(self) -> bool:
        """Check every fault and start what has to be there before traffic; whether all can be done."""
        through: list[str] = []
        name = ""
        try:
            for fault in self._order.faults:
                name = fault.name
                maker = self._maker(fault)
                maker.check()
                self._makers.append(maker)
            if any(fault.kind in NETWORK for fault in self._order.faults):
                through = await self._network.start()
        except FaultError as error:
            self._say(Refused(name, str(error)))
            return False
        self._say(Ready(through))
        return True

    def _maker(self, fault: Fault) -> Maker:
        """What makes such a fault. Raises `FaultError`."""
        service = self._order.service
        if fault.kind in (*SERVICE, *PROCESS):
            return self._of_service(fault)
        if fault.kind in NETWORK:
            return NetworkFault(fault, self._network)
        if fault.kind == HOOK:
            return HookFault(fault)
        if fault.kind == "cpu":
            return CpuFault(fault, service.pid if service is not None else None)
        return DiskFault(fault) if fault.kind == "disk-full" else Traffic(fault)

    def _of_service(self, fault: Fault) -> Maker:
        service = self._order.service
        if service is None or self._service_faults is None:
            raise FaultError("this run did not start the order service")
        if fault.kind in SERVICE:
            return ServiceFault(fault, self._service_faults)
        if self._service is None:
            self._service = RunningService(service)
        return ProcessFault(fault, self._service, self._service_faults)

    def _begin(self, zero_ns: int) -> None:
        for number in range(len(self._order.faults)):
            self._tasks.append(asyncio.create_task(self._play(number, zero_ns)))

    async def _play(self, number: int, zero_ns: int) -> None:
        """One fault from its beginning to its end."""
        fault = self._order.faults[number]
        await _sleep_until(zero_ns + fault.at_s * 1e9)
        was_met = True
        if await self._whole(number, self._begin_one(number)):
            await _sleep_until(zero_ns + fault.end_s * 1e9)
            was_met = await self._was_met(number)
        await self._whole(number, self._undo(number))
        if not was_met:
            self._say(Failed(number, UNMET))

    async def _was_met(self, number: int) -> bool:
        """Whether anything has met a fault; also where its maker breaks, since that is told already."""
        try:
            return await self._makers[number].was_met()
        except Exception as error:
            self._say(Failed(number, f"whether anything met it cannot be told: {_reason_of(error)}"))
            return True

    async def _whole(self, number: int, step: Coroutine[None, None, bool]) -> bool:
        """Take a fault's step, which is never left half done: who cancels us waits for it (`_undo_all`)."""
        task = asyncio.create_task(step)
        self._steps[task] = number
        task.add_done_callback(self._steps.pop)
        return await asyncio.shield(task)

    async def _begin_one(self, number: int) -> bool:
        """Make a fault happen; whether it did."""
        maker, at_ns = self._makers[number], time.monotonic_ns()
        self._begun[number] = (maker, {})  # a part of it may be done even if it fails
        try:
            did, token = await maker.begin()
        except Exception as error:
            self._say(Failed(number, _reason_of(error)))
            return False
        self._begun[number] = (maker, token)
        self._say(Began(number, at_ns, did, token))
        return True

    async def _undo(self, number: int) -> bool:
        """Undo a fault that has begun; whether nothing of it is left."""
        maker, token = self._begun.pop(number, (None, {}))
        if maker is None:
            return True
        try:
            await maker.undo(token)
        except Exception as error:  # whatever it is, the other faults are still to be undone
            self._say(Failed(number, f"it could not be undone: {_reason_of(error)}"))
            return False
        self._say(Ended(number, time.monotonic_ns()))
        return True

    async def _undo_all(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        under_way = set(self._steps.values())
        for number in list(self._begun):  # a step under way may wait for a service that is down
            if number not in under_way and self._order.faults[number].kind in PROCESS:
                await self._undo(number)
        await asyncio.gather(*self._steps, return_exceptions=True)
        for number in self._processes_first(self._begun):
            await self._undo(number)

    def _processes_first(self, numbers: Iterable[int]) -> list[int]:
        """Numbers of faults: a service that is down has to be back before it can be told anything."""
        return sorted(numbers, key=lambda number: self._order.faults[number].kind not in PROCESS)

    async def _undo_what_was_left(self) -> None:
        """Undo what a player before this one began."""
        for number in self._processes_first(self._order.undo):
            token = self._order.undo[number]
            try:
                self._begun[number] = (self._maker(self._order.faults[number]), token)
                await self._undo(number)
            except Exception as error:
                self._say(Failed(number, f"it could not be undone: {_reason_of(error)}"))
