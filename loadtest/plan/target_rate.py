"""The highest rate that a host's owner agreed to, held before any traffic."""

from loadtest.plan.allowed_host import allowed_host, allowed_rate
from loadtest.plan.plan_error import PlanError
from loadtest.plan.plan_file import Plan
from loadtest.plan.target_address import target_address


def check_target_rate(plan: Plan, url: str) -> None:
    """Raise `PlanError` if the plan would send its target more requests a second than `[targets]` allows.

    `url` is one that `target_address` reads. A scenario counts as one request an arrival: journeys of several send
    more, and a limit should allow for them.
    """
    _, host, port = target_address(url)
    listed = [(allowed_host(name), rate) for name, rate in plan.targets.items()]
    allowed = allowed_rate(listed, host, port)
    _, peak_rps = plan.arrivals_profile().peak
    if allowed is not None and peak_rps > allowed:
        raise PlanError(
            f'plan {plan.name}: targets."{host}": at most {allowed:,.0f} requests a second are allowed there, '
            f"and the plan peaks at {peak_rps:,.0f}; lower --peak-tps"
        )
