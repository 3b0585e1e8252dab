"""The highest rate that a host's owner agreed to."""

import pytest

from loadtest.plan.plan_error import PlanError
from loadtest.plan.plan_file import Plan
from loadtest.plan.target_rate import check_target_rate

SMOKE = Plan.load("smoke")


def with_targets(**targets: float) -> Plan:
    values = {field: getattr(SMOKE, field) for field in SMOKE.__struct_fields__}
    return Plan(**values | {"targets": targets})


def test_a_plan_above_the_agreed_rate_is_refused_and_says_both_rates() -> None:
    with pytest.raises(PlanError, match=r"at most 80 requests.*peaks at 85"):
        check_target_rate(with_targets(shop=80), "http://shop:8080/")


@pytest.mark.parametrize("url", ["http://shop:8080", "http://127.0.0.1:8080"])
def test_a_plan_within_the_rate_or_for_another_host_may_play(url: str) -> None:
    check_target_rate(with_targets(shop=85), url)


@pytest.mark.parametrize("listed", ["shop:8080", "http://shop:8080", "SHOP"])
def test_a_rate_counts_however_its_host_is_written(listed: str) -> None:
    with pytest.raises(PlanError, match="at most 80 requests"):
        check_target_rate(with_targets(**{listed: 80}), "http://shop:8080/")


def test_a_rate_at_another_port_does_not_count() -> None:
    check_target_rate(with_targets(**{"shop:9090": 80, "shop:8080": 90}), "http://shop:8080/")
