"""What is never copied from recorded traffic: personal data, and credentials.

A name says it (a `token` in a query, a `Cookie`), or the value does (an e-mail address, a signed token, a long random
text). Whatever is held back is named as a feeder, with made-up values in its place.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

PASSWORD_WORDS = frozenset(
    """password passwd passphrase passcode pass pwd passwort kennwort pin contrasena motdepasse mdp senha
    parola wachtwoord losenord adgangskode passord salasana haslo heslo jelszo sifre parol matkhau""".split()  # noqa: SIM905 - reads better
)
"""What a password is called in the languages that shops are written in, without accents."""
_PASSWORD_ELSEWHERE = ("парол", "密码", "密碼", "パスワード", "비밀번호", "รหัสผ่าน", "סיסמה")
SECRET_WORDS = PASSWORD_WORDS | frozenset(
    """secret secrets geheimnis token tokens apikey accesskey auth authorization authentication session sessid sid
    jwt signature sig hmac otp cvv cvc iban card cardnumber kreditkarte kartennummer kontonummer ssn email mail
    correo courriel phone telephone telefon telefono mobile handynummer cookie csrf xsrf credential credentials
    verifier nonce""".split()  # noqa: SIM905 - reads better
)
"""Words that a secret's name holds, whether it is a header's, a query's or that of a field of a body."""
LOGIN_WORDS = frozenset(
    """auth oauth login logon signin signup register registration authenticate authentication anmelden anmeldung
    einloggen registrieren connexion connecter inscription acceso ingresar entrar accedi accesso inloggen
    aanmelden""".split()  # noqa: SIM905 - reads better
)
"""Words of a path to which somebody says who they are."""
_NOT_PERSONAL = frozenset(
    """grant type scope response client audience realm locale lang language currency country remember redirect
    provider platform device version""".split()  # noqa: SIM905 - reads better
)
"""Words of fields beside a password that say nothing of a person."""
SECRET_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "x-amz-security-token",
        "x-goog-api-key",
        "x-forwarded-for",
        "x-real-ip",
        "forwarded",
    }
)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_UNDIVIDED = str.maketrans("łøđıŁØĐ", "lodiLOD")
"""Letters whose strokes and dots are no accents to Unicode."""
_AFTER_AT = re.compile(r"(?:(?<=[^\s@/])@|[^\s@/]%40)([^\s@/]+)")
"""What follows a name and its `@`, to its end: whoever looks for a host looks there once."""
_HOST = re.compile(r"(?s:.)\.[a-zA-Z]{2}")
_SIGNED = re.compile(r"eyJ[\w-]{8,}")
_MIXED = r"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])"
"""Before letters and digits mixed, looked for only where they begin: else a text takes the square of its length."""
_RANDOM = re.compile(_MIXED + r"[A-Za-z0-9]{16,}")
"""Letters and digits mixed, and long: neither words with a number among them, nor a number."""
_TEXT_AT_END = re.compile(r"(?<![\w+/=.~-])[\w+/=.~-]{16,}$")
_RANDOM_IN_TEXT = re.compile(rf"(?:(?<=[-_.~+/])|(?=[\w+/=.~-]{{16}})){_MIXED}[A-Za-z0-9]{{8,}}")
"""The same, shorter, where what follows or goes before it makes one long text of it."""
_CARD = re.compile(r"(?:\d[ -]?){13,19}")
_SHORTEST_NUMBER = 13
"""The least that `_CARD` and `_RANDOM` match."""
_LONGEST_CARD = 19


@lru_cache(maxsize=1_000)  # a log's queries have a few names, and thousands of values of each
def is_secret_name(name: str) -> bool:
    """Whether what bears this name is a secret, whatever it is."""
    return (
        name.lower() in SECRET_HEADERS
        or is_password_name(name)
        or _holds(name, SECRET_WORDS)
        or name.lower().endswith(("sessid", "sessionid"))
    )


def is_password_name(name: str) -> bool:
    """Whether what bears this name is a password: a word of it is one, or two or three of them together."""
    low = name.lower()
    return (
        _holds(name, PASSWORD_WORDS)
        or any(one in low for one in _PASSWORD_ELSEWHERE)
        or any(word.endswith(("password", "passwort")) for word in _words(name))
    )


def is_login_path(path: str) -> bool:
    """Whether people say at this path who they are."""
    return any(_holds(segment, LOGIN_WORDS) for segment in path.split("/"))


def is_personal_beside_a_password(name: str) -> bool:
    """Whether a field of a login says who somebody is, and not how they log in."""
    words = _words(name)
    return not words or not _NOT_PERSONAL.issuperset(words[:1])


def _holds(name: str, wanted: frozenset[str]) -> bool:
    """Whether a word of a name is wanted, or two or three of them together."""
    words = _words(name)
    pairs = map("".join, pairwise(words))
    triples = map("".join, zip(words, words[1:], words[2:], strict=False))
    return not wanted.isdisjoint([*words, *pairs, *triples])


def _words(name: str) -> list[str]:
    """The words of a name in lower case, without accents."""
    plain = name
    if not name.isascii():
        whole = unicodedata.normalize("NFKD", name.translate(_UNDIVIDED))
        plain = whole.encode("ascii", "ignore").decode()
    return [word.lower() for word in _WORDS.findall(plain)]


def is_secret_value(value: str) -> bool:
    """Whether a value looks like an address, a token, a card's number or an identifier that nobody can guess.

    Most values are too short, or lack what such a one must hold, and no pattern is tried on them.
    """
    if value.isdecimal():
        return _SHORTEST_NUMBER <= len(value) <= _LONGEST_CARD
    return bool(
        (("@" in value or "%40" in value) and _has_e_mail(value))
        or ("eyJ" in value and _SIGNED.search(value))
        or (len(value) >= _SHORTEST_NUMBER and (_is_random(value) or _CARD.fullmatch(value)))
    )


def _has_e_mail(value: str) -> bool:
    return any(_HOST.search(found[1]) for found in _AFTER_AT.finditer(value))


def _is_random(value: str) -> bool:
    if _RANDOM.search(value):
        return True
    text = _TEXT_AT_END.search(value)
    return text is not None and _RANDOM_IN_TEXT.search(text[0]) is not None
