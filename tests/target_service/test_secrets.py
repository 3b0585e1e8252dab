"""Secrets: in no DSN that is shown, and in no line of a log."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_service.secrets import MaskingFormatter, masked, secrets_of

PASSWORDS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=4).map(
    lambda text: f"Qx9{text}Qx9"
)


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("sqlite:///folder/orders.db", "sqlite:///folder/orders.db"),
        ("postgresql://shop:p%40ss@db:5432/orders", "postgresql://***@db:5432/orders"),
        ("postgresql://db/orders?user=u&password=p", "postgresql://db/orders?***"),
        ("postgresql://[::1]:5432/orders", "postgresql://[::1]:5432/orders"),
        ("postgresql://u@one:1,two:2/orders", "postgresql://***@one:1,two:2/orders"),
        ("postgresql:///orders?host=/run&password=p", "postgresql:///orders?***"),
        ("postgresql:/shop:secret@db/orders", "***"),
        ("postgres:secret", "***"),
    ],
)
def test_a_dsn_is_shown_as_its_host_and_database(dsn: str, shown: str) -> None:
    assert masked(dsn) == shown


@given(
    PASSWORDS,
    st.sampled_from(
        ["u:{}@h/d", "u:{}@h:1/d?ssl=no", "h/d?password={}", "u:{}", "u:{}/d", "h/d?sslpassword={}"]
    ),
)
def test_no_password_is_shown_wherever_it_stands_and_whatever_is_in_it(password: str, place: str) -> None:
    if place in ("u:{}", "u:{}/d"):
        password = password.replace("@", "")  # what stands behind the only @ is a host to everybody
    assert "Qx9" not in masked("postgresql://" + place.format(password))


@given(PASSWORDS.filter(lambda text: not set(text) & set("@?#/&;+% [],")))
def test_no_line_of_a_log_holds_a_secret(password: str) -> None:
    for dsn in (f"postgresql://u:{password}@h/d", f"postgresql://h/d?password={password}"):
        formatter = MaskingFormatter(secrets_of(dsn, "the-token"))
        try:
            raise ValueError(f"cannot use {dsn}, nor {password}")
        except ValueError as error:
            record = logging.LogRecord("x", logging.ERROR, "x", 1, "%s, the-token", (error,), None)
            record.exc_info = (type(error), error, error.__traceback__)
        said = formatter.format(record)
        assert password not in said
        assert "the-token" not in said
