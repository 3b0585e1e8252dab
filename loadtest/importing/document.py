"""A document by its path or its address."""

import json
from base64 import b64encode
from http.client import HTTPException, InvalidURL
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from loadtest.address import UnclearAddressError, check_clear, without_secrets
from loadtest.importing.import_error import ImportingError

_TIMEOUT_S = 30
_MOST_BYTES = 50_000_000
_MOST_SAID = 300


def without_login(place: str) -> str:
    """An address without its login and its query, both of which may be secrets; a path as it is."""
    return without_secrets(place) if "://" in place else place


def fetched(url: str, shown: str) -> bytes:
    """What is at an address of HTTP, its login sent as Basic. Raises `ImportingError`, which names it as `shown`."""
    request = _request(url, shown)
    try:
        with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the scheme is checked
            return bytes(answer.read(_MOST_BYTES))
    except HTTPError as error:
        with error:
            raise ImportingError(f"{shown}: answered {error.code}: {_said(error.read(4000))}") from error
    except InvalidURL as error:  # its words repeat the query
        raise ImportingError(f"{shown}: expected an address without spaces, each written as %20") from error
    except HTTPException as error:
        raise ImportingError(f"{shown}: gave no whole answer of HTTP ({type(error).__name__})") from error
    except (OSError, ValueError) as error:
        raise ImportingError(f"{shown}: cannot be fetched: {getattr(error, 'reason', error)}") from error


def _request(url: str, shown: str) -> Request:
    if not url.startswith(("http://", "https://")):
        raise ImportingError(f"{shown}: expected an address with http:// or https://")
    try:
        check_clear(url)
    except UnclearAddressError as error:
        raise ImportingError(f"{shown}: {error}") from None
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    request = Request(parts._replace(netloc=host).geturl())  # noqa: S310 - the scheme is checked
    if login:
        basic = f"Basic {b64encode(unquote(login).encode()).decode()}"
        request.add_unredirected_header("Authorization", basic)  # where it leads to is another's
    return request


def _said(body: bytes) -> str:
    """Why a server refused, in one line: the `error` of an answer in JSON, else how its text begins."""
    try:
        why = json.loads(body)["error"]
    except (ValueError, LookupError, TypeError):
        why = body.decode("utf-8", "replace")
    return " ".join(str(why).split())[:_MOST_SAID]


def document_text(place: str) -> str:
    """The text of a document. Raises `ImportingError`."""
    try:
        data = fetched(place, without_login(place)) if "://" in place else Path(place).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ImportingError(f"{place}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ImportingError(f"{without_login(place)}: expected UTF-8") from error
