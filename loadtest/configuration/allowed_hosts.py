"""Names of hosts that may be loaded, as people list them: alone, with a port, or as a whole address."""

import re
from urllib.parse import urlsplit

_NAME = re.compile(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?", re.ASCII)


def host_of(listed: str) -> str:
    """The host's name or address in `web`, `web:8080`, `[::1]:80` or `http://web:8080/`. Raises `ValueError`."""
    text = listed.strip()
    if "*" in text:
        raise ValueError(f"expected the name of one host, without wildcards, got {listed!r}")
    if text.count(":") > 1 and "//" not in text and not text.startswith("["):
        text = f"[{text}]"  # an address of IPv6 alone
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
    except ValueError:
        host = ""
    if ":" not in host and not _NAME.fullmatch(host):
        raise ValueError(f"expected the name of a host such as shop.test, got {listed!r}")
    return host
