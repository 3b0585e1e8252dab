"""The service's listening sockets: bound once by the supervisor, inherited by the workers.

Each worker slot has a socket of its own on the common port (SO_REUSEPORT), so the kernel spreads connections
and no lock is shared. The supervisor keeps them all open: while a worker is being replaced, new connections
wait in its socket's queue instead of being refused.
"""

import contextlib
import socket
import weakref


class AddressInUseError(Exception):
    """The address cannot be bound; the message names it."""


def bind(host: str, port: int, *, shared: bool = False, backlog: int | None = None) -> socket.socket:
    """A bound TCP socket, with SO_REUSEPORT if `shared`, that listens if `backlog` is given.

    Raises AddressInUseError.
    """
    with contextlib.ExitStack() as on_error:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            bound = on_error.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(address)
            if backlog is not None:
                # Before anything is started: two that have bound an address still fight for it here.
                bound.listen(backlog)
        except OSError as error:
            raise AddressInUseError(f"cannot listen on {host} port {port}: {error.strerror}") from error
        on_error.pop_all()
        return bound


def bind_shared(host: str, port: int, count: int, backlog: int) -> list[socket.socket]:
    """`count` listening sockets on one port; port 0 picks a free one. Raises AddressInUseError.

    With SO_REUSEPORT the kernel would let us share the port of another service of the same user. So a socket without
    it goes first; and where two start at one instant, only one gets the name that goes with the port.
    """
    with bind(host, port, backlog=1) as probe:
        chosen = port_of(probe)
        claim = _claim(host, chosen)
    listeners = [bind(host, chosen, shared=True, backlog=backlog) for _ in range(count)]
    weakref.finalize(listeners[0], claim.close)
    return listeners


def _claim(host: str, port: int) -> socket.socket:
    """A name (unix(7), "abstract") that only one process can have at a time."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0target_service {host} {port}")
    except OSError as error:
        claim.close()
        raise AddressInUseError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return claim


def port_of(bound: socket.socket) -> int:
    """The port a socket is bound to."""
    port: int = bound.getsockname()[1]
    return port


def url_of(host: str, bound: socket.socket) -> str:
    """Where clients on this machine reach it."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port_of(bound)}"
