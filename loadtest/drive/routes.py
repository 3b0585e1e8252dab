"""What the native core is told so that it can send on its own: one `Route` for a session's base origin."""

from collections.abc import Mapping

import msgspec

from loadtest.drive._core import Route, Template, equip
from loadtest.drive.bodies import encode_body, json_bytes
from loadtest.drive.heads import JSON_BODY, NO_BODY, Heads
from loadtest.drive.pool import Pool
from loadtest.drive.recorder import Recorder
from loadtest.drive.response import Call, CaughtResponse, Response
from loadtest.drive.urls import BaseUrl, Origin, Target
from loadtest.records import new_exchange, new_outcome


def core_route(
    pool: Pool, heads: Heads, base: BaseUrl, recorder: Recorder, known: Mapping[Origin, tuple[Pool, Heads]]
) -> Route:
    """The route to the origin of `base`, which holds as long as there is anything in `known`."""
    return Route(pool, heads, base, recorder, known)


def _make_call(  # noqa: PLR0917 - called by the core
    base: BaseUrl,
    template: Template,
    target: str | Target,
    added: Mapping[str, str] | None,
    body: bytes,
    kind: type[Response],
) -> Call:
    whole = base.locate(target) if isinstance(target, str) else target
    return Call(template.method, whole, added, body, template.body_headers, kind)


def _make_sent(heads: Heads, call: Call) -> bytes:
    return heads.sent(call.method, call.target.path, call.body_headers, call.headers, call.body)


equip(
    make_call=_make_call,
    make_sent=_make_sent,
    make_outcome=new_outcome,
    make_exchange=new_exchange,
    encode_body=encode_body,
    encode_plain_json=msgspec.json.encode,
    json_bytes=json_bytes,
    json_headers=JSON_BODY,
    no_headers=NO_BODY,
    response_class=Response,
    caught_class=CaughtResponse,
)
