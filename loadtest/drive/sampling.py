"""One failure, described for people: what was asked, what was answered, what went wrong, with secrets masked."""

from typing import Any
from urllib.parse import urlsplit

from loadtest.drive.script_errors import error_text
from loadtest.measure.evidence import QUOTED, Sample
from loadtest.measure.masking import LOOKED_AT, masked

_KEPT_CONTENT = ("content", "_content", "_cached_content")
"""Where responses have the body that was read: ours, requests' and geventhttpclient's. Nothing is read for this."""


def sample_of(key: tuple[str, str, str], error: Exception, response: Any, url: str | None = None) -> Sample:
    """The sample of a failure at an endpoint, `key` = (method, name, class of error).

    `response` is what the client got, of whatever library, or None; `url` is what was requested, where the response
    does not tell.
    """
    method, name, label = key
    status = getattr(response, "status_code", None)
    asked = getattr(response, "requested_url", None) or url or getattr(response, "url", None)
    return Sample(
        method,
        name,
        label,
        status if isinstance(status, int) and 0 < status <= 999 else None,
        masked(error_text(error), QUOTED),
        masked(_kept_body(response), QUOTED),
        masked(f"{method} {_path(asked) if isinstance(asked, str) else name}", QUOTED),
    )


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}"


def _kept_body(response: Any) -> str:
    """What has been read of a response's body; a stream is left to the script."""
    if not hasattr(response, "__dict__") or getattr(response, "streamed", False):
        return ""
    kept = (
        {"content": response.content} if hasattr(response, "requested_url") else vars(response)
    )  # ours, or not
    body = next((kept[name] for name in _KEPT_CONTENT if isinstance(kept.get(name), bytes | str)), b"")
    return body[:LOOKED_AT] if isinstance(body, str) else bytes(body[:LOOKED_AT]).decode("utf-8", "replace")
