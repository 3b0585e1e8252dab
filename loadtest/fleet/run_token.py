"""The seam at which Locust's control sockets learn of the run token (`fleet.token`).

The sockets of Locust's `zmqrpc` are dressed between being made and being bound or connected.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

import gevent
import zmq
from locust.rpc.zmqrpc import BaseSocket, Client, Server

from loadtest.environment import TOKEN_VARIABLE
from loadtest.fleet.curve import REFUSALS, encrypt, event_in, why_refused
from loadtest.fleet.token import TokenError, check_door, check_token

COMPLAIN_EVERY_S = 10.0

_STRANGER = f"refused a connection to the control port: {{}} ({TOKEN_VARIABLE})"
_NO_ENTRY = f"the master refuses this worker: {TOKEN_VARIABLE} must have the same value on both"

logger = logging.getLogger(__name__)
_dress = BaseSocket.__init__
_listen = Server.__init__
_connect = Client.__init__
Refuse = Callable[[Exception], object]
"""Ends the process before any traffic, saying why."""


def secure(token: str, refuse: Refuse) -> None:
    """Let every control socket that this process opens from now on ask for the token, if there is one."""

    def dress(socket: Any, sock_type: int, ipv4_only: bool) -> None:
        _dress(socket, sock_type, ipv4_only)  # type: ignore[no-untyped-call]  # Locust's
        serves = sock_type == zmq.ROUTER
        if serves:  # else what is beyond a thousand messages waiting for one relay is lost without a word
            socket.socket.sndhwm = 0
        if token:
            encrypt(socket.socket, token, serves=serves)
        if token or not serves:  # a worker without a token is refused by a master with one
            refused = socket.socket.get_monitor_socket(REFUSALS)
            gevent.spawn(_report_refusals, refused, _STRANGER if serves else _NO_ENTRY)

    def listen(server: Any, host: str, port: int) -> None:
        try:
            check_door(host, token)
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


def _report_refusals(monitor: Any, complaint: str) -> None:
    """Log that handshakes fail, not for each of them: whoever is refused tries again."""
    next_s: dict[str, float] = {}
    while True:
        event = event_in(monitor.recv_multipart())
        if event == zmq.Event.MONITOR_STOPPED:
            return
        told = complaint.format(why_refused(event))
        if time.monotonic() >= next_s.get(told, 0.0):
            next_s[told] = time.monotonic() + COMPLAIN_EVERY_S
            logger.warning(told)
