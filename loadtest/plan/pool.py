"""How many users of each scenario a worker holds."""

from loadtest.plan.plan_file import Plan


def pool_of(plan: Plan, workers: int) -> dict[str, int]:
    """Users of one of `workers`, by class: by its share of the peaks, and never none."""
    peaks = [plan.scenario_profile(i).peak[1] for i in range(len(plan.scenarios))]
    each = plan.virtual_users / workers
    return {
        scenario.user.partition(":")[2]: max(1, round(each * peak / (sum(peaks) or 1.0)))
        for scenario, peak in zip(plan.scenarios, peaks, strict=True)
    }
