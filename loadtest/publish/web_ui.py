"""What we add to Locust's web UI: a start page, a live page, and a check of the token in front of everything.

*The guard.* Locust's UI lets any site read it and start a run against any host (docs/design.md). Here a
request must name this server by an address that is its own (so no other site's name can be pointed at it), a
request that changes something must come from this server's own pages, no answer is offered to other origins,
and a start is checked completely before Locust sees it: what cannot be played is answered with a sentence
that Locust's form shows, and fields the form does not have are refused, since Locust would set any option.

*The pages.* The start page takes the place of Locust's own at the root, which is at `/peak/locust` from then on and
works as before, as does its API. The live page, `/peak`, is drawn once; its script asks `/peak/live` each second for
what is new.
"""

import hmac
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import flask
import flask.typing
import msgspec
from markupsafe import escape
from werkzeug.exceptions import NotFound

from loadtest.place import is_loopback
from loadtest.publish.live import Live
from loadtest.publish.network import HEADINGS
from loadtest.publish.page import template
from loadtest.publish.run_folder import REPORT
from loadtest.publish.series import Sheet
from loadtest.publish.start_page import Preview, StartPage

SCRIPTS = ("words.js", "chart.js", "page.js", "live.js", "start.js")
ASSETS = {"report.css": "text/css", "pages.css": "text/css", **dict.fromkeys(SCRIPTS, "text/javascript")}
FORM_FIELDS = frozenset({
    "plan", "peak_tps", "duration", "time_scale", "seed", "host",
    "user_count", "spawn_rate", "run_time", "profile", "user_classes", "shape_class",
})  # fmt: skip
"""What Locust's start form sends: our options that it shows, and its own. A script may add arguments to them."""
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
LINK = (
    '<a href="{}" style="position:fixed;right:20px;bottom:20px;z-index:2000;padding:10px 16px;border-radius:6px;'
    'background:#143f73;color:#fff;font:600 14px/1.2 sans-serif;text-decoration:none">Peak: the run live</a>'
)

LOCUST = "locust.index"
CheckStart = Callable[[Mapping[str, str]], Mapping[str, str] | None]
"""Form fields -> why this cannot be started, as `message`, `field`, `expected` and `nearest`; None if it can."""
Login = Callable[[Callable[[], None]], Callable[[], flask.typing.ResponseReturnValue | None]]
"""Wraps a view as Locust does with `--web-login`: who is not logged in is sent to the login instead."""


class Views(NamedTuple):
    """What the pages call for their contents."""

    live: Callable[[str, float], Live]
    """(run the page knows, up to which second) -> what is new."""
    state: Callable[[], str]
    """As `Live.state`."""
    endpoint: Callable[[str], Sheet | None]
    """The charts of an endpoint of the run; None where there are none."""
    reports: Callable[[], Mapping[str, Path]]
    """The folders of this session's finished runs by name."""
    start: Callable[[], StartPage]
    preview: Callable[[Mapping[str, str]], Preview]
    """Form fields -> what would be played."""


FORM_TYPES = frozenset(["application/x-www-form-urlencoded", "multipart/form-data"])
NO_FORM = "expected the fields of the form (application/x-www-form-urlencoded), and nothing was started"


def install(
    app: flask.Flask,
    *,
    prefix: str,
    views: Views,
    check_start: CheckStart,
    own_fields: Collection[str] = (),
    login: Login = lambda view: view,
    token: str = "",
) -> None:
    """Add the page and the guard to Locust's app, before it serves. With `token`, everyone must give it.

    `prefix` is what Locust's own pages begin with (`--web-base-path`), mostly empty; `own_fields` are the arguments
    that the script has added to the form.
    """
    locusts_own = app.view_functions[LOCUST]
    app.register_blueprint(_pages(views, locusts_own, login), url_prefix=f"{prefix}/peak")
    app.view_functions[LOCUST] = _start_page(views, login)
    app.before_request(lambda: _refused(token))
    app.before_request(lambda: _bad_start(check_start, FORM_FIELDS | set(own_fields)))
    # Flask calls the first registered last: only there are the headers gone that flask_cors adds.
    app.after_request_funcs.setdefault(None, []).insert(0, _without_cors)


def _start_page(views: Views, login: Login) -> Callable[[], flask.typing.ResponseReturnValue]:
    logged_in = login(lambda: None)

    def start() -> flask.typing.ResponseReturnValue:
        return logged_in() or _drawn("start.html.j2", start=views.start())

    return start


def _drawn(name: str, **values: object) -> flask.Response:
    text = template(name).render(
        asset=lambda asset: flask.url_for("peak.asset", name=asset), url_for=flask.url_for, **values
    )
    return _guarded(flask.make_response(text))


def _pages(views: Views, locusts_own: Callable[[], Any], login: Login) -> flask.Blueprint:
    pages = flask.Blueprint("peak", __name__)
    logged_in = login(lambda: None)

    @pages.before_request
    def only_who_is_logged_in() -> flask.typing.ResponseReturnValue | None:
        return None if flask.request.endpoint == "peak.health" else logged_in()

    @pages.get("/", strict_slashes=False)
    def page() -> flask.Response:
        return _drawn("live.html.j2", network_headings=HEADINGS)

    @pages.get("/locust")
    def locust() -> flask.Response:
        return _with_link(flask.make_response(locusts_own()))

    _add_files(pages, views)
    _add_data(pages, views)
    return pages


def _add_files(pages: flask.Blueprint, views: Views) -> None:
    @pages.get("/assets/<name>")
    def asset(name: str) -> flask.Response:
        if name not in ASSETS:
            raise NotFound
        return flask.Response(_asset(name), mimetype=ASSETS[name])

    @pages.get("/runs/<name>/" + REPORT)
    def report(name: str) -> flask.Response:
        folder = views.reports().get(name)
        if folder is None or not (folder / REPORT).is_file():
            raise NotFound
        return flask.Response((folder / REPORT).read_bytes(), mimetype="text/html")

    @pages.get("/health")
    def health() -> flask.Response:
        return flask.Response("ok\n", mimetype="text/plain")


def _add_data(pages: flask.Blueprint, views: Views) -> None:
    """What the pages' scripts ask for."""

    @pages.get("/live")
    def live() -> flask.Response:
        since_s = flask.request.args.get("since", 0.0, type=float)
        return _json(views.live(flask.request.args.get("run", ""), since_s))

    @pages.get("/state")
    def state() -> flask.Response:
        return _json({"state": views.state()})

    @pages.post("/preview")
    def preview() -> flask.Response:
        return _json(views.preview(flask.request.form))

    @pages.get("/endpoint")
    def endpoint() -> flask.Response:
        sheet = views.endpoint(flask.request.args.get("name", ""))
        if sheet is None:
            raise NotFound
        return _json(sheet)


def _refused(token: str) -> flask.Response | None:
    """An answer for those who may not ask; None lets the request through."""
    request = flask.request
    if request.endpoint == "peak.health":
        return None
    if token and not _has(token):
        return flask.Response(
            "give the token as password\n", 401, {"WWW-Authenticate": 'Basic realm="singlesday"'}
        )
    if not token and not is_loopback(urlsplit(f"//{request.host}").hostname or ""):
        return flask.Response(f"{request.host!r} is not a name of this server\n", 421, mimetype="text/plain")
    if request.method not in {"GET", "HEAD", "OPTIONS"} and not _from_here():
        return flask.Response("requests from other sites are refused\n", 403, mimetype="text/plain")
    return None


def _has(token: str) -> bool:
    given = flask.request.authorization
    password = (given.password or "") if given and given.type == "basic" else ""
    return hmac.compare_digest(password.encode(), token.encode())


def _from_here() -> bool:
    """Whether the request's page is this server's; programs other than browsers send no Origin."""
    origin = flask.request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == flask.request.host


def _bad_start(check_start: CheckStart, fields: Collection[str]) -> flask.Response | None:
    """What Locust's form shows when a run cannot start; None lets the start through."""
    if flask.request.endpoint != "locust.swarm":
        return None
    if flask.request.content_length and flask.request.mimetype not in FORM_TYPES:
        # Locust would not read it, and start with what was there before.
        return flask.jsonify({"success": False, "message": NO_FORM, "field": "", "nearest": ""})
    form = flask.request.form
    foreign = sorted(set(form) - set(fields))
    if foreign:
        reason: Mapping[str, str] | None = {
            "message": f"{foreign[0]}: is not a field of this form",
            "field": foreign[0],
            "nearest": next(iter(get_close_matches(foreign[0], sorted(fields), n=1)), ""),
        }
    else:
        reason = check_start(form)
    return None if reason is None else flask.jsonify({"success": False, **reason})


def _with_link(response: flask.Response) -> flask.Response:
    """Locust's own page, which looks for its parts beside the root, with a way to ours."""
    if response.mimetype == "text/html":
        root, link = flask.url_for(LOCUST), LINK.format(flask.url_for("peak.page"))
        text = response.get_data(as_text=True).replace("</body>", link + "</body>")
        response.set_data(text.replace("<head>", f'<head><base href="{escape(root)}">', 1))
    return response


def _json(content: object) -> flask.Response:
    answer = flask.Response(msgspec.json.encode(content), mimetype="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _without_cors(response: flask.Response) -> flask.Response:
    for name in [name for name in response.headers.keys() if name.startswith("Access-Control-")]:  # noqa: SIM118
        del response.headers[name]
    return response


def _guarded(response: flask.Response) -> flask.Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response


@cache
def _asset(name: str) -> bytes:
    return files("loadtest.publish").joinpath("assets", name).read_bytes()
