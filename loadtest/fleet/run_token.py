"""The run token: who has it may be a worker of this master, and nobody else hears or says anything.

Locust's control port is open to whoever reaches it: a stranger's worker joins, three bytes stop a run. ZeroMQ has an
answer, CURVE (rfc.zeromq.org/spec/26): a server that only talks to clients who know its key, encrypted. Here master
and workers derive that key from a token that they were given in the environment, so it need not be distributed: who
does not know the token does not know the key, and its handshake fails before Locust sees a message.

`secure` is the seam: the sockets of Locust's `zmqrpc` are dressed between being made and being bound or connected.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from typing import Any

import gevent
import zmq
from locust.rpc.zmqrpc import BaseSocket, Client, Server
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from loadtest.environment import TOKEN_VARIABLE

SHORTEST_TOKEN = 16
COMPLAIN_EVERY_S = 10.0

_REFUSALS = (
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
    | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
    | zmq.Event.HANDSHAKE_FAILED_AUTH
)
_STRANGER = f"refused a connection to the control port: it has not the token of {TOKEN_VARIABLE}"
_NO_ENTRY = f"the master refuses this worker: {TOKEN_VARIABLE} must have the same value on both"

logger = logging.getLogger(__name__)
_dress = BaseSocket.__init__
_listen = Server.__init__
_connect = Client.__init__
IsLoopback = Callable[[str], bool]
Refuse = Callable[[Exception], object]
"""Ends the process before any traffic, saying why."""


class TokenError(ValueError):
    """A control port that would stand open, or a token that closes none."""


def check_token(token: str) -> None:
    """Raise `TokenError` for one that is too easily guessed."""
    if token and len(token) < SHORTEST_TOKEN:
        raise TokenError(f"{TOKEN_VARIABLE}: expected at least {SHORTEST_TOKEN} characters, got {len(token)}")
    if token and not zmq.has("curve"):
        raise TokenError(f"{TOKEN_VARIABLE}: this ZeroMQ was built without CURVE; pip's pyzmq has it")


def check_door(host: str, token: str, is_loopback: IsLoopback) -> None:
    """Raise `TokenError` for a control port that others could reach and no token closes."""
    check_token(token)
    if not token and not is_loopback(host):
        raise TokenError(
            f"--master-bind-host {host}: is reachable from outside and needs a token in {TOKEN_VARIABLE}, "
            "the same for master and workers"
        )


def secure(token: str, is_loopback: IsLoopback, refuse: Refuse) -> None:
    """Let every control socket that this process opens from now on ask for the token, if there is one."""

    def dress(socket: Any, sock_type: int, ipv4_only: bool) -> None:
        _dress(socket, sock_type, ipv4_only)  # type: ignore[no-untyped-call]  # Locust's
        serves = sock_type == zmq.ROUTER
        if token:
            _encrypt(socket.socket, token, serves=serves)
        if token or not serves:  # a worker without a token is refused by a master with one
            refused = socket.socket.get_monitor_socket(_REFUSALS)
            gevent.spawn(_report_refusals, refused, _STRANGER if serves else _NO_ENTRY)

    def listen(server: Any, host: str, port: int) -> None:
        try:
            check_door(host, token, is_loopback)
        except TokenError as error:
            refuse(error)
        _listen(server, host, port)  # type: ignore[no-untyped-call]

    def connect(client: Any, host: str, port: int, identity: str) -> None:
        try:
            check_token(token)
        except TokenError as error:
            refuse(error)
        _connect(client, host, port, identity)  # type: ignore[no-untyped-call]

    BaseSocket.__init__ = dress  # type: ignore[method-assign]
    Server.__init__ = listen  # type: ignore[method-assign]
    Client.__init__ = connect  # type: ignore[method-assign]


def server_keys(token: str) -> tuple[bytes, bytes]:
    """(public, secret) key of a master with this token, as ZeroMQ takes them.

    Scrypt (RFC 7914) makes guessing a token from a recorded handshake cost 16 MB and some 50 ms a guess.
    """
    seed = hashlib.scrypt(token.encode(), salt=b"singlesday control port", n=1 << 14, r=8, p=1, dklen=32)
    secret = z85.encode(seed)
    return zmq.curve_public(secret), secret


def _encrypt(socket: Any, token: str, *, serves: bool) -> None:
    public, secret = server_keys(token)
    if serves:
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = public, secret
    else:
        socket.curve_serverkey = public
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()


def _report_refusals(monitor: Any, complaint: str) -> None:
    """Log that handshakes fail, not for each of them: whoever is refused tries again."""
    next_s = 0.0
    while True:
        event = parse_monitor_message(monitor.recv_multipart())
        if event["event"] == zmq.Event.MONITOR_STOPPED:
            return
        if time.monotonic() >= next_s:
            next_s = time.monotonic() + COMPLAIN_EVERY_S
            logger.warning(complaint)
