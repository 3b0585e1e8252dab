"""Opens the ways to watch a run: the metrics port or a push, and our pages in Locust's web UI."""

import logging
import os
import socket
from argparse import Namespace
from collections.abc import Callable, Collection, Mapping

import gevent
from locust.env import Environment

from loadtest.pauses import Pauses
from loadtest.place import is_loopback
from loadtest.plugin.led_run import LedRun
from loadtest.plugin.observe import Observer
from loadtest.publish import web_ui
from loadtest.publish.exposition import exposition
from loadtest.publish.metrics_server import MetricsServer
from loadtest.publish.receiver import BadReceiverError, Receiver
from loadtest.publish.remote_write import MissingExtraError
from loadtest.publish.remote_writer import RemoteWriter
from loadtest.publish.start_page import Preview, StartPage
from loadtest.secret import SecretError, one_line

logger = logging.getLogger(__name__)


class PortError(Exception):
    """A port cannot be opened as asked: it is in use, or would be reachable from outside without a token."""


def _token(given: str, named: str) -> str:
    try:
        return one_line(given, named) if given else ""
    except SecretError as error:
        raise PortError(str(error)) from error


class Publishers:
    """The metrics port, push and pages of this process, for all its runs."""

    def __init__(self, current: Callable[[], LedRun | None], auditing: Callable[[LedRun], bool]) -> None:
        self.observer = Observer(current, auditing)
        self._current = current
        self._metrics: MetricsServer | None = None
        self._writer: RemoteWriter | None = None
        self._web = False

    def open_metrics(self, options: Namespace) -> None:
        """Serve `/metrics` if a port was asked for. Raises `PortError`."""
        if options.metrics_port is None:
            return
        token = _token(options.metrics_token, "--metrics-token (LOADTEST_METRICS_TOKEN)")
        if not is_loopback(options.metrics_host) and not token:
            raise PortError(
                f"--metrics-host {options.metrics_host}: is reachable from outside and needs a token in "
                "LOADTEST_METRICS_TOKEN"
            )
        try:
            self._metrics = MetricsServer(
                lambda content_type: exposition(self.observer.reading, content_type, Pauses(gevent.sleep)),
                options.metrics_host,
                options.metrics_port,
                token,
            )
        except OverflowError:
            raise PortError(f"--metrics-port {options.metrics_port}: expected a port, 0 to 65535") from None
        except OSError as error:
            raise PortError(f"--metrics-port {options.metrics_port}: {error.strerror}") from error
        logger.info("metrics http://%s:%d/metrics", options.metrics_host, self._metrics.port)

    def open_remote_write(self, options: Namespace) -> None:
        """Push metrics if a receiver was named. Raises `PortError`."""
        if not options.remote_write:
            return
        try:
            receiver = Receiver.of(options.remote_write, os.environ)
            self._writer = RemoteWriter(
                receiver, self.observer.reading, socket.gethostname(), self._note_loss
            )
        except (BadReceiverError, MissingExtraError) as error:
            raise PortError(f"--remote-write: {error}") from error

    def open_web(
        self,
        environment: Environment,
        options: Namespace,
        *,
        check_start: web_ui.CheckStart,
        start: Callable[[], StartPage],
        preview: Callable[[Mapping[str, str]], Preview],
        own_fields: Collection[str],
    ) -> None:
        """Put our page and our guard into Locust's web UI, if it has one. Raises `PortError`.

        `own_fields` are the arguments that the script has added to the form.
        """
        web = environment.web_ui
        if web is None or web.app is None:
            return
        token = _token(options.web_token, "--web-token (LOADTEST_WEB_TOKEN)")
        if not is_loopback(options.web_host) and not token:
            raise PortError(
                f"--web-host {options.web_host}: is reachable from outside and needs a token in "
                "LOADTEST_WEB_TOKEN"
            )
        web_ui.install(
            web.app,
            prefix=options.web_base_path or "",
            views=web_ui.Views(
                live=self.observer.view,
                state=self.observer.state,
                endpoint=self.observer.endpoint,
                reports=lambda: self.observer.folders,
                start=start,
                preview=preview,
            ),
            check_start=check_start,
            own_fields=own_fields,
            login=web.auth_required_if_enabled,
            token=token,
        )
        self._web = True

    def follow(self, run: LedRun) -> None:
        """Note that a run begins."""
        if self._web:
            self.observer.follow(run)

    def close(self) -> None:
        """Wait until scraper or receiver have the last values, then close."""
        gevent.joinall(
            [gevent.spawn(door.close) for door in (self._metrics, self._writer) if door is not None]
        )
        self._metrics = self._writer = None

    def _note_loss(self, what: str) -> None:
        run = self._current()
        if run is not None:
            run.delivery.note(what)
