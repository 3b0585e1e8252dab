"""Which cores the load generator and the order service run on, where a run starts both on one machine.

Left to the scheduler, a busy service and the generator take turns on each other's core, and every turn makes arrivals
late. Where there are enough cores, each side keeps its own. The generator has half of them at most, since the service
does more for a request than whoever sends it.
"""

import os
from collections.abc import Collection
from typing import NamedTuple


class Cores(NamedTuple):
    """The cores of both sides, as the system numbers them; none at all where they are not divided."""

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
    return divide(os.sched_getaffinity(0), workers)


def bind(cores: Collection[int]) -> None:
    """Bind the calling process, and whatever it starts, to `cores`; none means that nothing is asked for."""
    if cores:
        os.sched_setaffinity(0, cores)
