"""Keeps the master alive whatever arrives on its control port.

Locust's master listens in one greenlet that ends at the first error it did not foresee: three bytes that are not
MessagePack (`c1 c1 c1`), a frame of one part, a message with a type but not the content that type has. After
that no worker is heard again. Here whatever cannot be understood is logged and forgotten.

It is also where workers behind a relay (`fleet.relay`) look to Locust as if they spoke for themselves.
"""

import logging
from collections.abc import Callable
from typing import Any

from locust.exception import RPCError, RPCReceiveError
from locust.rpc.protocol import Message
from locust.rpc.zmqrpc import Server
from locust.runners import MasterRunner

from loadtest.fleet.greeting import GREETING, Answered, encode
from loadtest.fleet.relayed import Routes, routes_of

logger = logging.getLogger(__name__)
_receive = Server.recv_from_client
_send = Server.send_to_client


def guard(runner: MasterRunner, answer: Callable[[object], Answered | None]) -> None:
    """Let `runner` survive malformed frames and malformed messages, and `answer` those who greet (`fleet.greeting`).

    A greeting does not reach Locust, which would take whoever sent it for a worker and number it.
    """
    routes = routes_of(runner)

    def receive(server: Server) -> Any:
        sender, message = _recv_from_client(server)
        return routes.note(sender, message.node_id), message

    # On the class, since the runner may make another server.
    Server.recv_from_client = receive  # type: ignore[method-assign, assignment]
    Server.send_to_client = lambda server, message: _send(server, _addressed(message, routes))  # type: ignore[method-assign]
    handle = runner.handle_message

    def handle_message(client_id: str, message: Any) -> None:
        try:
            if message.type != GREETING:
                handle(client_id, message)
            elif (answered := answer(message.data)) is not None:
                reply = Message(GREETING, encode(answered), client_id)
                runner.server.send_to_client(reply)
        except Exception:
            logger.warning(
                "ignored a malformed %r of %s", getattr(message, "type", None), client_id, exc_info=True
            )

    runner.handle_message = handle_message  # type: ignore[method-assign, assignment]


class _ByWayOf(Message):
    """A message as its worker will see it, addressed to the relay before it."""

    def __init__(self, relay: str, message: Message) -> None:
        super().__init__(message.type, message.data, relay)  # type: ignore[no-untyped-call]  # Locust's
        self._message = message

    def serialize(self) -> Any:
        """Its bytes, which name the worker."""
        return self._message.serialize()


def _addressed(message: Message, routes: Routes) -> Message:
    relay = routes.of(message.node_id)
    return message if relay is None else _ByWayOf(relay, message)


def _recv_from_client(server: Server) -> Any:
    """As Locust's, but that every failure to understand a frame is one that its listener goes on after."""
    try:
        return _receive(server)  # type: ignore[no-untyped-call]  # Locust's
    except (RPCError, RPCReceiveError):
        raise
    except Exception as error:
        raise RPCReceiveError(f"a frame that is not Locust's: {type(error).__name__}") from error
