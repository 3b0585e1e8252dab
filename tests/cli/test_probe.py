"""What the probe says of a target that it cannot use."""

from loadtest.cli.probe import _most_often
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
    assert _most_often(Tried(tls=1200, refused=3)) == ": tls (1,200 times)"
    assert _most_often(Tried()) == ""
