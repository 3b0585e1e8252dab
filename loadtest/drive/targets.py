"""The guard rail: which hosts this process may send to, and what their names resolved to.

A load generator pointed at the wrong host is an attack, so a connection is made to loopback only, unless
somebody who can start the process listed the host: the plan's `[targets]`, `--allow-host`, or
`LOADTEST_ALLOW_HOSTS` (comma-separated) for plain Locust. It is asked wherever a connection is made, so
redirects pass it too. A host that is not listed is refused before its name is looked up: nothing leaves the
machine. A host listed with a port (`web:8080`, `http://web:8080`) may be loaded at that port alone.

Names are resolved once and pinned: a change of DNS in the middle of a run neither redirects the load nor
adds a look-up to a request's time. Connections to a name with several addresses are spread round robin.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any, NamedTuple

from loadtest.drive.errors import HostNotAllowed
from loadtest.environment import ALLOW_HOSTS_VARIABLE
from loadtest.place import is_loopback
from loadtest.plan.allowed_host import allowed_host
from loadtest.plan.target_address import target_address


class Address(NamedTuple):
    """Where a socket connects to: the family and what `connect` takes."""

    family: int
    sockaddr: tuple[Any, ...]


Resolve = Callable[[str, int], Sequence[Address]]


def resolve_by_system(host: str, port: int) -> list[Address]:
    """Resolve with the system's resolver (gevent's, where Locust patched it). Raises `socket.gaierror`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [Address(family, sockaddr) for family, _, _, _, sockaddr in found]


class AllowedTargets:
    """The hosts that may be loaded, and their pinned addresses.

    `max_tps` maps a host as `allowed_host` reads it to the highest rate its owner agreed to, in transactions a
    second; loopback is always allowed. `resolve` is for tests. Raises `PlanError` for what is no such host.
    """

    def __init__(
        self, max_tps: Mapping[str, float] | None = None, resolve: Resolve = resolve_by_system
    ) -> None:
        self._max_tps = dict(max_tps or {})
        self._hosts = [allowed_host(written) for written in self._max_tps]
        self._resolve = resolve
        self._looking_up = threading.Lock()
        self._pinned: dict[tuple[str, int], cycle[Sequence[Address]]] = {}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "AllowedTargets":
        """Loopback and the hosts that `LOADTEST_ALLOW_HOSTS` lists, without a limit to their rate.

        Raises `PlanError` for what is no host.
        """
        hosts = [host.strip() for host in environ.get(ALLOW_HOSTS_VARIABLE, "").split(",") if host.strip()]
        for host in hosts:
            allowed_host(host, ALLOW_HOSTS_VARIABLE)
        return cls(dict.fromkeys(hosts, float("inf")))

    @property
    def listed(self) -> dict[str, float]:
        """The hosts beyond loopback that may be loaded, with their highest rates."""
        return dict(self._max_tps)

    def check(self, host: str, port: int | None = None) -> None:
        """Raise `HostNotAllowed` unless `host` is listed, a loopback address or `localhost`. No look-up.

        Without a port the host alone is asked for.
        """
        if self._is_listed(host, port) or is_loopback(host):
            return
        ports = sorted(entry.port for entry in self._hosts if entry.covers(host, None) and entry.port)
        if ports:
            raise HostNotAllowed(
                f"host {host!r} is allowed at port {' and '.join(map(str, ports))} only, not at {port}; "
                f"listed without a port, it is allowed at every port"
            )
        raise HostNotAllowed(
            f"host {host!r} is not allowed: only loopback is, unless the plan's [targets], --allow-host "
            f"or {ALLOW_HOSTS_VARIABLE} lists it"
        )

    def _is_listed(self, host: str, port: int | None) -> bool:
        return any(entry.covers(host, port) for entry in self._hosts)

    def next_addresses(self, host: str, port: int) -> Sequence[Address]:
        """The addresses to try for the next connection to `host`; each call begins one address further.

        Raises `HostNotAllowed`; `socket.gaierror` while the name does not resolve.
        """
        pinned = self._pinned.get((host, port))
        if pinned is None:
            with self._looking_up:  # ten thousand users may come at once
                pinned = self._pinned.get((host, port)) or cycle(_rotations(self._look_up(host, port)))
                self._pinned[(host, port)] = pinned
        return next(pinned)

    def spread(self, url: str, targets: Sequence[str]) -> None:
        """Send what is meant for `url` to the hosts and ports of all `targets` (URLs), in turn by connection.

        The Host header stays that of `url`. Raises `HostNotAllowed`, `socket.gaierror`, or `ValueError` for a
        target without a host.
        """
        addresses: list[Address] = []
        for target in targets:
            host, port = _host_and_port(target)
            addresses += self._look_up(host, port)
        self._pinned[_host_and_port(url)] = cycle(_rotations(addresses))

    def _look_up(self, host: str, port: int) -> Sequence[Address]:
        self.check(host, port)
        addresses = self._resolve(host, port)
        if not self._is_listed(host, port):
            for address in addresses:
                self.check(str(address.sockaddr[0]))  # `localhost` that is not: a hosts file gone wrong
        return addresses


def _host_and_port(url: str) -> tuple[str, int]:
    _, host, port = target_address(url)
    return host, port


def _rotations(addresses: Sequence[Address]) -> list[Sequence[Address]]:
    return [(*addresses[n:], *addresses[:n]) for n in range(len(addresses))]


_process_wide: AllowedTargets | None = None


def allowed_targets() -> AllowedTargets:
    """The guard rail of this process; until it is set, what the environment allows. Raises `PlanError`."""
    global _process_wide  # noqa: PLW0603 - a guard rail per user class could be forgotten; there is one a process
    if _process_wide is None:
        _process_wide = AllowedTargets.from_environment()
    return _process_wide


def set_allowed_targets(targets: AllowedTargets) -> None:
    """Replace the guard rail of this process: connections made from now on pass the new one."""
    global _process_wide  # noqa: PLW0603 - see `allowed_targets`
    _process_wide = targets
