"""Audits each run as it ends, where `--audit-store` names the service's database or the plan an `auditor`.

The audit is a process of its own (`loadtest.run_audit`): the master goes on meanwhile. Its outcome joins a result
that is already written, and may change its verdict; a run that could not be audited says why.
"""

import logging
import os

import gevent
import msgspec
from gevent.event import Event

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig, Source
from loadtest.measure.run_result import Audit
from loadtest.plugin.led_run import LedRun
from loadtest.run_audit import STORE_VARIABLE, AuditorError, audit_apart, audit_in_process, check_auditor

TIMEOUT_S = 600.0
POLL_S = 0.1

logger = logging.getLogger(__name__)


def with_auditor(config: RunConfig) -> RunConfig:
    """The configuration with the class that audits the run, where its plan names one. Raises `ConfigError`.

    `--audit-store` takes its place. Where `singlesday run` conducts, it has checked the class, and audits itself.
    """
    if config.conducted and not config.web:
        return config
    if config.auditor is None and config.plan.auditor is not None and "audit_store" not in config.sources:
        named = Source("file", f"{config.plan_file or config.plan.name}: auditor")
        config = config.but(auditor=config.plan.auditor, sources=config.sources | {"auditor": named})
    if config.auditor is not None:
        check_class(config, config.auditor)
    return config


def check_class(config: RunConfig, auditor: str) -> None:
    """Raise `ConfigError` unless a class can be used to audit with, and the target is somebody's own."""
    named = config.named("auditor")
    if config.needs_service or config.service is not None:
        raise ConfigError(
            "auditor",
            f"{named}: expected together with --target; the order service's database is audited without it",
        )
    try:
        check_auditor(auditor, config.plan_file)
    except AuditorError as error:
        raise ConfigError("auditor", f"{named}: {error}") from error


class Auditor:
    """Audits the runs of one master."""

    def __init__(self) -> None:
        self.store = ""
        """The address of the service's database; without it only runs that name a class are audited."""
        self._busy: set[str] = set()
        self._idle = Event()
        self._idle.set()

    def follow(self, run: LedRun) -> None:
        """Audit `run` when it is over, unless `singlesday run` does."""
        if run.config.conducted and not run.config.web:
            return
        if self.store or run.config.auditor is not None:
            self._busy.add(run.info.id)
            self._idle.clear()
            gevent.spawn(self._audit, run)

    def busy_with(self, run: LedRun) -> bool:
        """Whether a run's audit has not ended yet."""
        return run.info.id in self._busy

    def wait(self) -> None:
        """Wait for the audits of runs that are over."""
        self._idle.wait(TIMEOUT_S)

    def _audit(self, run: LedRun) -> None:
        try:
            while not run.over:
                gevent.sleep(POLL_S)
            outcome = self._outcome(run)
            if isinstance(outcome, str):
                logger.warning("the run was not audited: %s", outcome)
            run.delivery.take_audit(outcome)
        finally:
            self._busy.discard(run.info.id)
            if not self._busy:
                self._idle.set()

    def _outcome(self, run: LedRun) -> Audit | str:
        """The audit, or why there is none."""
        environment, config = {**os.environ, STORE_VARIABLE: self.store}, run.config
        try:
            if config.auditor is not None:
                return audit_apart(run.folder, config.auditor, config.plan_file)
            said = audit_in_process([str(run.folder)], environment, TIMEOUT_S)
        except AuditorError as error:
            return str(error)
        return msgspec.json.decode(said, type=Audit)
