"""What is never copied, whatever the shop's language."""

import pytest

from loadtest.importing.recorded import Recorded
from loadtest.importing.secrets import is_password_name, is_secret_name
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
