"""Ports of loopback for processes that are told theirs: they listen seconds after it was chosen.

A port that the kernel chose and got back may by then be anybody's: every connection of every test gets one from
that range. So these lie outside it. Tests that run side by side (pytest-xdist's workers) choose from slices of their
own; each begins somewhere else in its slice, for other sessions on this machine.
"""

import contextlib
import itertools
import os
import random
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path

LOWEST, HIGHEST = 10_000, 65_535
"""Below lie the ports that programs have by default, and those of the examples and of our own commands."""
SLICES = 32
OF_THE_KERNEL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A port that nobody uses now, and that nobody gets without asking for it."""
    return next(port for port in _mine() if _is_free(port))


@cache
def _mine() -> Iterator[int]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", f"gw{SLICES - 1}")
    ports = slice_of(int(worker.removeprefix("gw")), *_of_the_kernel())
    begin = random.SystemRandom().randrange(len(ports))
    return itertools.cycle([*ports[begin:], *ports[:begin]])


def slice_of(worker: int, first_of_kernel: int, last_of_kernel: int) -> list[int]:
    """The ports of one of the workers, given the range from which the kernel chooses."""
    all_ports = range(LOWEST, HIGHEST + 1)
    ports = [port for port in all_ports if not first_of_kernel <= port <= last_of_kernel]
    # Machines that make many connections often give the kernel all of them.
    return (ports if len(ports) > SLICES else list(all_ports))[worker % SLICES :: SLICES]


def _of_the_kernel() -> tuple[int, int]:
    with contextlib.suppress(OSError):
        first, last = map(int, OF_THE_KERNEL.read_text().split())
        return first, last
    return 32_768, 60_999


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("", port))  # of every address: some are told to listen on all
        return True
    return False
