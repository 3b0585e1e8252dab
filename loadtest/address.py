"""An address that may hold a password, as people write them: `postgresql://shop:secret@db/orders`, `10.0.0.7:50051`.

A raw `/`, `?` or `#` in a password ends what programs take for user, password and host, so the rest of the password
looks like a path, and half of it like a port. Nobody can tell then where it ends: such an address is refused at every
door, and shown as its scheme alone. The order service does the same with its own (`target_service/secrets.py`).
"""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

MASK = "***"
LAST_PORT = 65_535
_SQLITE = "sqlite:"
_HOST = r"(?: \[ [^]/?\#@]* ] | [^][:/?\#@,]* ) (?: : [0-9]* )?"
_SCHEME = r"[a-z][\w.+-]*://"
_PLAIN = re.compile(
    rf"""(?: (?P<scheme> {_SCHEME} ) | (?! {_SCHEME} ) ) (?: (?P<user> [^:/?\#@]* ) (?: : [^/?\#]* )? @ )?
    (?P<hosts> {_HOST} (?: , {_HOST} )* ) (?P<rest> (?: [/?\#] .* )? )""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE | re.ASCII,
)
"""A database may have several hosts."""
_PORT = re.compile(r":([0-9]+)(?=,|$)")
_PARAMETER = re.compile(r"(?<=[?&])(?:[a-z]*password|passfile)=[^&]*", re.IGNORECASE)


class UnclearAddressError(ValueError):
    """An address of which nobody can tell where its password or its port ends; the message does not show it."""


def check_clear(address: str) -> None:
    """Raise `UnclearAddressError` for an address that cannot be read in one way only, or has a port that is none."""
    if not _is_clear(address):
        raise UnclearAddressError(
            "expected an address as SCHEME://USER:PASSWORD@HOST:PORT/PATH, where a port is a number up to "
            f"{LAST_PORT}, and within each / is written as %2F, ? as %3F, # as %23 and @ as %40 "
            "(what was given is not shown, since it may hold a password)"
        )


def without_password(address: str) -> str:
    """The address without any password; the same text if there is none, and an unclear one's scheme alone."""
    if address.startswith(_SQLITE):
        return _PARAMETER.sub("", address)
    found = _read(address)
    if found is None:
        return _scheme(address) + MASK
    user = "" if found["user"] is None else f"{found['user']}@"
    return f"{found['scheme'] or ''}{user}{found['hosts']}{_PARAMETER.sub('', found['rest'])}"


def without_secrets(address: str) -> str:
    """The address without user, password and parameters."""
    if address.startswith(_SQLITE):
        return address.partition("?")[0]
    found = _read(address)
    if found is None:
        return _scheme(address) + MASK
    return f"{found['scheme'] or ''}{found['hosts']}{found['rest'].partition('?')[0]}"


def _is_clear(address: str) -> bool:
    found = _read(address)
    if found is None or any(int(port) > LAST_PORT for port in _PORT.findall(found["hosts"])):
        return False
    try:
        urlsplit(address if found["scheme"] else f"//{address}")
    except ValueError:  # such as a bracket in a password; the error may repeat it
        return False
    return True


def _read(address: str) -> re.Match[str] | None:
    """The parts of an address; None where an `@` in the rest may end a password, or a port is no number."""
    found = _PLAIN.fullmatch(address)
    if found is None or "@" not in found["rest"]:
        return found
    before = found["hosts"] + found["rest"].rpartition("@")[0]
    is_path = found["user"] is None and (":" not in before or _is_number(found["hosts"]))
    return found if is_path else None


def _is_number(host: str) -> bool:
    """Whether a host, which may have a port, is a number of IP: no user is called so."""
    try:
        ip_address(re.sub(r":[0-9]*$", "", host).strip("[]"))
    except ValueError:
        return False
    return True


def _scheme(address: str) -> str:
    found = re.match(_SCHEME, address, re.IGNORECASE | re.ASCII)
    return found[0] if found else ""
