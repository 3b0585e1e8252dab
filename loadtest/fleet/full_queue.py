"""Keeps a worker alive whose master, or the relay before it, is gone for a while.

ZeroMQ keeps a thousand messages for who is not there. Beyond them Locust tries to send for nine seconds, in the
greenlet that sends, and raises: the greenlets of statistics and of our reports would end, so that whoever takes its
place never hears the worker, and a worker that is asked to end would not. Here such a message is dropped. What must
arrive is sent again until it is acknowledged (`fleet.worker_report`); the rest would be out of date.
"""

import logging
from typing import Any

import zmq
from locust.exception import RPCSendError
from locust.rpc.zmqrpc import Client

_FULL = "_singlesday_full"

logger = logging.getLogger(__name__)


def drop_what_finds_no_room() -> None:
    """Have every worker of this process drop what its connection has no room for, and say once that it does."""
    Client.send = _send  # type: ignore[method-assign]


def _send(client: Any, message: Any) -> None:
    """Raises `RPCSendError` for a socket that is closed."""
    try:
        client.socket.send(message.serialize(), zmq.NOBLOCK)
    except zmq.Again:
        if not getattr(client, _FULL, False):
            logger.warning("the master takes no messages: what is sent to it is dropped until it does")
        setattr(client, _FULL, True)
    except zmq.ZMQError as error:
        raise RPCSendError("ZMQ sent failure") from error
    else:
        setattr(client, _FULL, False)
