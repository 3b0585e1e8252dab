"""A locustfile as somebody might write it: users of every kind, each serving arrivals by one line."""

import socket
import time
from urllib.parse import urlsplit

import locust
from locust import HttpUser, User, task

from loadtest import FastHttpUser, open_loop


class Ours(FastHttpUser):
    """Our own client."""

    wait_time = open_loop()
    network_timeout = 20.0

    @task
    def call(self) -> None:
        """One request that may not be sent twice."""
        self.client.post("/call", data=b"x")


class OursTwice(FastHttpUser):
    """A journey of two requests."""

    wait_time = open_loop()

    @task
    def call(self) -> None:
        """Two requests, one arrival."""
        self.client.post("/first", data=b"x")
        self.client.post("/second", data=b"x")


class LocustFast(locust.FastHttpUser):
    """Locust's own fast client."""

    wait_time = open_loop()

    @task
    def call(self) -> None:
        """One request."""
        self.client.post("/call", data="x")


class LocustHttp(HttpUser):
    """Locust's client on `requests`."""

    wait_time = open_loop()

    @task
    def call(self) -> None:
        """One request."""
        self.client.post("/call", data="x")


class PlainSocket(User):
    """No client of Locust's at all: a stand-in for gRPC or a database."""

    wait_time = open_loop()

    def on_start(self) -> None:
        """Connect."""
        target = urlsplit(self.host or "")
        self.sock = socket.create_connection((target.hostname, target.port))

    @task
    def call(self) -> None:
        """Send bytes, read bytes, and tell Locust."""
        started = time.perf_counter()
        self.sock.sendall(b"POST /call HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
        error = None if self.sock.recv(4096).startswith(b"HTTP/1.1 200") else ConnectionError("no answer")
        self.environment.events.request.fire(
            request_type="POST",
            name="/call",
            response_time=(time.perf_counter() - started) * 1000,
            response_length=2,
            exception=error,
            context={},
        )
