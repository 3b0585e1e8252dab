"""The run token: the keys it becomes, and the doors it is needed for."""

from pathlib import Path

import pytest
import zmq

from loadtest.environment import TOKEN_VARIABLE
from loadtest.fleet.curve import server_keys
from loadtest.fleet.token import TokenError, check_door, check_token, read_token, token_in

TOKEN = "sixteen letters!"  # noqa: S105 - of a test


def test_master_and_worker_derive_the_same_keys_from_the_same_token_only() -> None:
    public, secret = server_keys(TOKEN)
    assert (public, secret) == server_keys(TOKEN)
    assert public == zmq.curve_public(secret)
    assert public != server_keys(TOKEN + "!")[0]


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "192.0.2.7", "::"])
def test_a_control_port_that_others_reach_needs_a_token(host: str) -> None:
    with pytest.raises(TokenError, match="is reachable from outside and needs a token in LOADTEST_TOKEN"):
        check_door(host, "")
    check_door(host, TOKEN)


def test_a_control_port_on_loopback_needs_none() -> None:
    check_door("127.0.0.1", "")


def test_a_token_that_is_easily_guessed_is_refused_without_showing_it() -> None:
    with pytest.raises(TokenError, match="at least 16 characters, got 15") as refused:
        check_token(TOKEN[1:])
    assert TOKEN[1:] not in str(refused.value)


@pytest.mark.parametrize("around", ["{}", "{}\n"])
def test_a_token_is_the_same_whether_its_file_ends_with_a_line_break_and_wherever_it_comes_from(
    around: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_bytes(around.format(TOKEN).encode())
    assert read_token(file) == TOKEN
    assert token_in({TOKEN_VARIABLE: around.format(TOKEN)}) == TOKEN
    assert token_in({TOKEN_VARIABLE: ""}) == token_in({}) == ""
