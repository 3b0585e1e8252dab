"""Faults of the network between generator and service, made by the proxies that stand there."""

import asyncio

from loadtest.faults.maker import FaultError, Maker
from loadtest.faults.messages import Token
from loadtest.faults.proxy import Impairment, start_proxy
from loadtest.plan.fault import Fault
from loadtest.plan.target_address import target_address


class Network:
    """The proxies of a run, and the faults that go on in them."""

    def __init__(self, targets: list[str]) -> None:
        self._targets = targets
        self._servers: list[asyncio.Server] = []
        self._active: list[Fault] = []
        self.impairment = Impairment()

    async def start(self) -> list[str]:
        """Listen; the addresses that stand for the targets. Raises `FaultError`."""
        through = []
        for target in self._targets:
            _, host, port = target_address(target)
            try:
                server = await start_proxy(host, port, self.impairment)
            except OSError as error:
                raise FaultError(f"no proxy to {target} can listen ({error.strerror})") from error
            self._servers.append(server)
            through.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        return through

    def close(self) -> None:
        """Listen no more, and reset what stands."""
        for server in self._servers:
            server.close()
        for link in list(self.impairment.links):
            link.abort()

    def begin(self, fault: Fault) -> str:
        """Add a fault; what was done."""
        self._active.append(fault)
        self._set()
        many = len(self.impairment.links)
        if fault.kind == "loss":
            return f"{self.impairment.reset_share(fault.share)} of {many} connections were reset"
        if fault.kind == "half-open":
            return f"{self.impairment.silence_share(fault.share)} of {many} connections became silent"
        if fault.kind == "latency":
            return f"the network took {fault.delay_s * 1000:g} ms longer"
        return f"the network let {fault.bytes_per_s:,.0f} bytes a second pass"

    def undo(self, fault: Fault) -> None:
        """Take it away."""
        if fault in self._active:
            self._active.remove(fault)
        self._set()
        if not self.impairment.half_open:
            self.impairment.reset_silent()

    def _set(self) -> None:
        of = {
            kind: [f for f in self._active if f.kind == kind]
            for kind in ("latency", "bandwidth", "loss", "half-open")
        }
        self.impairment.latency_s = sum(fault.delay_s for fault in of["latency"])
        self.impairment.bytes_per_s = min((fault.bytes_per_s for fault in of["bandwidth"]), default=0.0)
        self.impairment.loss = max((fault.share for fault in of["loss"]), default=0.0)
        self.impairment.half_open = max((fault.share for fault in of["half-open"]), default=0.0)


class NetworkFault(Maker):
    """One of them."""

    def __init__(self, fault: Fault, network: Network) -> None:
        self._fault = fault
        self._network = network
        self._met_before = 0

    def check(self) -> None:
        """Nothing more to know: the proxies listen."""

    async def begin(self) -> tuple[str, Token]:
        """Have the proxies make it."""
        self._met_before = self._network.impairment.met[self._fault.kind]
        return self._network.begin(self._fault), {}

    async def was_met(self) -> bool:
        """Whether it changed what became of a connection, or of bytes."""
        return self._network.impairment.met[self._fault.kind] > self._met_before

    async def undo(self, _token: Token) -> None:
        """Have the proxies make it no more; after another player has died, its proxies have died with it."""
        self._network.undo(self._fault)
