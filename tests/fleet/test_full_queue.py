"""A worker whose master is not there goes on, and is heard once it is."""

import logging
from contextlib import closing
from typing import Any

import gevent
import pytest
from locust.exception import RPCSendError
from locust.rpc.protocol import Message
from locust.rpc.zmqrpc import Client, Server

from loadtest.fleet.full_queue import drop_what_finds_no_room
from tests.ports import free_port

HOST = "127.0.0.1"
KEPT = 1_000
"""Messages that ZeroMQ keeps for a peer, unless told otherwise."""
SOON_S = 100
pytestmark = pytest.mark.filterwarnings("ignore:Unclosed context:ResourceWarning")  # Locust never closes them


@pytest.fixture(autouse=True)
def dropping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "send", Client.send)
    drop_what_finds_no_room()


def message(number: int) -> Any:
    return Message("report", number, "w1")


def test_what_a_master_that_is_not_there_cannot_be_sent_is_dropped_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    with closing(Client(HOST, port, "w1")) as client, caplog.at_level(logging.WARNING):
        for number in range(2 * KEPT):
            client.send(message(number))
        assert [record.message for record in caplog.records] == [
            "the master takes no messages: what is sent to it is dropped until it does"
        ]
        with closing(Server(HOST, port)) as server, gevent.Timeout(SOON_S):
            heard = [server.recv_from_client()[1].data for _ in range(KEPT)]
            assert heard == list(range(KEPT))
            client.send(message(-1))
            assert server.recv_from_client()[1].data == -1
        client.close(linger=0)


def test_a_socket_that_is_closed_is_an_error() -> None:
    with closing(Client(HOST, free_port(), "w1")) as client:
        client.close(linger=0)
        with pytest.raises(RPCSendError):
            client.send(message(0))
