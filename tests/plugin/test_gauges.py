"""The target's memory, read from its own Prometheus page."""

import base64
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from loadtest.plugin.gauges import MemorySampler, memory_bytes


def page(name: str, **values: float) -> str:
    registry = CollectorRegistry()
    gauge = Gauge(name, "Memory.", ["of"], registry=registry)
    for label, value in values.items():
        gauge.labels(label).set(value)
    return generate_latest(registry).decode()


@pytest.mark.parametrize("name", ["orders_memory_bytes", "process_resident_memory_bytes"])
def test_memory_is_summed_over_all_that_the_page_tells(name: str) -> None:
    assert memory_bytes(page(name, a=1e6, b=2e6)) == 3e6


def test_our_services_own_figure_goes_before_the_common_one() -> None:
    both = page("process_resident_memory_bytes", a=1.0) + page("orders_memory_bytes", a=2.0)
    assert memory_bytes(both) == 2.0


def test_a_page_without_memory_tells_none() -> None:
    assert memory_bytes(page("requests", a=1.0)) is None


def test_what_is_no_prometheus_page_is_refused() -> None:
    with pytest.raises(ValueError, match="html"):
        memory_bytes("<html>not found</html>")


@contextmanager
def answering(said: bytes, requests: list[bytes] | None = None) -> Iterator[str]:
    """The address of a page that says this to whoever asks first, and keeps what it was asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            asked, _ = listener.accept()
            with asked:
                request = asked.recv(4096)
                if requests is not None:
                    requests.append(request)
                asked.sendall(said)

        thread = Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/metrics"
        thread.join(60)


@pytest.mark.parametrize(
    "said",
    [
        b"220 mail.example.com ESMTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\npart",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
        b"",
    ],
)
def test_an_answer_that_is_no_page_costs_a_value_and_not_the_sampling(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with answering(said) as url:
        sampler = MemorySampler(url, 60)
        sampler._sample(1.0)
    assert sampler.values == []
    assert url in caplog.text


def test_a_page_behind_a_password_is_asked_with_it_and_named_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[bytes] = []
    with answering(b"", asked) as url:
        sampler = MemorySampler(url.replace("//", "//u:p%40hunter2@"), 60)
        sampler._sample(1.0)
    assert b"\r\nAuthorization: Basic " + base64.b64encode(b"u:p@hunter2") in asked[0]
    assert url in caplog.text
    assert "hunter2" not in caplog.text
