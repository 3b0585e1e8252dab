"""Requests that can be found again: some carry a `traceparent`, and the slowest of those become exemplars.

Off unless a plan asks for it. Users then get a `TracedSession`, so that a session which traces nothing pays nothing:
not even a test of whether it should.
"""

import secrets
from random import random
from time import time_ns
from typing import Any

from loadtest.drive.session import Session
from loadtest.measure.exemplar import Exemplar, Exemplars

HEADER = "traceparent"
_NAME_AT, _HEADERS_AT = 0, 4
"""Where `Session.request` takes name and headers, after method and URL."""


class Tracer:
    """Decides which requests of one worker are traced, and remembers the slowest."""

    def __init__(self, fraction: float) -> None:
        """Trace this share of the requests, from 0 to 1."""
        self.exemplars = Exemplars()
        self._fraction = fraction

    def begin(self) -> str | None:
        """A new trace's id, for the share of requests that gets one."""
        return secrets.token_hex(16) if random() < self._fraction else None  # noqa: S311 - which to trace


class TracedSession(Session):
    """A session that sends `traceparent` with some of its requests."""

    tracer: Tracer

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        """As `Session.request`; a script that sends its own `traceparent`, or headers by position, keeps them."""
        trace_id = self.tracer.begin()
        if trace_id is None or len(args) > _HEADERS_AT:
            return super().request(method, url, *args, **kwargs)
        headers = kwargs["headers"] = dict(kwargs.get("headers") or ())  # pairs may come only once
        if any(isinstance(name, str) and name.lower() == HEADER for name in headers):
            return super().request(method, url, *args, **kwargs)
        intended_ns = self._now_ns() if self.intended_ns is None else self.intended_ns
        kwargs["headers"] = {**headers, HEADER: f"00-{trace_id}-{secrets.token_hex(8)}-01"}
        response = super().request(method, url, *args, **kwargs)
        name = (args[_NAME_AT] if args else kwargs.get("name")) or self.request_name or url
        response_us = max(0, response.done_ns - intended_ns) // 1000
        self.tracer.exemplars.offer(
            Exemplar(f"{method} {name}"[:1001], response_us, trace_id, time_ns() // 1_000_000)
        )
        return response
