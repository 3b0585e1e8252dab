"""One request from its call to its response: sent, repeated, redirected and judged.

`Sender._attempt` is one straight line for what nearly all requests are: compose the head, exchange it on an idle
connection. Whatever is rarer (a failure, a redirect, a cookie, a compressed body, a stream) is one test on that line
and code elsewhere.
"""

import re
from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Any, NamedTuple

from gevent import sleep
from locust.contrib.fasthttp import LocustBadStatusCode

from loadtest.drive.agent import Agent
from loadtest.drive.connection import Connection
from loadtest.drive.cookies import store_cookies
from loadtest.drive.errors import RedirectError, UnansweredError
from loadtest.drive.heads import ANNOUNCE_EMPTY_BODY
from loadtest.drive.http1 import final_head
from loadtest.drive.redirects import redirected_call
from loadtest.drive.response import Call, Response
from loadtest.drive.streamed_response import StreamedResponse
from loadtest.records import NO_EXCHANGE, Exchange, new_exchange

_SAFE_TO_REPEAT = frozenset(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])  # RFC 9110, section 9.2.2
_SMALL_BYTES = 4096  # up to here, searching head and body costs less than cutting the head off
careful_header = re.compile(rb"\n(?:set-cookie|content-encoding):", re.IGNORECASE).search
new_call: Callable[[tuple[Any, ...]], Call] = partial(tuple.__new__, Call)  # as in `records`


class Begun(NamedTuple):
    """A request that the core has begun and cannot finish."""

    connection: Connection | None
    """None: it got none, and `raised` says why."""
    raised: BaseException | None
    sent: bytes
    """The request, as far as it has been sent and beyond."""


class Sender(Agent):
    """Sends calls to where its agent's settings say, and says what came of them. Nothing is recorded here."""

    def _attempt(self, call: Call, begun: Begun | None = None) -> Response:
        """Send `call` once, and return what came back, or a response that holds the error."""
        method, target, headers, body, body_headers, kind = call
        pool, heads = self._routes.get(target.origin) or self._route_to(target.origin)
        if begun is None:
            length = len(body) if body or method in ANNOUNCE_EMPTY_BODY else None
            sent = heads.compose(method, target.path, body_headers, headers, length) + body  # `heads.sent`
        else:
            sent = begun.sent
        connection = None
        try:
            if begun is None:
                connection = pool.idle.pop() if pool.idle else pool.acquire()
                connection.exchange(sent, method == "HEAD", kind.streamed)
            else:
                connection = begun.connection
                if connection is None:
                    raise begun.raised or ConnectionError("no connection, for an unknown reason")
                connection.go_on(sent, begun.raised)
        except OSError as error:
            return self._failed(call, sent, connection, error)
        else:
            self.let_others_run = True
            reader = connection.reader
            raw, status = reader.raw, reader.status
            received_bytes = reader.fed_bytes or len(raw)
            opening = (0, 0)
            if connection.opening is not None:
                opening, connection.opening = connection.opening, None
            exchange = new_exchange((connection.first_ns, len(sent), received_bytes, opening[0], opening[1]))
            response = kind(
                call, sent, status, raw, reader.take_body(), connection.sent_ns, self._now_ns(), exchange
            )
            if status not in self._plain_successes or careful_header(
                raw if len(raw) < _SMALL_BYTES else reader.head
            ):
                response.needs_care = True
            if connection.paused and isinstance(response, StreamedResponse):
                response.attach(connection, pool)
            return response
        finally:
            if connection is not None and not connection.paused:
                pool.release(connection)

    def _seen_to(self, response: Response, most_retries: int | None, most_redirects: int | None) -> Response:
        """What a request came to in the end: repeated, redirected and judged."""
        response = self._repeated(response, most_retries)
        return self._care_for(response, most_redirects) if response.needs_care else response

    def _repeated(self, response: Response, most_retries: int | None) -> Response:
        """The response to a call that is sent anew as long as it fails, may be repeated and there are tries left.

        A kept-alive connection that turned out to be dead costs no try.
        """
        failures = 0
        while response.error is not None and _may_repeat(response):
            if not response.found_dead:
                failures += 1
                if failures > (self.max_retries if most_retries is None else most_retries):
                    break
                sleep(self.retry_delay)
            response = self._attempt(response.call)
            response.was_repeated = True
        return response

    def _failed(self, call: Call, sent: bytes, connection: Connection | None, error: OSError) -> Response:
        sent_ns, exchange = 0, NO_EXCHANGE
        if connection is not None:
            steps, connection.opening = connection.opening or (0, 0), None
            sent_ns, exchange = (
                connection.sent_ns,
                Exchange(0, len(sent), connection.reader.received_bytes, *steps),
            )
        response = call.response_type(call, sent, 0, b"", None, sent_ns, self._now_ns(), exchange)
        response.error = error
        response.found_dead = connection is not None and connection.found_dead
        return response

    def _care_for(self, response: Response, most_redirects: int | None) -> Response:
        """Store cookies, follow redirects, undo the content coding, and judge the status."""
        first = response
        history: list[Response] = []
        if most_redirects is None:
            most_redirects = self.max_redirects
        while (headers := response.headers) is not None:
            if "set-cookie" in headers:
                store_cookies(self.cookiejar, headers, response.url)
            location = headers.get("location")
            if not most_redirects or response.status_code not in self.redirect_response_codes:
                break
            if not location or not isinstance(location, str):
                break
            history.append(response)
            response = self._follow(response, location, len(history) > most_redirects)
        response.history = history
        response.sent_ns = first.sent_ns
        if history:
            response.exchange = _joined([response.exchange, *(hop.exchange for hop in history)])
        _judge(response, self._valid_response_codes)
        return response

    def _follow(self, response: Response, location: str, too_many: bool) -> Response:
        """What a redirect leads to."""
        response.release()
        try:
            if too_many:
                raise RedirectError("too many redirects")
            call = redirected_call(response.call, response.status_code, location, self._cookies)
        except (RedirectError, ValueError) as error:
            reason = error if isinstance(error, RedirectError) else RedirectError("redirect leads nowhere")
            return self._failed(response.call, response.sent, None, reason)
        return self._repeated(self._attempt(call), None)


def _joined(exchanges: Sequence[Exchange]) -> Exchange:
    """What crossed the network for a response and the redirects before it; the first byte is the response's."""
    steps = next(((one.connect_ns, one.tls_ns) for one in exchanges if one.connect_ns), (0, 0))
    sent_bytes = sum(one.sent_bytes for one in exchanges)
    return Exchange(exchanges[0].first_ns, sent_bytes, sum(one.received_bytes for one in exchanges), *steps)


def _judge(response: Response, valid: Container[int]) -> None:
    """Undo the content coding, and note what makes the response a failure."""
    if response.error is None and response.content_coding and not response.streamed:
        try:
            response.decode()
        except OSError as error:
            response.error = error
            response.length = 0
    if response.error is None and response.status_code not in valid:
        response.error = LocustBadStatusCode(response.url, code=response.status_code)


def _may_repeat(failed: Response) -> bool:
    """Whether sending the request twice has the effect of sending it once, and whether an answer still counts.

    Once the drain is over none does: FastHttpUser repeats after a timeout, but not once its greenlet is to end.
    """
    if isinstance(failed.error, UnansweredError):
        return False
    return failed.call.method in _SAFE_TO_REPEAT or b"\r\nidempotency-key:" in final_head(failed.sent).lower()
