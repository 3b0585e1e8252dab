"""Why a request failed, as exceptions a script can catch and as a small set of names statistics can count.

Every error is an `OSError`, because that is what Locust's FastHttpUser lets scripts rely on
(`FAILURE_EXCEPTIONS` of `locust.contrib.fasthttp`), and its text never holds an address, a port or a URL:
Locust's error table has a row for each distinct text, so a text that varies would grow the table without
bound.
"""

import socket
import ssl

from loadtest.records import UNANSWERED


class ProtocolError(ConnectionError):
    """The server sent something that is not HTTP/1.1, or more of it than the limits allow."""


class ConnectionClosedError(ConnectionError):
    """The server closed the connection before the response was complete."""


class _RequestTimeoutError(TimeoutError):
    @property
    def original(self) -> TimeoutError:
        """Itself: FastHttpUser wraps a timeout, and its scripts look for the timeout here."""
        return self


class ConnectTimeoutError(_RequestTimeoutError):
    """No connection within the connection timeout."""


class ReadTimeoutError(_RequestTimeoutError):
    """Nothing was received, or nothing could be sent, within the network timeout."""


class UnansweredError(_RequestTimeoutError):
    """The run's drain ended while this request was waiting for its answer."""


class RedirectError(ConnectionError):
    """More redirects than allowed, or one that leads nowhere."""


class AnswerError(ConnectionError):
    """A streamed answer that tells of an error, has no token, or is none."""


class HostNotAllowed(PermissionError):  # noqa: N818 - it is a refusal, not an error
    """The guard rail: this host is neither loopback nor on the list of allowed targets. Nothing was sent."""


# The first class that fits names the error, so that a subclass stands before its base.
_CLASSES: tuple[tuple[type[BaseException], str], ...] = (
    (ProtocolError, "protocol"),
    (RedirectError, "redirect"),
    (AnswerError, "answer"),
    (ConnectionClosedError, "closed"),
    (UnansweredError, UNANSWERED),
    (ConnectTimeoutError, "timeout-connect"),
    (TimeoutError, "timeout-read"),
    (ConnectionRefusedError, "refused"),
    (ConnectionResetError, "reset"),
    (BrokenPipeError, "reset"),
    (ConnectionAbortedError, "reset"),
    (HostNotAllowed, "not-allowed"),
    (ssl.SSLError, "tls"),
    (socket.gaierror, "dns"),
    (OSError, "network"),
)


def error_class(error: BaseException) -> str:
    """Name the class of `error` for `Outcome.error`: one of a dozen words; `failure` for a script's verdict.

    `network` is what the system reports beyond the named ones: no route, out of ports, out of descriptors.
    """
    for kind, name in _CLASSES:
        if isinstance(error, kind):
            return name
    return "failure"
