"""Keeps the master alive whatever arrives on its control port.

Locust's master listens in one greenlet that ends at the first error it did not foresee: three bytes that are not
MessagePack (`c1 c1 c1`), a frame of one part, a message with a type but not the content that type has. After
that no worker is heard again. Here whatever cannot be understood is logged and forgotten.
"""

import logging
from typing import Any

from locust.exception import RPCError, RPCReceiveError
from locust.rpc.zmqrpc import Server
from locust.runners import MasterRunner

logger = logging.getLogger(__name__)
_receive = Server.recv_from_client


def guard(runner: MasterRunner) -> None:
    """Let `runner` survive malformed frames and malformed messages."""
    Server.recv_from_client = _recv_from_client  # type: ignore[method-assign, assignment]  # on the class: the runner may make another
    handle = runner.handle_message

    def handle_message(client_id: str, message: Any) -> None:
        try:
            handle(client_id, message)
        except Exception:
            logger.warning(
                "ignored a malformed %r of %s", getattr(message, "type", None), client_id, exc_info=True
            )

    runner.handle_message = handle_message  # type: ignore[method-assign, assignment]


def _recv_from_client(server: Server) -> Any:
    """As Locust's, but that every failure to understand a frame is one that its listener goes on after."""
    try:
        return _receive(server)  # type: ignore[no-untyped-call]  # Locust's
    except (RPCError, RPCReceiveError):
        raise
    except Exception as error:
        raise RPCReceiveError(f"a frame that is not Locust's: {type(error).__name__}") from error
