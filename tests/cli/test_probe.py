"""What the probe says of a target that it cannot use."""

import pytest

from loadtest.cli.probe import FullSpeed, _most_often
from loadtest.measure.second import OpenSeconds, Second


class Tried(OpenSeconds):
    """Seconds in which every request failed."""

    def __init__(self, **errors: int) -> None:
        self._errors = errors

    def take(self, before_ns: int | None = None) -> list[Second]:  # noqa: ARG002 - the parent's signature
        second = Second(0)
        second.endpoint(("POST", "/orders")).errors.update(self._errors)
        return [second]


def test_the_probe_names_the_error_that_most_requests_had() -> None:
    assert _most_often(Tried(tls=1200, refused=3)) == "POST /orders: tls (1,200 times)"
    assert _most_often(Tried()) == ""


@pytest.mark.parametrize(
    ("ok", "failed", "most_often", "said"),
    [
        (5, 100, "POST /orders: status-429 (100 times)", ""),
        (0, 7, "POST /orders: status-500 (7 times)", "was ok: POST /orders: status-500 (7 times)"),
        (0, 0, "", "the target answered nothing within 4 s"),
    ],
)
def test_only_where_nothing_was_ok_there_is_nothing_to_judge_by(
    ok: int, failed: int, most_often: str, said: str
) -> None:
    why = FullSpeed(ok / 3, ok, failed, most_often).nothing_ok
    assert bool(why) == bool(said)
    assert why.endswith(said)
