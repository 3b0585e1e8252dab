"""Secrets in files and in the environment, at every door that takes one."""

import argparse
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from locust.env import Environment

from loadtest.fleet.token import TokenError, read_token, token_in
from loadtest.plugin.publishers import PortError, Publishers
from loadtest.publish.receiver import BadReceiverError, Receiver
from loadtest.secret import LONGEST_BYTES, SecretError, one_line, secret_in, secret_in_file
from target_service.config import one_line as services_own

GOOD = "a secret of one line"
BAD = {
    "a second line": (b"a secret of one line\nand another\n", "2 lines"),
    "an empty line": (b"a secret of one line\n\n", "2 lines"),
    "a space after it": (b"a secret of one line \n", "white space around it"),
    "a space before it": (b"\ta secret of one line", "white space around it"),
    "Windows' line break": (b"a secret of one line\r\n", "a carriage return"),
    "nothing": (b"\n", "nothing"),
    "a mark": (b"\xef\xbb\xbfa secret of one line\n", "a byte order mark"),
    "UTF-16": ("\ufeffa secret of one line".encode("utf-16-le"), "a byte order mark"),
    "binary": (b"\x80\x81\x82" * 9, "bytes that are no text"),
    "a zero byte": (b"a secret of\x00one line", "characters that cannot be printed"),
    "10 MB": (b"x" * 10_000_000, "more than 4,096 bytes"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_line_of_text_is_refused_by_name_at_every_door_and_not_shown(
    what: str, tmp_path: Path
) -> None:
    data, got = BAD[what]
    file = tmp_path / "token"
    file.write_bytes(data)
    with pytest.raises(SecretError) as refused:
        secret_in_file(file, "--token-file token")
    said = str(refused.value)
    assert said.startswith(f"--token-file token: expected one line of text with nothing around it, got {got}")
    assert "secret of" not in said
    text = data.decode(errors="surrogateescape")
    with pytest.raises(
        TokenError, match=f"token: expected one line of text with nothing around it, got {got}"
    ):
        read_token(file)
    with pytest.raises(TokenError, match=f"LOADTEST_TOKEN: expected one line of text .* got {got}"):
        token_in({"LOADTEST_TOKEN": text})
    with pytest.raises(
        BadReceiverError, match=f"LOADTEST_REMOTE_WRITE_PASSWORD: expected one line .* got {got}"
    ):
        Receiver.of("https://there.example", {"LOADTEST_REMOTE_WRITE_PASSWORD": text})
    if what != "nothing":  # the service takes an empty one for none
        with pytest.raises(argparse.ArgumentTypeError, match="expected one line of text"):
            services_own(text)


def test_a_token_of_a_port_that_is_no_line_of_text_is_refused_by_name() -> None:
    publishers = Publishers(lambda: None, lambda _: False)
    options = Namespace(metrics_port=0, metrics_token="one\ntwo", web_token="one \n")
    expected = "expected one line of text with nothing around it, got"
    with pytest.raises(PortError, match=rf"--metrics-token \(LOADTEST_METRICS_TOKEN\): {expected} 2 lines"):
        publishers.open_metrics(options)
    shown, unused = Environment(), unused_door
    shown.web_ui = Namespace(app=object())  # type: ignore[assignment]
    with pytest.raises(
        PortError, match=rf"--web-token \(LOADTEST_WEB_TOKEN\): {expected} white space around it"
    ):
        publishers.open_web(shown, options, check_start=unused, start=unused, preview=unused, own_fields=())


def unused_door(*_: object) -> Any:
    raise AssertionError("a page that should not be there was asked for")


def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file or directory")):
        with pytest.raises(SecretError, match=rf"--token-file .*: cannot be read \({why}\)"):
            secret_in_file(path, f"--token-file {path}")


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=LONGEST_BYTES // 4))
def test_a_line_of_text_is_taken_as_it_is_with_and_without_a_line_break(text: str) -> None:
    assert one_line(text, "") == one_line(text + "\n", "") == one_line(text.encode(), "") == text
    assert services_own(text + "\n") == services_own(text) == text


def test_a_variable_that_is_set_to_nothing_is_not_set() -> None:
    assert secret_in({"NAME": ""}, "NAME") == secret_in({}, "NAME") == ""
    assert secret_in({"NAME": GOOD}, "NAME") == GOOD
