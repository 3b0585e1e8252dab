"""The highest rate that a host's owner agreed to, held before any traffic."""

from loadtest.plan.allowed_host import allowed_host, allowed_rate
from loadtest.plan.plan_error import PlanError
from loadtest.plan.plan_file import Plan
from loadtest.plan.target_address import target_address


def agreed_rate(plan: Plan, host: str, port: int | None = None) -> float | None:
    """Requests a second that a host's owner agreed to, None if nothing is listed; without a port, at any of its."""
    listed = [(allowed_host(name), rate) for name, rate in plan.targets.items()]
    return allowed_rate(listed, host, port)


def check_target_rate(plan: Plan, url: str) -> None:
    """Raise `PlanError` if the plan would send its target more requests a second than `[targets]` allows.

    `url` is one that `target_address` reads. A scenario counts as one request an arrival: journeys of several send
    more, and a limit should allow for them.
    """
    _, host, port = target_address(url)
    allowed = agreed_rate(plan, host, port)
    if allowed is None:
        return
    _, peak_rps = plan.arrivals_profile().peak
    if peak_rps > allowed:
        raise PlanError(
            f'plan {plan.name}: targets."{host}": at most {allowed:,.0f} requests a second are allowed there, '
            f"and the plan peaks at {peak_rps:,.0f}; lower --peak-tps"
        )
