"""Answers to bytes that are not HTTP: problem details, as for every other error.

aiohttp refuses a malformed request before any handler or middleware sees it, in its connection's protocol
(`RequestHandler.handle_error`), with plain text of its own. `ProblemProtocol` refuses in its place. aiohttp
has no parameter for the class of its protocol, so `ProblemRunner` makes its server of one that builds ours;
a good request meets no line of this file.
"""

from typing import Any

from aiohttp import web

from target_service import problem
from target_service.problem import ProblemError


class ProblemProtocol(web.RequestHandler):
    """One connection, whose malformed requests are answered with problem details."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what went wrong outside the API's own code; the connection closes after it.

        Raises ConnectionError if an answer has begun already.
        """
        refused = super().handle_error(request, status, exc, message)  # which logs it, and may raise
        if refused.status != 400:
            return ProblemError(problem.INTERNAL, problem.DEFECT, close=True).response()
        detail = (message or "malformed HTTP").partition("\n")[0].strip().rstrip(":")
        return ProblemError(problem.BAD_REQUEST, detail, close=True).response()


class ProblemServer(web.Server):
    """Makes a `ProblemProtocol` of each connection."""

    protocol_arguments: dict[str, Any]
    """What aiohttp gives to each of its protocols."""

    def __call__(self) -> web.RequestHandler:
        """The protocol of a new connection."""
        return ProblemProtocol(self, loop=self._loop, **self.protocol_arguments)


class ProblemRunner(web.AppRunner):
    """Runs an application whose malformed requests, too, are answered with problem details."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        server = ProblemServer(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
        )
        server.protocol_arguments = made._kwargs
        return server
