"""Failures of other clients have the classes that ours have, also where a library wraps what happened."""

import gevent
import pytest
from geventhttpclient.useragent import RetriesExceeded

from loadtest.drive.request_events import _error_class


@pytest.mark.parametrize(
    ("original", "named"),
    [
        (gevent.Timeout(0.2), "timeout-read"),
        (TimeoutError("timed out"), "timeout-read"),
        (ConnectionRefusedError(111, "Connection refused"), "refused"),
        ("a text", "failure"),
    ],
)
def test_what_locusts_fast_client_keeps_of_an_error_names_it(original: object, named: str) -> None:
    error = RetriesExceeded("http://127.0.0.1/slow", 0, original=original)
    assert _error_class(error) == named
