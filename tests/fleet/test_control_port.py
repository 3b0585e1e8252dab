"""The control port: whatever arrives, Locust's listener gets an error that it goes on after."""

from typing import Any

import pytest
from locust.exception import RPCError, RPCReceiveError
from locust.rpc.protocol import Message
from locust.rpc.zmqrpc import Server
from zmq.error import ZMQError

from loadtest.fleet.control_port import guard
from loadtest.fleet.greeting import Greeter


class Wire:
    """A socket that delivers one message."""

    def __init__(self, parts: list[bytes] | Exception) -> None:
        self.parts = parts

    def recv_multipart(self) -> list[bytes]:
        """Deliver it."""
        if isinstance(self.parts, Exception):
            raise self.parts
        return self.parts


class Runner:
    """A master that understands only `ready`."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def handle_message(self, client_id: str, message: Any) -> None:
        """As Locust's: it takes for granted what a message of a type contains."""
        if message.type != "ready":
            raise KeyError("data")
        self.heard.append(client_id)


def receive(parts: list[bytes] | Exception) -> Any:
    """What the guarded server makes of a message."""
    guard(Runner(), Greeter({}).answer)  # type: ignore[arg-type]
    server = Server.__new__(Server)
    server.socket = Wire(parts)  # type: ignore[assignment]
    return server.recv_from_client()


@pytest.mark.parametrize(
    "parts",
    [
        [b"w1", b"\xc1\xc1\xc1"],
        [b"w1", b""],
        [b"w1"],
        [],
        [b"\xff\xff", b"\xc0"],
        [b"w1", b"\x05"],
        [b"w1", b"\x93\x01\x02\x03\x04"],
        [b"w1", b"\x91" * 5_000],
        [b"w1", b"\x81\xaf__datetime__x\xc3"],
    ],
)
def test_a_frame_that_is_not_locusts_is_an_error_the_listener_goes_on_after(parts: list[bytes]) -> None:
    with pytest.raises(RPCReceiveError):
        receive(parts)


def test_a_broken_network_is_still_told_as_such() -> None:
    with pytest.raises(RPCError):
        receive(ZMQError())


def test_a_message_of_locusts_arrives() -> None:
    sender, message = receive([b"w1", Message("ready", None, "w1").serialize()])
    assert (sender, message.type) == ("w1", "ready")


def test_a_malformed_message_is_logged_and_the_next_one_heard(caplog: pytest.LogCaptureFixture) -> None:
    runner = Runner()
    guard(runner, Greeter({}).answer)  # type: ignore[arg-type]
    runner.handle_message("w1", Message("stats", None, "w1"))
    runner.handle_message("w2", Message("ready", None, "w2"))
    assert runner.heard == ["w2"]
    assert "malformed 'stats' of w1" in caplog.text
