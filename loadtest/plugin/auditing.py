"""Audits each run as it ends, where `--audit-store` names the service's database or the plan an `auditor`.

The audit is a process of its own (`loadtest.run_audit`): the master goes on meanwhile. Its outcome joins a result
that is already written, and may change its verdict; a run that could not be audited says why.
"""

import logging
import os

import gevent
import msgspec
from gevent.event import Event

from loadtest.configuration.auditor import check_class, with_plans_auditor
from loadtest.configuration.run_config import RunConfig
from loadtest.environment import STORE_VARIABLE
from loadtest.measure.run_result import Audit
from loadtest.plugin.led_run import LedRun
from loadtest.run_audit import AuditorError, audit_apart, audit_in_process

TIMEOUT_S = 600.0
POLL_S = 0.1

logger = logging.getLogger(__name__)


def with_auditor(config: RunConfig) -> RunConfig:
    """The configuration with the class that audits the run, where its plan names one. Raises `ConfigError`.

    `--audit-store` takes its place. Where `singlesday run` conducts, it has checked the class, and audits itself.
    """
    if config.one_run:
        return config
    config = with_plans_auditor(config)
    check_class(config)
    return config


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
        if run.config.one_run:
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
