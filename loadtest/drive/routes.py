"""What the native core is told so that it can send on its own: one `Route` for a session's base origin."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from loadtest.drive._core import Route, Template
from loadtest.drive.bodies import encode_body, json_bytes
from loadtest.drive.heads import JSON_BODY, NO_BODY, Heads
from loadtest.drive.pool import Pool
from loadtest.drive.recorder import Recorder
from loadtest.drive.response import Call, CaughtResponse, Response
from loadtest.drive.urls import BaseUrl, Target
from loadtest.records import Outcome

_make_outcome: Callable[[tuple[Any, ...]], Outcome] = partial(tuple.__new__, Outcome)


def core_route(pool: Pool, heads: Heads, base: BaseUrl, recorder: Recorder) -> Route:
    """The route to the origin of `base`."""

    def make_call(  # noqa: PLR0917 - called by the core
        template: Any,
        target: str | Target,
        added: Mapping[str, str] | None,
        body: bytes,
        kind: type[Response],
    ) -> Call:
        whole = base.locate(target) if isinstance(target, str) else target
        return Call(template.method, whole, added, body, template.body_headers, kind)

    def make_sent(call: Call) -> bytes:
        return heads.sent(call.method, call.target.path, call.body_headers, call.headers, call.body)

    return Route(
        idle=pool.idle,
        waiting=pool.waiting,
        acquire=pool.acquire,
        wake_one=pool.wake_one,
        templates=heads.templates,
        bare_base=base.is_bare,
        remembered=base.remembered,
        origin=base.origin,
        recorder=recorder,
        make_call=make_call,
        make_sent=make_sent,
        make_template=heads.template,
        encode_body=encode_body,
        json_bytes=json_bytes,
        json_headers=JSON_BODY,
        no_headers=NO_BODY,
        make_outcome=_make_outcome,
        response_class=Response,
        caught_class=CaughtResponse,
    )
