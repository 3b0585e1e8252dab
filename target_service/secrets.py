"""Secrets that must not be read in a log, on a page or in an error: passwords in DSNs, and the operator's token.

A DSN is shown as its scheme, host and database; all else of it may be a secret, and where one with a stray `@`, `/`
or `?` in its password ends cannot be known. What comes from libraries (their errors, their tracebacks) is searched
for the secrets themselves before it is written.
"""

import hmac
import logging
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

MASK = "***"
_SHORTEST = 4
"""Characters: a shorter secret would blot out words that are none."""
_SHOWN = re.compile(
    r"""(?P<scheme> \w+:// ) (?P<user> [^@?\#/]* @ )?
    (?P<place> (?: \[[0-9A-Fa-f:.]+\] | [\w.-]* ) (?: :[0-9]+ )? (?: ,[\w.-]+ (?: :[0-9]+ )? )* (?: /[\w./~+-]* )? )
    (?P<rest> \?[^@\#]* )?""",
    re.ASCII | re.VERBOSE,
)


def masked(dsn: str) -> str:
    """A DSN without anything that may be secret: of one that is written in no plain way, the scheme alone."""
    if dsn.startswith("sqlite:"):
        return dsn.partition("?")[0] + ("?" + MASK if "?" in dsn else "")
    found = _SHOWN.fullmatch(dsn)
    if found is None:
        scheme, mark, _ = dsn.partition("://")
        return scheme + mark + MASK if mark else MASK
    user, rest = (MASK + "@" if found["user"] else ""), ("?" + MASK if found["rest"] else "")
    return found["scheme"] + user + found["place"] + rest


def secrets_of(dsn: str, token: str) -> list[str]:
    """What must not be shown, the longest first."""
    found = {dsn, token} if "://" in dsn and not dsn.startswith("sqlite:") else {token}
    try:
        parts = urlsplit(dsn)
        found |= {parts.password or "", unquote(parts.password or "")}
        found |= {value for name, value in parse_qsl(parts.query) if "pass" in name.lower()}
        found |= {dsn.rpartition("@")[0].partition("://")[2].partition(":")[2]}
    except ValueError:
        pass
    return sorted((each for each in found if len(each) >= _SHORTEST), key=len, reverse=True)


class MaskingFormatter(logging.Formatter):
    """A log's format that writes none of these secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = list(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """One record with its traceback."""
        return self.mask(super().format(record))

    def mask(self, text: str) -> str:
        """The text with a mask for each secret."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def log_masked(secrets: Iterable[str], level: int) -> MaskingFormatter:
    """Log to standard error, at this level and above, never one of the secrets."""
    formatter = MaskingFormatter(secrets)
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])
    return formatter


EXPECTED_HEADER = (
    "expected the header Authorization: Bearer TOKEN, with the --admin-token that the service began with"
)


def carries_token(headers: Mapping[str, str], token: str) -> bool:
    """Whether the `Authorization` header holds this token; never, if there is none to hold.

    The scheme may be written in any case (RFC 9110, section 11.1). The time taken says nothing of the token's bytes.
    """
    # aiohttp hands over bytes that are no UTF-8 as surrogates.
    offered = headers.get("Authorization", "").encode(errors="surrogateescape")
    scheme, _, credentials = offered.partition(b" ")
    is_bearer = scheme.lower() == b"bearer"
    is_token = hmac.compare_digest(credentials.strip(b" "), token.encode(errors="surrogateescape"))
    return bool(token) and is_bearer and is_token
