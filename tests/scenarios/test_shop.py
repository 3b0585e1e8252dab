"""What the shop's scenarios know beforehand, and what an answer says of an order."""

from types import SimpleNamespace
from typing import Any

import pytest

from loadtest.measure.ledger import OrderState
from loadtest.records import endpoint_and_region
from loadtest.scenarios.shop import MAY_BE_STORED, ORDERS_BY_REGION, REGION_WEIGHTS, REGIONS, order_state
from target_service.problem import FATE_UNKNOWN, KEY_IN_FLIGHT, KINDS, Kind, ProblemError
from target_service.response import problem_response

UNSAID = (FATE_UNKNOWN, KEY_IN_FLIGHT)
REFUSALS = [kind for kind in KINDS if kind not in UNSAID and (400 <= kind.status < 500 or kind.status == 503)]


def told(status: int, body: bytes | None = b"", *, was_repeated: bool = False) -> OrderState:
    answer: Any = SimpleNamespace(status_code=status, content=body, was_repeated=was_repeated)
    return order_state(answer)


def body_of(kind: Kind) -> bytes:
    return problem_response(ProblemError(kind, "for a reason")).body


def test_orders_are_named_by_regions_whose_shares_add_up() -> None:
    assert [endpoint_and_region(name) for name in ORDERS_BY_REGION] == [("/orders", name) for name in REGIONS]
    assert len(REGIONS) == len(REGION_WEIGHTS)
    assert sum(REGION_WEIGHTS) == 100


@pytest.mark.parametrize("kind", REFUSALS, ids=lambda kind: kind.slug)
def test_a_refused_order_is_not_stored(kind: Kind) -> None:
    assert told(kind.status, body_of(kind)) is OrderState.REJECTED


@pytest.mark.parametrize("kind", UNSAID, ids=lambda kind: kind.slug)
def test_a_refused_order_may_be_stored_where_the_service_says_so(kind: Kind) -> None:
    assert f"/problems/{kind.slug}" in MAY_BE_STORED
    assert told(kind.status, body_of(kind)) is OrderState.UNKNOWN


@pytest.mark.parametrize("body", [None, b"", b"<html>", b"[]", b'{"type": 1}', b'{"detail": "x"}', b"\xff"])
def test_a_refusal_that_tells_no_problem_is_one_all_the_same(body: bytes | None) -> None:
    assert told(503, body) is OrderState.REJECTED


@pytest.mark.parametrize("status", [409, 503])
def test_what_is_refused_when_it_is_sent_again_may_have_been_stored_the_first_time(status: int) -> None:
    assert told(status, was_repeated=True) is OrderState.UNKNOWN
    assert told(201, was_repeated=True) is OrderState.ACKNOWLEDGED


@pytest.mark.parametrize("status", [0, 200, 302, 500, 502, 504, 507])
def test_any_other_answer_proves_nothing(status: int) -> None:
    assert told(status) is OrderState.UNKNOWN
