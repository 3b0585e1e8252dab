"""Which cores the load generator and the order service run on, where a run starts both on one machine.

Left to the scheduler, a busy service and the generator take turns on each other's core. Where the generator may not
preempt, every turn makes arrivals late; so each side keeps its own cores then. Where it may (short time slices, see
`plugin.time_slice`), two or three cores are shared: the generator needs a tenth of one, and the service all it can
get. With four and more each side has its own in any case; the generator has half of them at most, since the service
does more for a request than whoever sends it.
"""

import os
import platform
import re
import sys
from collections.abc import Collection
from typing import Final, NamedTuple

FEWEST_DIVIDED: Final = 4
"""Cores from which on each side has its own, though they could be shared."""
SHORT_SLICES_SINCE: Final = (6, 12)
"""Linux's release."""


class Cores(NamedTuple):
    """The cores of the generator and of the service, as the system numbers them; empty where they are not divided."""

    generator: frozenset[int] = frozenset()
    service: frozenset[int] = frozenset()


def divide(available: Collection[int], workers: int) -> Cores:
    """A core for each of the generator's `workers`, and the others for the service.

    Nothing is divided where the service would have fewer cores than the generator.
    """
    numbered = sorted(available)
    if workers < 1 or len(numbered) < 2 * workers:
        return Cores()
    return Cores(generator=frozenset(numbered[-workers:]), service=frozenset(numbered[:-workers]))


def divide_machine(workers: int) -> Cores:
    """Divide the cores that this process may use; undivided where the system cannot bind a process to cores."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores()
    available = os.sched_getaffinity(0)
    shared = len(available) < FEWEST_DIVIDED and grants_short_slices()
    return Cores() if shared else divide(available, workers)


def usable_cores() -> int:
    """How many cores this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    return len(os.sched_getaffinity(0))


def grants_short_slices() -> bool:
    """Whether this kernel lets a process ask for a time slice of its own, as a run's workers do."""
    numbers = re.match(r"(\d+)\.(\d+)", platform.release())
    return (
        sys.platform == "linux"
        and numbers is not None
        and tuple(map(int, numbers.groups())) >= SHORT_SLICES_SINCE
    )


def bind(cores: Collection[int]) -> None:
    """Bind the calling process, and whatever it starts, to `cores`; none means that nothing is asked for."""
    if cores:
        os.sched_setaffinity(0, cores)
