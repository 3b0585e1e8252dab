"""`/metrics` of the master, or of a process that is master and worker in one.

What the page shows are whole seconds, so a scrape that follows another within most of one gets the same bytes: a
scraper gone wild costs a copy. Before the process ends it waits for the scraper to come once more, because the last
values are the run's result and nobody can scrape a process that is gone.
"""

import hmac
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.pywsgi import WSGIServer

from loadtest.publish.exposition import content_type_for

FRESH_S = 0.9
"""Less than the shortest interval that Prometheus is usually given, a second."""
MAX_LINGER_S = 12.0
"""The longest wait for a last scrape: less than `singlesday run` grants its master to end."""

logger = logging.getLogger(__name__)
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class MetricsServer:
    """Serves what `exposition` returns for a content type at `http://host:port/metrics`; `port` 0 picks a free one.

    With a `token`, only to those who send it as a bearer token. Raises `OSError` if the port is taken.
    """

    def __init__(self, exposition: Callable[[str], bytes], host: str, port: int, token: str = "") -> None:
        self._exposition = exposition
        self._token = token
        self._pages: dict[str, tuple[float, bytes]] = {}
        self._drawing = BoundedSemaphore()
        self._valid_from_s = float("-inf")
        self._asked_s: deque[float] = deque(maxlen=2)
        self._scraped = Event()
        self._server = WSGIServer((host, port), self._answer, log=None, error_log=logger)
        self._server.start()
        # Inherited by what it accepts. The library sends head and body apart, and without this the body waits for
        # the scraper to acknowledge the head: 40 ms on loopback.
        self._server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Wait for a last scrape if one is to be expected, then stop."""
        if len(self._asked_s) == 2:
            interval_s = self._asked_s[1] - self._asked_s[0]
            self._valid_from_s = time.monotonic()
            self._scraped.clear()
            if self._scraped.wait(min(1.5 * interval_s + 1, MAX_LINGER_S)):
                gevent.sleep(0.05)  # the answer is still on its way
        self._server.stop(timeout=1)

    def _answer(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            return _plain(start_response, "404 Not Found")
        offered = str(environ.get("HTTP_AUTHORIZATION", ""))
        if self._token and not hmac.compare_digest(offered.encode(), f"Bearer {self._token}".encode()):
            return _plain(start_response, "401 Unauthorized")
        content_type = content_type_for(str(environ.get("HTTP_ACCEPT", "")))
        start_response("200 OK", [("Content-Type", content_type), ("X-Content-Type-Options", "nosniff")])
        return [self._current(content_type)]

    def _current(self, content_type: str) -> bytes:
        with self._drawing:  # drawing has pauses, in which others may ask for the same page
            now_s = time.monotonic()
            made_s, page = self._pages.get(content_type, (float("-inf"), b""))
            if now_s - made_s >= FRESH_S or made_s < self._valid_from_s:
                made_s, page = now_s, self._exposition(content_type)
                self._pages[content_type] = (made_s, page)
        self._asked_s.append(now_s)
        if made_s >= self._valid_from_s:  # a page begun before the end is not the last one
            self._scraped.set()
        return page


def _plain(start_response: StartResponse, status: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [status.encode()]
