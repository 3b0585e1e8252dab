"""What is never copied, whatever the shop's language."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.importing.recorded import Recorded
from loadtest.importing.secrets import is_password_name, is_secret_name, is_secret_value
from loadtest.importing.session_script import session_script


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "Passwort",
        "userPassword",
        "new_password",
        "benutzerpasswort",
        "kennwort",
        "mot_de_passe",
        "motDePasse",
        "contraseña",
        "senha",
        "wachtwoord",
        "hasło",
        "parola",
        "şifre",
        "lösenord",
        "пароль",
        "密码",
        "パスワード",
        "mật_khẩu",
        "pin",
    ],
)
def test_passwords_are_known_by_their_name(name: str) -> None:
    assert is_password_name(name)
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["pinboard", "passage", "compass", "tokenizer_size", "sku", "größe", ""])
def test_names_that_only_sound_alike_are_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


def script_of(one: Recorded) -> str:
    return session_script([one], "Session", "shop-data").text


@pytest.mark.parametrize(
    "fields",
    [
        {"benutzer": "emma", "passwort": "geheim"},
        {"usuario": "emma", "contraseña": "geheim", "grant_type": "password"},
        {"vorname": "emma", "name": "geheim", "kennwort": "geheim"},
    ],
)
def test_who_stands_beside_a_password_is_not_copied(fields: dict[str, str]) -> None:
    for one in (
        Recorded("POST", "http://127.0.0.1/x", json_body={"user": fields}),
        Recorded("POST", "http://127.0.0.1/x", form=tuple(fields.items())),
    ):
        script = script_of(one)
        assert "emma" not in script
        assert "geheim" not in script
        assert ("grant_type" in fields) == ("'password'" in script)


@pytest.mark.parametrize("path", ["/login", "/anmelden", "/api/sign-in", "/oauth/token", "/user/signIn"])
def test_a_login_by_its_path_is_not_copied(path: str) -> None:
    script = script_of(
        Recorded("POST", f"http://127.0.0.1{path}", json_body={"wer": "emma", "wie": "geheim"})
    )
    assert "emma" not in script
    assert "geheim" not in script


def test_what_is_sent_for_a_token_with_an_address_is_not_copied() -> None:
    body = {"kto": "emma@example.org", "slowo": "geheim"}
    one = Recorded("POST", "http://127.0.0.1/x", json_body=body, answer={"access_token": "abc"})
    assert "geheim" not in script_of(one)


def test_the_body_of_an_order_is_copied() -> None:
    one = Recorded(
        "POST", "http://127.0.0.1/orders", json_body={"sku": "blue", "size": "xl"}, answer={"id": 1}
    )
    assert "'sku': 'blue', 'size': 'xl'" in script_of(one)


E_MAIL = re.compile(r"[^\s@/]{1,64}(?:@|%40)[^\s@/]+\.[a-zA-Z]{2,}")
RANDOM = re.compile(
    r"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,}"
    r"|(?=[\w+/=.~-]{16,}$)(?:.*[-_.~+/])?(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{8,}"
)
"""Both as they read best; they take the square of a text's length."""


def is_secret_plainly(value: str) -> bool:
    if value.isdecimal():
        return 13 <= len(value) <= 19
    tried = (E_MAIL.search(value), re.search(r"eyJ[\w-]{8,}", value), RANDOM.search(value))
    return any(tried) or re.fullmatch(r"(?:\d[ -]?){13,19}", value) is not None


piece = st.sampled_from(
    ["a", "Zq", "7", "42", "ä", "٣", "-", "_", ".", "~", "+", "/", "=", "@", "%40", "%4", " ", "\n", ":", "{",
     "abcdefgh", "1234567", "a1b2c3d4", "shop.com", "eyJ", ".de"]
)  # fmt: skip


@settings(max_examples=100)
@given(st.lists(piece, max_size=14).map("".join))
def test_what_looks_like_a_secret_does_however_it_is_looked_for(value: str) -> None:
    assert is_secret_value(value) == is_secret_plainly(value)


@pytest.mark.parametrize(
    "part", ["a", "-", "a-", "a1-", "%40", "a@", "a.", "a%40b/", "1 ", "=a1b2c3d", "eyJ", "/ab", "a1b2c3d4 "]
)
@pytest.mark.parametrize("end", ["", "!"])
def test_a_long_value_is_looked_at_once(part: str, end: str) -> None:
    """By the square of its length it takes minutes."""
    value = part * (200_000 // len(part)) + end
    begun_s = time.process_time()
    is_secret_value(value)
    assert time.process_time() - begun_s < 10
