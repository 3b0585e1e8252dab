"""Bearer tokens: whether a request carries the operator's."""

import hmac
from collections.abc import Mapping


def carries_token(headers: Mapping[str, str], token: str) -> bool:
    """Whether the `Authorization` header holds this token; never, if there is none to hold."""
    # aiohttp hands over bytes that are no UTF-8 as surrogates.
    offered = headers.get("Authorization", "").encode(errors="surrogateescape")
    return bool(token) and hmac.compare_digest(offered, f"Bearer {token}".encode())
