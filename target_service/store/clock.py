"""The store's clock: time that passes only while somebody keeps it, and that no wall clock can step.

A wall clock may be set an hour on or back while orders wait for their payment, and machines' clocks differ. So the
store has a clock of its own: one row, two numbers. Each housekeeper reads it now and then, and adds the time since it
last read it, by its own monotonic clock, if no other process moved the clock meanwhile. The stretches of time that
are added never overlap, so the clock never runs fast, however many processes keep it. One that finds it moved leaves
it, and all other housekeeping, to the one that moves it. While no service runs it stands still: no order could be
paid.

`step_ms` is the most that the next tick may add. What is stored bears `now_ms + step_ms`, the latest it can have been
at the next tick; so nothing is ever taken for older than it is, nor for younger by more than two steps.
"""

from typing import NamedTuple

from target_service.store.base import Tick


class Clock(NamedTuple):
    """The clock's row."""

    now_ms: int
    step_ms: int


def tick(clock: Clock, change: Tick) -> Clock | None:
    """The clock after a housekeeper read it; None if another process keeps it."""
    if clock.now_ms != change.seen_ms:
        return None
    added_ms = min(change.elapsed_ms, clock.step_ms)
    # A process that sees the same time twice must find the same step, or two could add the same stretch.
    return Clock(clock.now_ms + added_ms, change.step_ms) if added_ms > 0 else clock
