"""The run token: who has it may be a worker of this master, and nobody else hears or says anything.

Locust's control port is open to whoever reaches it: a stranger's worker joins, three bytes stop a run. ZeroMQ has an
answer (`fleet.curve`), whose key master and workers derive from a token that both were given, in the environment or
as a file.
"""

from collections.abc import Mapping
from pathlib import Path

from loadtest.environment import TOKEN_VARIABLE
from loadtest.place import is_loopback

SHORTEST_TOKEN = 16
LONGEST_FILE_BYTES = 4096


class TokenError(ValueError):
    """A control port that would stand open, or a token that closes none."""


def token_in(environ: Mapping[str, str]) -> str:
    """The token in the environment, without the white space around it; empty if there is none.

    A secret that was made of a file ends with the file's line break.
    """
    return environ.get(TOKEN_VARIABLE, "").strip()


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
    """The token in a file, without the white space around it and a byte order mark.

    Raises `TokenError` naming the file.
    """
    named = f"--token-file {path}"
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_FILE_BYTES + 1)
        token = data.decode("utf-8-sig").strip()
    except OSError as error:
        raise TokenError(f"{named}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise TokenError(f"{named}: expected text of at least {SHORTEST_TOKEN} characters") from error
    if len(data) > LONGEST_FILE_BYTES:
        raise TokenError(f"{named}: expected at most {LONGEST_FILE_BYTES} bytes")
    if not token:
        raise TokenError(f"{named}: expected at least {SHORTEST_TOKEN} characters, got none")
    check_token(token, named)
    return token
