"""CURVE, ZeroMQ's own lock (rfc.zeromq.org/spec/26), with a key that is derived from the run token.

A server only talks to clients who know its key, encrypted. Master and workers derive that key from the token that
both were given, so it need not be distributed: who does not know the token does not know the key, and its handshake
fails before a message is seen.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import zmq
from zmq.utils import z85

REFUSALS = (
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
    | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
    | zmq.Event.HANDSHAKE_FAILED_AUTH
)
"""What a socket's monitor tells of a handshake that failed."""


def event_in(told: Sequence[bytes]) -> int:
    """Which event a message of a socket's monitor tells of."""
    # Not above: it takes all of asyncio with it, which a worker can do without at its start.
    from zmq.utils.monitor import parse_monitor_message  # noqa: PLC0415

    return parse_monitor_message(list(told))["event"]


def why_refused(event: int) -> str:
    """What one of `REFUSALS` tells whoever listens, as a clause.

    Who only connects and leaves, such as a probe of the port, looks like a worker without a token that saw first that
    it cannot speak with us.
    """
    if event == zmq.Event.HANDSHAKE_FAILED_NO_DETAIL:
        return (
            "it was closed before it had shown the run's token: a worker without it, or a probe of the port"
        )
    return "its token differs from this run's"


@lru_cache(maxsize=1)  # each of a relay's sockets asks
def server_keys(token: str) -> tuple[bytes, bytes]:
    """(public, secret) key of a master with this token, as ZeroMQ takes them.

    Scrypt (RFC 7914) makes guessing a token from a recorded handshake cost 16 MB and some 50 ms a guess.
    """
    seed = hashlib.scrypt(token.encode(), salt=b"singlesday control port", n=1 << 14, r=8, p=1, dklen=32)
    secret = z85.encode(seed)
    return zmq.curve_public(secret), secret


def encrypt(socket: Any, token: str, *, serves: bool) -> None:
    """Have a socket, which is not yet bound or connected, speak with those alone who have the token."""
    public, secret = server_keys(token)
    if serves:
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = public, secret
    else:
        socket.curve_serverkey = public
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
