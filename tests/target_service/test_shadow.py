"""The tag of load-test traffic."""

import pytest

from target_service import problem
from target_service.tags import LIVE, RUN_HEADER, run_id_of, traffic_of
from tests.target_service.refusals import refused


def test_a_request_without_the_tag_is_live() -> None:
    assert run_id_of({}) == LIVE
    assert traffic_of(LIVE) == "live"


def test_a_tagged_request_belongs_to_its_run() -> None:
    run_id = run_id_of({RUN_HEADER: "20261111T000000Z-singles-day"})
    assert traffic_of(run_id) == "shadow"


@pytest.mark.parametrize("text", ["", " ", "-x", "a b", "a/b", "x" * 65, "é", "a\n"])
def test_a_bad_tag_is_refused_and_never_taken_for_live(text: str) -> None:
    with refused(problem.BAD_REQUEST):
        run_id_of({RUN_HEADER: text})
