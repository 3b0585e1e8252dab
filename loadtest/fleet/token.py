"""The run token: who has it may be a worker of this master, and nobody else hears or says anything.

Locust's control port is open to whoever reaches it: a stranger's worker joins, three bytes stop a run. ZeroMQ has an
answer (`fleet.curve`), whose key master and workers derive from a token that both were given, in the environment or
as a file.
"""

from collections.abc import Mapping
from pathlib import Path

from loadtest.environment import TOKEN_VARIABLE
from loadtest.place import is_loopback
from loadtest.secret import SecretError, secret_in, secret_in_file

SHORTEST_TOKEN = 16


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
    if token and not _has_curve():
        raise TokenError(f"{named}: this ZeroMQ was built without CURVE; pip's pyzmq has it")


def _has_curve() -> bool:
    import zmq  # noqa: PLC0415 - most commands are given no token

    return bool(zmq.has("curve"))


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
