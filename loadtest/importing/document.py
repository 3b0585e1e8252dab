"""A document by its path or its address."""

from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from loadtest.importing.import_error import ImportingError

_TIMEOUT_S = 30
_MOST_BYTES = 50_000_000


def fetched(url: str, shown: str) -> bytes:
    """What is at an address of HTTP. Raises `ImportingError`, which names it as `shown`."""
    if not url.startswith(("http://", "https://")):
        raise ImportingError(f'{shown}: expected an address with http:// or https://, got "{url[:80]}"')
    try:
        with urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the scheme is checked
            return bytes(answer.read(_MOST_BYTES))
    except HTTPError as error:
        said = error.read(300).decode("utf-8", "replace")
        raise ImportingError(f"{shown}: answered {error.code}: {said}") from error
    except (URLError, OSError, ValueError) as error:
        raise ImportingError(f"{shown}: cannot be fetched: {getattr(error, 'reason', error)}") from error


def document_text(place: str) -> str:
    """The text of a document. Raises `ImportingError`."""
    try:
        data = fetched(place, place) if "://" in place else Path(place).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ImportingError(f"{place}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ImportingError(f"{place}: expected UTF-8") from error
