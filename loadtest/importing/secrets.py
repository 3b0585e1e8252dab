"""What is never copied from recorded traffic: personal data, and credentials.

A name says it (a `token` in a query, a `Cookie`), or the value does (an e-mail address, a signed token, a long random
text). Whatever is held back is named as a feeder, with made-up values in its place.
"""

import re
from itertools import pairwise

SECRET_WORDS = frozenset(
    """password passwd passphrase pass pwd secret secrets token tokens apikey accesskey auth authorization
    authentication session sessid sid jwt signature sig hmac otp pin cvv cvc iban card cardnumber ssn email mail phone
    mobile cookie csrf xsrf credential credentials verifier nonce""".split()  # noqa: SIM905 - reads better
)
"""Words that a secret's name holds, whether it is a header's, a query's or that of a field of a body."""
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
_E_MAIL = re.compile(r"[^\s@/]{1,64}(?:@|%40)[^\s@/]+\.[a-zA-Z]{2,}")
_SIGNED = re.compile(r"eyJ[\w-]{8,}")
_RANDOM = re.compile(
    r"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,}"
    r"|(?=[\w+/=.~-]{16,}$)(?:.*[-_.~+/])?(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{8,}"
)
"""Letters and digits mixed, and long: neither words with a number among them, nor a number."""
_CARD = re.compile(r"(?:\d[ -]?){13,19}")
_SHORTEST_NUMBER = 13
"""The least that `_CARD` and `_RANDOM` match."""
_LONGEST_CARD = 19


def is_secret_name(name: str) -> bool:
    """Whether what bears this name is a secret, whatever it is."""
    words = [word.lower() for word in _WORDS.findall(name)]
    pairs = [first + second for first, second in pairwise(words)]
    return (
        name.lower() in SECRET_HEADERS
        or not SECRET_WORDS.isdisjoint(words)
        or not SECRET_WORDS.isdisjoint(pairs)
        or any(word.endswith(("sessid", "sessionid", "password")) for word in words)
    )


def is_secret_value(value: str) -> bool:
    """Whether a value looks like an address, a token, a card's number or an identifier that nobody can guess.

    Most values are too short, or lack what such a one must hold, and no pattern is tried on them.
    """
    if value.isdecimal():
        return _SHORTEST_NUMBER <= len(value) <= _LONGEST_CARD
    return bool(
        (("@" in value or "%40" in value) and _E_MAIL.search(value))
        or ("eyJ" in value and _SIGNED.search(value))
        or (len(value) >= _SHORTEST_NUMBER and (_RANDOM.search(value) or _CARD.fullmatch(value)))
    )
