"""Pushes the master's metrics to a Prometheus that cannot reach it, every few seconds and once more at the end.

It runs in a greenlet beside the master's. Whatever the receiver does (refuse, hang, answer nonsense) costs that
greenlet its time and the run nothing: a push that failed is a warning, and a run of which something was lost gets a
note.
"""

import logging
import time
from collections.abc import Callable, Iterable

import gevent
import requests
from gevent.event import Event
from prometheus_client.metrics_core import Metric

from loadtest.pauses import Pauses
from loadtest.publish.exposition import RunCollector
from loadtest.publish.outbox import Outbox
from loadtest.publish.reading import Read
from loadtest.publish.receiver import Receiver
from loadtest.publish.remote_write import WriteRequests

EVERY_S = 2.0
FLUSH_S = 10.0
"""How long the last values of a run are tried to be delivered."""
FLUSH_PAUSE_S = 0.5
TIMEOUT_S = (3.0, 5.0)
"""To connect, and to answer."""
JOB = "loadtest"

logger = logging.getLogger(__name__)
OnLoss = Callable[[str], None]
"""(what of the run that has just ended was lost, in words)."""


class RefusedError(Exception):
    """The receiver will not take this body, however often it is sent."""


class RemoteWriter:
    """Pushes what `read` shows until it is closed. Raises `MissingExtraError`."""

    def __init__(self, receiver: Receiver, read: Read, instance: str, on_loss: OnLoss) -> None:
        self._receiver = receiver
        self._session = receiver.session
        self._read = read
        self._on_loss = on_loss
        self._requests = WriteRequests(job=JOB, instance=instance)
        self._outbox = Outbox()
        self._settled = ""
        self._warned = ""
        self._closing = Event()
        self._pushing = gevent.spawn(self._push_forever)

    def close(self) -> None:
        """Deliver the last values, in `FLUSH_S` at most."""
        self._closing.set()
        self._pushing.join(2 * FLUSH_S)

    def _push_forever(self) -> None:
        while not self._closing.wait(EVERY_S):
            self._collect()
            self._send()
        self._collect()
        self._flush()

    def _collect(self) -> None:
        """Note the run as it is now; the last of a run is delivered before anything else is looked at."""
        reading = self._read()
        if reading is None or reading.info.id == self._settled:
            return
        metrics: Iterable[Metric] = RunCollector(lambda: reading, Pauses(gevent.sleep)).collect()
        self._outbox.put(self._requests.body(metrics, round(time.time() * 1000)))
        if reading.over:
            self._settled = reading.info.id
            self._flush()

    def _send(self) -> None:
        """Send what is due, until the receiver fails."""
        while (body := self._outbox.due(time.monotonic())) is not None:
            try:
                self._post(body)
            except RefusedError as error:
                self._outbox.refused(str(error))
                self._warn()
            except requests.RequestException as error:
                self._outbox.failed(_reason(error), time.monotonic())
                self._warn()
            else:
                self._outbox.delivered()
                self._warned = ""

    def _flush(self) -> None:
        """Deliver everything or give it up, and say what of the run was lost."""
        deadline_s = time.monotonic() + FLUSH_S
        self._outbox.hurry()
        while len(self._outbox) and time.monotonic() < deadline_s:
            self._send()
            gevent.sleep(FLUSH_PAUSE_S if len(self._outbox) else 0)
        self._outbox.give_up()
        if self._outbox.lost:
            self._on_loss(f"remote write: {self._outbox.lost} pushes were lost ({self._outbox.why})")
            self._outbox.lost = 0

    def _post(self, body: bytes) -> None:
        answer = self._session.post(self._receiver.url, body, timeout=TIMEOUT_S, allow_redirects=False)
        if answer.status_code == 429 or answer.status_code >= 500:
            answer.raise_for_status()
        if answer.status_code >= 300:
            raise RefusedError(f"{answer.status_code} {answer.reason}: {answer.text[:200].strip()}")

    def _warn(self) -> None:
        """Say once of each trouble that it is there."""
        if self._outbox.why != self._warned:
            self._warned = self._outbox.why
            logger.warning("--remote-write: a push failed: %s", self._outbox.why)


def _reason(error: requests.RequestException) -> str:
    """What went wrong, in a few words and without addresses in memory."""
    if error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    return f"{type(error).__name__}: no answer from the receiver"
