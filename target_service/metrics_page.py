"""`/metrics` as text, drawn by prometheus-client, and kept for as long as it is fresh.

Supervisor and workers share the cores that serve orders. A page takes 3 ms to draw, in OpenMetrics 5; a request
within `FRESH_S` of a drawing gets the same bytes, so a second scraper, or one that asks too often, costs a copy.
"""

import zlib
from collections.abc import Callable
from time import monotonic

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as to_openmetrics
from prometheus_client.registry import Collector

from target_service.api.operation import ApiRequest
from target_service.response import ApiResponse

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
GZIP = 16 + zlib.MAX_WBITS
"""zlib's way to say gzip."""
FRESH_S = 0.5
"""Shorter than any usual interval between two scrapes. `Cache-Control: no-cache` asks for a new page."""


def page_of(registry: Collector, content_type: str = TEXT) -> bytes:
    """All metrics as they are now."""
    if content_type == TEXT:
        return generate_latest(registry)
    page: bytes = to_openmetrics(registry)  # type: ignore[no-untyped-call]  # prometheus-client's
    return page


class MetricsPage:
    """The page in each form that it is asked in, for as long as that is fresh."""

    def __init__(self, registry: CollectorRegistry, now_s: Callable[[], float] = monotonic) -> None:
        self._registry = registry
        self._now_s = now_s
        self._kept: dict[tuple[str, bool], tuple[float, bytes]] = {}

    async def serve(self, request: ApiRequest) -> ApiResponse:
        """All metrics; a scrape that chooses some (`name[]=…`) gets a page of its own.

        The page is packed with little effort: level 6 saves another tenth and takes four times as long.
        """
        names = [name for name in request.query.getall("name[]", ()) if name]
        content_type = (
            OPENMETRICS if "application/openmetrics-text" in request.headers.get("Accept", "") else TEXT
        )
        in_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
        made_s, body = self._kept.get((content_type, in_gzip), (float("-inf"), b""))
        anew = names or "no-cache" in request.headers.get("Cache-Control", "")
        if anew or self._now_s() - made_s >= FRESH_S:
            body = page_of(
                self._registry.restricted_registry(names) if names else self._registry, content_type
            )
            if in_gzip:
                body = zlib.compress(body, level=1, wbits=GZIP)
            if not names:
                self._kept[content_type, in_gzip] = (self._now_s(), body)
        return ApiResponse(200, body, {"Content-Encoding": "gzip"} if in_gzip else {}, content_type)
