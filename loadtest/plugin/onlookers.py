"""Opens the doors through which a run is watched: the metrics port, and our pages in Locust's web UI."""

import logging
from argparse import Namespace
from collections.abc import Callable

from locust.env import Environment

from loadtest.plugin.master import MasterRun
from loadtest.plugin.observe import Observer
from loadtest.publish import web_ui
from loadtest.publish.metrics_server import MetricsServer, is_loopback
from loadtest.publish.prometheus import exposition

logger = logging.getLogger(__name__)


class DoorError(Exception):
    """A port cannot be opened as asked: it is in use, or would be reachable from outside without a token."""


class Onlookers:
    """Whoever watches the runs of this process."""

    def __init__(self, current: Callable[[], MasterRun | None]) -> None:
        self.observer = Observer(current)
        self._metrics: MetricsServer | None = None
        self._web = False

    def open_metrics(self, options: Namespace) -> None:
        """Serve `/metrics` if a port was asked for. Raises `DoorError`."""
        if options.metrics_port is None:
            return
        if not is_loopback(options.metrics_host) and not options.metrics_token:
            raise DoorError(
                f"--metrics-host {options.metrics_host}: is reachable from outside and needs a token in "
                "LOADTEST_METRICS_TOKEN"
            )
        try:
            self._metrics = MetricsServer(
                lambda: exposition(self.observer.reading),
                options.metrics_host,
                options.metrics_port,
                options.metrics_token,
            )
        except OSError as error:
            raise DoorError(f"--metrics-port {options.metrics_port}: {error.strerror}") from error
        logger.info("metrics http://%s:%d/metrics", options.metrics_host, self._metrics.port)

    def open_web(self, environment: Environment, options: Namespace, check_start: web_ui.CheckStart) -> None:
        """Put our page and our guard into Locust's web UI, if it has one. Raises `DoorError`."""
        web = environment.web_ui
        if web is None or web.app is None:
            return
        if not is_loopback(options.web_host) and not options.web_token:
            raise DoorError(
                f"--web-host {options.web_host}: is reachable from outside and needs a token in "
                "LOADTEST_WEB_TOKEN"
            )
        web_ui.install(
            web.app,
            prefix=options.web_base_path or "",
            view=self.observer.view,
            check_start=check_start,
            reports=lambda: self.observer.folders,
            login=web.auth_required_if_enabled,
            token=options.web_token,
        )
        self._web = True

    def follow(self, run: MasterRun) -> None:
        """Note that a run begins."""
        if self._web:
            self.observer.follow(run)

    def close(self) -> None:
        """Let a scraper see the last values, then close."""
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None
