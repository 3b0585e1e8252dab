"""`python -m dashboards.serve URL`: the dashboards as a page that follows a run, for who has no Grafana.

Each view of the page asks Prometheus anew and draws what `dashboards.preview` draws, and the page asks for itself
again every few seconds without a script. It listens on loopback only and answers to loopback's names only, so no
other site that is open in the same browser can read a run by giving its own name this address.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from dashboards.catalogue import DASHBOARDS
from dashboards.preview import draw, source_of
from dashboards.query import QueryError
from dashboards.spec import Dashboard

HOST = "127.0.0.1"
REFRESH_S = 5
WINDOWS_MINUTES = (2, 15, 60)
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
STYLE = (
    "body{margin:0;background:#f5f6f7;color:#16191d;font:14px sans-serif}main{max-width:1200px;margin:auto}"
    "nav{display:flex;flex-wrap:wrap;gap:8px 20px;padding:12px 8px}a{color:#143f73}a[aria-current]{color:#16191d;"
    "font-weight:600;text-decoration:none}.window{margin-left:auto}main>svg{max-width:100%;height:auto}p{padding:8px}"
)


class DashboardServer(ThreadingHTTPServer):
    """Serves the dashboards of the Prometheus at `url` on loopback; `port` 0 picks a free one. Raises `OSError`."""

    daemon_threads = True

    def __init__(self, url: str, port: int, scrape_s: float = 1) -> None:
        self.prometheus_url, self.scrape_s = url, scrape_s
        super().__init__((HOST, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: DashboardServer

    def do_GET(self) -> None:
        if self.headers.get("Host", "").split(":")[0] not in (HOST, "localhost"):
            self._answer(403, _message("This page answers to 127.0.0.1 and localhost only."))
            return
        path, _, query = self.path.partition("?")
        known = {dashboard.uid: dashboard for dashboard in DASHBOARDS} | {"": DASHBOARDS[0]}
        dashboard = known.get(path.strip("/"))
        minutes = parse_qs(query).get("minutes", ["15"])[-1]
        if dashboard is None or minutes not in map(str, WINDOWS_MINUTES):
            self._answer(404, _message(f"No such view; minutes are one of {WINDOWS_MINUTES}."))
            return
        self._answer(*_view(dashboard, int(minutes), self.server.prometheus_url, self.server.scrape_s))

    def _answer(self, status: int, body: str) -> None:
        content = body.encode()
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        """Say nothing: a page that asks every few seconds would fill the log."""


def _view(dashboard: Dashboard, minutes: int, url: str, scrape_s: float) -> tuple[int, str]:
    """Status and page; a Prometheus that does not answer is said on the page, which goes on asking."""
    try:
        status, drawn = 200, draw(dashboard, source_of(url, minutes=minutes, scrape_s=scrape_s))
    except (QueryError, OSError) as error:
        status, drawn = 502, _message(f"Prometheus at {url} does not answer: {error}")
    links = "".join(
        _link(other.title, other.uid, minutes, current=other is dashboard) for other in DASHBOARDS
    )
    windows = " ".join(
        _link(f"{window} min", dashboard.uid, window, current=window == minutes) for window in WINDOWS_MINUTES
    )
    return status, (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(dashboard.title)}</title>'
        f'<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="{REFRESH_S}">'
        f'<style>{STYLE}</style></head><body><main><nav aria-label="Dashboards">{links}'
        f'<span class="window">Last {windows}</span></nav>{drawn}</main></body></html>\n'
    )


def _link(words: str, uid: str, minutes: int, *, current: bool) -> str:
    mark = ' aria-current="page"' if current else ""
    return f'<a href="/{uid}?minutes={minutes}"{mark}>{escape(words)}</a>'


def _message(words: str) -> str:
    return f'<p role="alert">{escape(words)}</p>'


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.serve", description=__doc__)
    parser.add_argument("url", help="a Prometheus, for example http://127.0.0.1:9090")
    parser.add_argument("--port", type=int, default=8088, help="port on 127.0.0.1 (8088)")
    parser.add_argument("--scrape", type=float, default=1, help="Prometheus' scrape interval in seconds (1)")
    options = parser.parse_args(arguments)
    try:
        server = DashboardServer(options.url, options.port, options.scrape)
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"error: --port {options.port}: {error}\n")
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with server:
        sys.stdout.write(f"http://{HOST}:{server.server_port}\n")
        sys.stdout.flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
