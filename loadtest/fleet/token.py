"""The run token: who has it may be a worker of this master, and nobody else hears or says anything.

Locust's control port is open to whoever reaches it: a stranger's worker joins, three bytes stop a run. ZeroMQ has an
answer, CURVE (rfc.zeromq.org/spec/26): a server that only talks to clients who know its key, encrypted. Here master
and workers derive that key from a token that both were given, in the environment or as a file, so it need not be
distributed: who does not know the token does not know the key, and its handshake fails before a message is seen.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import zmq
from zmq.utils import z85

from loadtest.environment import TOKEN_VARIABLE
from loadtest.place import is_loopback
from loadtest.secret import SecretError, secret_in, secret_in_file

SHORTEST_TOKEN = 16
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


class TokenError(ValueError):
    """A control port that would stand open, or a token that closes none."""


def token_in(environ: Mapping[str, str]) -> str:
    """The token in the environment; empty if there is none. Raises `TokenError`."""
    try:
        return secret_in(environ, TOKEN_VARIABLE)
    except SecretError as error:
        raise TokenError(str(error)) from error


def check_token(token: str, named: str = TOKEN_VARIABLE) -> None:
    """Raise `TokenError` for one that is too easily guessed; `named` is where it came from."""
    if token and len(token) < SHORTEST_TOKEN:
        raise TokenError(f"{named}: expected at least {SHORTEST_TOKEN} characters, got {len(token)}")
    if token and not zmq.has("curve"):
        raise TokenError(f"{named}: this ZeroMQ was built without CURVE; pip's pyzmq has it")


def check_door(host: str, token: str, named: str = "--master-bind-host") -> None:
    """Raise `TokenError` for a control port that others could reach and no token closes.

    `named` is the flag by which the address was given.
    """
    check_token(token)
    if not token and not is_loopback(host):
        shown = f"[{host}]" if ":" in host else host
        raise TokenError(
            f"{named} {shown}: is reachable from outside and needs a token in {TOKEN_VARIABLE}, "
            "the same for master and workers"
        )


def read_token(path: Path) -> str:
    """The token in a file. Raises `TokenError`, which names the file."""
    named = f"--token-file {path}"
    try:
        token = secret_in_file(path, named)
    except SecretError as error:
        raise TokenError(str(error)) from error
    check_token(token, named)
    return token


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
