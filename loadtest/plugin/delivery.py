"""The delivery of a run's result: written when the run ends, and again after its audit."""

import logging
import sys
from pathlib import Path

from rich.console import Console

from loadtest.exit_codes import ExitCode
from loadtest.fleet.checkpoint import CHECKPOINT
from loadtest.judge.verdict import settle
from loadtest.measure.run_result import Audit, RunResult
from loadtest.plugin.states import DELIVERY, DeliveryEvent, DeliveryState, States
from loadtest.publish.console_verdict import print_verdict
from loadtest.publish.run_folder import REPORT, deliver, rescue
from loadtest.publish.step_summary import append_step_summary

logger = logging.getLogger(__name__)


class Delivery:
    """Takes the final result of one run to its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.states = States("delivery", DeliveryState.PENDING, DELIVERY)
        self.result: RunResult | None = None
        """The final result; there is none while the delivery is pending."""
        self._announced = False

    def deliver(self, result: RunResult) -> None:
        """Write the final result and all that is drawn from it."""
        self.result = result
        self._write(result)

    def give_up(self) -> None:
        """Note that there will be no result because of a defect."""
        self.states.on(DeliveryEvent.FAIL)

    def note(self, text: str) -> None:
        """Add to a delivered result what a reader should know besides."""
        if self.result is not None:
            self.result.notes.append(text)
            self._write(self.result)

    def take_audit(self, outcome: Audit | str) -> None:
        """Settle a delivered result by its audit, or say why there is none."""
        if self.result is None:
            return
        if isinstance(outcome, str):
            self.result.unaudited = outcome
        else:
            self.result.audit = outcome
        self._write(settle(self.result))

    def announce(self, console: Console) -> None:
        """Say once how the run ended: on the terminal, and to a CI job that shows summaries."""
        if self.result is not None and not self._announced:
            self._announced = True
            resumable = (self.folder / CHECKPOINT).exists()
            print_verdict(self.result, self.folder / REPORT, console, resumable=resumable)
            append_step_summary(self.result)

    @property
    def exit_code(self) -> ExitCode:
        """What the process should end with."""
        if self.states.now is DeliveryState.RESCUED:
            return ExitCode.INTERNAL_ERROR
        return ExitCode(self.result.exit_code) if self.result else ExitCode.ABORTED

    def _write(self, result: RunResult) -> None:
        try:
            deliver(result, self.folder)
        except OSError as error:
            self.states.on(DeliveryEvent.FAIL)
            logger.error("could not write the result: %s", error)
            rescue(result, sys.stderr)
        else:
            self.states.on(DeliveryEvent.WRITE)
