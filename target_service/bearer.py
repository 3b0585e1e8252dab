"""Bearer tokens: whether a request carries the operator's."""

import hmac
from collections.abc import Mapping

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
