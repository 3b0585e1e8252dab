"""Faults that the order service makes itself, told by its admin port (`target_service/faults.py`).

The service knows one list of faults, which a new one replaces; so the faults that go on are sent together. Each also
has an end of its own, a little later than planned: if nobody lives to undo it, it ends all the same.
"""

import asyncio
import contextlib
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from loadtest.faults.maker import FaultError, Maker
from loadtest.faults.messages import ServiceProcess, Token
from loadtest.plan.fault import Fault

ANSWERS_WITHIN_S = 5.0
OUTLIVES_S = 2.0
"""How long after its planned end a fault ends that nobody has undone."""
_KIND = {"stall": "stall-store"}
"""Kinds that the service calls otherwise."""
MET = "orders_faults_total"
"""The service's own count (docs/metrics.md)."""
LARGEST_PAGE_BYTES = 1 << 20
_ADMIN_PORT = "the order service's admin port"
_direct = build_opener(ProxyHandler({}))


class ServiceFaults:
    """The faults that the service makes now.

    While its supervisor is down or stopped nobody hears what is told: that waits until it is back.
    """

    def __init__(self, service: ServiceProcess) -> None:
        self._service = service
        self._active: dict[str, Fault] = {}
        self._met_before: dict[str, float] = {}
        """What the service had counted of each one's kind when it began, unless it may have counted anew since."""
        self._down = 0
        self._is_up = asyncio.Event()
        self._is_up.set()
        self._telling = asyncio.Lock()

    async def begin(self, fault: Fault) -> None:
        """Add one. Raises `FaultError`."""
        self._active[fault.name] = fault
        if (met := await self._count(fault)) is not None:
            self._met_before[fault.name] = met
        await self._tell()

    async def was_met(self, fault: Fault) -> bool:
        """Whether the service counted any since it began; taken for granted where its counts cannot tell."""
        met, before = await self._count(fault), self._met_before.get(fault.name)
        return met is None or before is None or met > before

    async def _count(self, fault: Fault) -> float | None:
        """How many requests, or commits, have met faults of this kind; None where the service cannot be asked."""
        async with self._telling:
            if not self._is_up.is_set():
                return None
            with contextlib.suppress(FaultError):
                return await asyncio.to_thread(count_met, self._service, _kind_of(fault))
        return None

    async def undo(self, name: str) -> None:
        """Take one away; all, if it is not known who began it. Raises `FaultError`."""
        self._active.pop(name, None)
        await self._tell()

    async def goes_down(self) -> None:
        """The supervisor is about to be killed, stopped or told to end; returns when nobody is talking to it."""
        async with self._telling:
            self._down += 1
            self._is_up.clear()
            self._met_before.clear()

    async def up(self) -> None:
        """Returns when no fault of ours keeps the supervisor down."""
        await self._is_up.wait()

    async def is_back(self) -> None:
        """It answers again; a new one is told what goes on. Raises `FaultError`."""
        self._down = max(self._down - 1, 0)
        if not self._down:
            self._is_up.set()
            if self._active:
                await self._tell()

    async def _tell(self) -> None:
        while True:
            await self._is_up.wait()
            async with self._telling:  # what is told last is what counts
                if self._is_up.is_set():
                    drill = [drilled(fault) for fault in self._active.values()]
                    await asyncio.to_thread(put_drill, self._service, drill)
                    return


def _kind_of(fault: Fault) -> str:
    return _KIND.get(fault.kind, fault.kind)


def drilled(fault: Fault) -> dict[str, str | float]:
    """A fault as the service's admin port takes it."""
    return {
        "kind": _kind_of(fault),
        "probability": fault.share,
        "delay_ms": fault.delay_s * 1000,
        "duration_s": fault.for_s + OUTLIVES_S,
        "route": fault.route,
    }


def put_drill(service: ServiceProcess, faults: list[dict[str, str | float]]) -> None:
    """Replace the faults of the service; waits for its answer. Raises `FaultError`."""
    request = Request(  # noqa: S310 - the admin port of our own service
        f"{service.admin_url}/admin/faults",
        data=msgspec.json.encode({"faults": faults}),
        headers={**_authorized(service), "Content-Type": "application/json"},
        method="PUT",
    )
    send(request, _ADMIN_PORT)


def count_met(service: ServiceProcess, kind: str) -> float:
    """How many requests or commits have met faults of a kind since the service was started. Raises `FaultError`."""
    request = Request(f"{service.admin_url}/metrics?name[]={MET}", headers=_authorized(service))  # noqa: S310
    page = send(request, _ADMIN_PORT, LARGEST_PAGE_BYTES)
    try:
        families = list(text_string_to_metric_families(page.decode()))
    except ValueError as error:
        raise FaultError(f"{_ADMIN_PORT} gave no page of metrics: {error}") from error
    samples = [sample for family in families for sample in family.samples]
    return sum(sample.value for sample in samples if sample.labels.get("kind") == kind)


def _authorized(service: ServiceProcess) -> dict[str, str]:
    return {"Authorization": f"Bearer {service.admin_token}"}


def send(request: Request, whom: str, most_bytes: int = 0) -> bytes:
    """Send a request, and wait for its answer, so much of which is read.

    Raises `FaultError` unless that says that it was done.
    """
    try:
        with _direct.open(request, timeout=ANSWERS_WITHIN_S) as answer:
            read: bytes = answer.read(most_bytes)
            return read
    except HTTPError as error:
        said = _words_of(error)
        raise FaultError(f"{whom} answered {error.code}{f': {said}' if said else ''}") from error
    except OSError as error:
        raise FaultError(f"{whom} did not answer: {getattr(error, 'reason', error)}") from error
    except HTTPException as error:
        raise FaultError(f"{whom} gave no answer of HTTP: {type(error).__name__}: {error}") from error


def _words_of(answer: HTTPError) -> str:
    """The beginning of its body, as far as that can be read."""
    with contextlib.suppress(OSError, HTTPException):
        return answer.read(200).decode(errors="replace").strip()
    return ""


class ServiceFault(Maker):
    """One of them."""

    def __init__(self, fault: Fault, faults: ServiceFaults) -> None:
        self._fault = fault
        self._faults = faults

    def check(self) -> None:
        """Nothing more to know: the admin port answered when the service was started."""

    async def begin(self) -> tuple[str, Token]:
        """Have the service make it."""
        await self._faults.begin(self._fault)
        return f"the service met {self._fault.kind} ({self._fault.share:.0%} of what can meet it)", {}

    async def was_met(self) -> bool:
        """Whether the service counted any."""
        return await self._faults.was_met(self._fault)

    async def undo(self, _token: Token) -> None:
        """Have the service make it no more."""
        await self._faults.undo(self._fault.name)
