"""Locust's control sockets with a run token: who has it is heard, nobody else is, and no door stands open."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import gevent
import pytest
from locust.exception import RPCSendError
from locust.rpc.protocol import Message
from locust.rpc.zmqrpc import BaseSocket, Client, Server

from loadtest.fleet.run_token import secure

TOKEN = "the-token-of-this-run"  # noqa: S105 - of this test
HOST = "127.0.0.1"
SOON_S = 100
pytestmark = pytest.mark.filterwarnings(  # Locust closes sockets, and never the contexts they belong to
    "ignore:Unclosed context:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


class RefusedError(Exception):
    """What a process would end with."""


def refuse(error: Exception) -> None:
    raise RefusedError(str(error))


@pytest.fixture(autouse=True)
def sockets_as_locust_made_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (BaseSocket, Server, Client):
        monkeypatch.setattr(kind, "__init__", kind.__init__)


@contextmanager
def master(token: str) -> Iterator[Server]:
    secure(token, refuse)
    with closing(Server(HOST, 0)) as server:
        yield server


@contextmanager
def worker(server: Server, token: str) -> Iterator[Client]:
    secure(token, refuse)
    with closing(Client(HOST, server.port, "w1")) as client:
        with suppress(RPCSendError):  # who has been refused by now has nobody to send to
            client.send(Message("ready", None, "w1"))
        yield client
        client.close(linger=0)


@pytest.mark.parametrize("token", [TOKEN, ""])
def test_who_has_the_same_token_is_heard(token: str) -> None:
    with master(token) as server, worker(server, token), gevent.Timeout(SOON_S):
        sender, message = server.recv_from_client()
    assert (sender, message.type) == ("w1", "ready")


@pytest.mark.parametrize("token", ["the-token-of-another-run", ""])
def test_who_has_another_is_not_and_it_is_said(token: str, caplog: pytest.LogCaptureFixture) -> None:
    with master(TOKEN) as server, worker(server, token), gevent.Timeout(SOON_S):
        # Of two sockets one may be closed before it has seen why; the other always has.
        while not ("refused a connection" in caplog.text or "refuses this worker" in caplog.text):
            gevent.sleep(0.02)
        with gevent.Timeout(0.1, False):
            server.recv_from_client()
            pytest.fail("it was heard")


def test_a_probe_that_only_connects_and_leaves_is_not_taken_for_somebody_with_another_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with master(TOKEN) as server, gevent.Timeout(SOON_S):
        for _ in range(3):
            socket.create_connection((HOST, server.port)).close()
        with worker(server, TOKEN):
            server.recv_from_client()
        while "a probe of the port" not in caplog.text:
            gevent.sleep(0.02)
    assert "its token differs" not in caplog.text


def test_a_port_beyond_this_machine_is_not_opened_without_a_token() -> None:
    secure("", refuse)
    with pytest.raises(RefusedError, match=r"0\.0\.0\.0: is reachable from outside and needs a token"):
        Server("0.0.0.0", 0)


def test_a_token_that_is_soon_guessed_connects_nobody() -> None:
    secure("short", refuse)
    with pytest.raises(RefusedError, match="expected at least 16 characters, got 5"):
        Client(HOST, 9, "w1")
