"""Plays every shipped plan in a second each, in this one process: `python -m tests.system.squeezed_plans URL`.

Prints for each what became of its arrivals, as JSON. Dispatcher, users and clients are those of a run; there is no
fleet, no report and no ledger, which other tests are about.
"""

import json
import sys

import locust  # noqa: F401 - first, since it patches what blocks

# isort: split
import gevent
from locust.env import Environment

from loadtest.clock import SystemClock
from loadtest.configuration.scenario_classes import scenario_classes
from loadtest.drive.open_loop import OpenLoop
from loadtest.drive.served_users import count_in, served_users
from loadtest.drive.start import ArrivalStream, Assignment
from loadtest.drive.timer import system_timer
from loadtest.measure.second import OpenSeconds, Second, sum_of
from loadtest.plan.plan_file import Plan, shipped_plans

LENGTH_S, ARRIVALS, USERS = 1.0, 120, 8
NS = 1_000_000_000
MOST_S = 60.0


def squeezed(name: str) -> Plan:
    """A shipped plan, whole, in `LENGTH_S` and with about `ARRIVALS` arrivals."""
    plan = Plan.load(name)
    plan = plan.with_overrides(time_scale=plan.time_scale * LENGTH_S / plan.duration_s)
    return plan.with_overrides(peak_tps=plan.peak_tps * ARRIVALS / sum(plan.scenario_arrivals()))


def played(plan: Plan, url: str) -> Second:
    """What became of the plan's arrivals."""
    classes = scenario_classes(plan, None)
    for user_class in classes:
        user_class.host = url
    environment = Environment(user_classes=classes, host=url)
    loop = OpenLoop(
        transactions=[scenario.transaction for scenario in plan.scenarios],
        patience_ns=round(MOST_S * NS),
        clock=SystemClock(),
        timer=system_timer,
    )
    loop.stood_still_ns = round(MOST_S * NS)  # as late as this machine lets it be: nothing is dropped
    with served_users(environment, loop, classes, USERS), gevent.Timeout(MOST_S):
        while loop.idle < USERS * len(classes):
            gevent.sleep(0.01)
        stream = ArrivalStream(plan.mix().arrivals, round(plan.duration_s * NS))
        stream.assign(Assignment(0, 1, 0, 0))
        stream.extend(round(plan.duration_s * NS))
        open_seconds = OpenSeconds(SystemClock().now_ns())
        count_in(environment, open_seconds)
        loop.begin(stream, open_seconds)
        while not loop.drained():
            gevent.sleep(0.02)
        loop.close()
    return sum_of(open_seconds.take())


def main() -> None:
    """Play all of them at the address on the command line."""
    for name in shipped_plans():
        plan = squeezed(name)
        total = played(plan, sys.argv[1])
        errors = {f"{m} {n}": e.errors for (m, n), e in total.endpoints.items() if e.errors}
        told = {
            "plan": name,
            "planned": sum(plan.mix().counts(0, 1)),
            "ok": total.ok,
            "errors": errors,
            "endpoints": sorted(f"{m} {n}" for m, n in total.endpoints),
        }
        print(json.dumps(told), flush=True)  # noqa: T201 - its result


if __name__ == "__main__":
    main()
