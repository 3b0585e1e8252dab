"""`/metrics` as text, drawn by prometheus-client, and kept for as long as it is fresh.

Supervisor and workers share the cores that serve orders. A page takes 3 ms to draw, in OpenMetrics 5; a request
within `FRESH_S` of a drawing gets the same bytes, so a second scraper, or one that asks too often, costs a copy.
"""

import zlib
from collections.abc import Awaitable, Callable
from time import monotonic

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.aiohttp import make_aiohttp_handler
from prometheus_client.openmetrics.exposition import generate_latest as to_openmetrics

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
GZIP = 16 + zlib.MAX_WBITS
"""zlib's way to say gzip."""
FRESH_S = 0.5
"""Shorter than any usual interval between two scrapes. `Cache-Control: no-cache` asks for a new page."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def page_of(registry: CollectorRegistry, content_type: str = TEXT) -> bytes:
    """All metrics as they are now."""
    if content_type == OPENMETRICS:
        page: bytes = to_openmetrics(registry)  # type: ignore[no-untyped-call]  # prometheus-client's
        return page
    return generate_latest(registry)


class PageCache:
    """Pages as they go over the wire, by content type and whether in gzip, for as long as they are fresh."""

    def __init__(self, registry: CollectorRegistry, now_s: Callable[[], float] = monotonic) -> None:
        self._registry = registry
        self._now_s = now_s
        self._kept: dict[tuple[str, bool], tuple[float, bytes]] = {}

    def get(self, content_type: str, *, in_gzip: bool, anew: bool = False) -> bytes:
        """The page, `FRESH_S` old at most, or drawn `anew`.

        Packed with little effort: level 6 saves another tenth and takes four times as long.
        """
        now_s = self._now_s()
        made_s, body = self._kept.get((content_type, in_gzip), (float("-inf"), b""))
        if anew or now_s - made_s >= FRESH_S:
            body = page_of(self._registry, content_type)
            if in_gzip:
                body = zlib.compress(body, level=1, wbits=GZIP)
            self._kept[content_type, in_gzip] = (now_s, body)
        return body


def metrics_handler(registry: CollectorRegistry) -> Handler:
    """Serves the page; some metrics of it (`name[]=…`) are the library's to answer."""
    chosen: Handler = make_aiohttp_handler(registry)
    cache = PageCache(registry)

    async def scrape(request: web.Request) -> web.StreamResponse:
        if any(request.query.getall("name[]", ())):
            return await chosen(request)
        openmetrics = "application/openmetrics-text" in request.headers.get("Accept", "")
        content_type = OPENMETRICS if openmetrics else TEXT
        headers = {"Content-Type": content_type}
        in_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
        if in_gzip:
            # Here and not by `enable_compression`, which hands a body of this size to a thread.
            headers["Content-Encoding"] = "gzip"
        anew = "no-cache" in request.headers.get("Cache-Control", "")
        return web.Response(body=cache.get(content_type, in_gzip=in_gzip, anew=anew), headers=headers)

    return scrape
