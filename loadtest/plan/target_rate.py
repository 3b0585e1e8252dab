"""The highest rate that a host's owner agreed to, held before any traffic."""

from urllib.parse import urlsplit

from loadtest.plan.allowed_host import allowed_host, allowed_rate
from loadtest.plan.plan_error import PlanError
from loadtest.plan.plan_file import Plan

_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_target_rate(plan: Plan, url: str) -> None:
    """Raise `PlanError` if the plan would send its target more requests a second than `[targets]` allows.

    A scenario counts as one request an arrival: journeys of several send more, and a limit should allow for them.
    """
    parts = urlsplit(url)
    host = parts.hostname or url
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    listed = [(allowed_host(name), rate) for name, rate in plan.targets.items()]
    allowed = allowed_rate(listed, host, port)
    _, peak_rps = plan.arrivals_profile().peak
    if allowed is not None and peak_rps > allowed:
        raise PlanError(
            f'plan {plan.name}: targets."{host}": at most {allowed:,.0f} requests a second are allowed there, '
            f"and the plan peaks at {peak_rps:,.0f}; lower --peak-tps"
        )
