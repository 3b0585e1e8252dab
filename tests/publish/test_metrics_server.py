"""The metrics port: who gets an answer, how often it is made, and the wait for a last scrape."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import gevent
import pytest
from gevent.event import Event
from gevent.socket import create_connection

from loadtest.publish import metrics_server
from loadtest.publish.exposition import TEXT
from loadtest.publish.metrics_server import MetricsServer

LOOPBACK = "127.0.0.1"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page stays fresh, and closing goes on waiting, however busy the machine is."""
    monkeypatch.setattr(metrics_server, "FRESH_S", 60.0)
    monkeypatch.setattr(metrics_server, "MAX_LINGER_S", 60.0)


class Metrics:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, content_type: str) -> bytes:
        self.made += 1
        return f"made {self.made}\n".encode() if content_type == TEXT else b"open\n"


@contextmanager
def serving(metrics: Metrics, token: str = "") -> Iterator[MetricsServer]:
    server = MetricsServer(metrics, LOOPBACK, 0, token)
    try:
        yield server
    finally:
        server._server.stop()


def closing_lingers(server: MetricsServer) -> None:
    """Have it believe that its scraper comes so seldom that the wait for it is a long one."""
    server._asked_s.extend((0.0, 100.0))


def get(
    server: MetricsServer, path: str = "/metrics", authorization: str = "", accept: str = "*/*"
) -> tuple[int, bytes]:
    """A GET in this thread's event loop, which is the server's too: (status, body)."""
    with closing(create_connection((LOOPBACK, server.port), timeout=60)) as connection:
        headers = f"Authorization: {authorization}\r\nAccept: {accept}"
        connection.sendall(f"GET {path} HTTP/1.0\r\n{headers}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_a_second_scrape_at_once_costs_a_copy() -> None:
    metrics = Metrics()
    with serving(metrics) as server:
        assert get(server) == (200, b"made 1\n")
        assert get(server) == (200, b"made 1\n")
    assert metrics.made == 1


def test_each_format_is_kept_apart() -> None:
    openmetrics = (
        "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"  # as Prometheus asks
    )
    with serving(Metrics()) as server:
        assert get(server) == (200, b"made 1\n")
        assert get(server, accept=openmetrics) == (200, b"open\n")
        assert get(server) == (200, b"made 1\n")


def test_other_paths_tell_nothing() -> None:
    metrics = Metrics()
    with serving(metrics) as server:
        assert get(server, "/")[0] == 404
    assert metrics.made == 0


def test_with_a_token_only_who_carries_it_is_served() -> None:
    with serving(Metrics(), token="secret") as server:
        assert get(server)[0] == 401
        assert get(server, authorization="Bearer wrong")[0] == 401
        assert get(server, authorization="Bearer secret")[0] == 200


def test_closing_waits_until_the_scraper_has_seen_the_last_values() -> None:
    metrics = Metrics()
    server = MetricsServer(metrics, LOOPBACK, 0)
    get(server)
    closing_lingers(server)
    ending = gevent.spawn(server.close)
    gevent.sleep(0)
    assert not ending.ready()
    assert get(server) == (200, b"made 2\n")
    ending.join(timeout=60)
    assert ending.ready()


class SlowMetrics(Metrics):
    """A page that is drawn with a pause in the middle, as long as the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.drawing, self.goes_on = Event(), Event()

    def __call__(self, content_type: str) -> bytes:
        self.drawing.set()
        self.goes_on.wait(60)
        return super().__call__(content_type)


def test_two_who_ask_while_a_page_is_drawn_share_it() -> None:
    metrics = SlowMetrics()
    with serving(metrics) as server:
        asking = [gevent.spawn(get, server) for _ in range(2)]
        metrics.drawing.wait(60)
        metrics.goes_on.set()
        gevent.joinall(asking, timeout=60)
    assert [one.value for one in asking] == [(200, b"made 1\n")] * 2


def test_a_page_begun_before_the_end_is_not_taken_for_the_last() -> None:
    metrics = SlowMetrics()
    server = MetricsServer(metrics, LOOPBACK, 0)
    metrics.goes_on.set()
    get(server)
    server._pages.clear()
    metrics.drawing.clear()
    metrics.goes_on.clear()
    early = gevent.spawn(get, server)
    metrics.drawing.wait(60)
    closing_lingers(server)
    ending = gevent.spawn(server.close)
    gevent.sleep(0)
    metrics.goes_on.set()
    assert early.get(timeout=60) == (200, b"made 2\n")
    assert not ending.ready()
    assert get(server) == (200, b"made 3\n")
    ending.get(timeout=60)


class NeverAwaited:
    """The event of a last scrape, for which nobody may wait."""

    def wait(self, _most_s: float) -> bool:
        raise AssertionError("it waited for a scraper")


def test_closing_waits_for_nobody_when_nobody_ever_scraped(monkeypatch: pytest.MonkeyPatch) -> None:
    server = MetricsServer(Metrics(), LOOPBACK, 0)
    monkeypatch.setattr(server, "_scraped", NeverAwaited())
    with gevent.Timeout(60):
        server.close()
