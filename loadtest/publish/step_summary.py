"""Shows a verdict on the page of a GitHub Actions job: what is appended to `$GITHUB_STEP_SUMMARY` is drawn there.

Whoever says the verdict last calls it, once a run: `singlesday run` after the audit, plain Locust at its end.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from loadtest.measure.run_result import RunResult
from loadtest.publish import summary

VARIABLE = "GITHUB_STEP_SUMMARY"

logger = logging.getLogger(__name__)


def append_step_summary(result: RunResult, environment: Mapping[str, str] = os.environ) -> None:
    """Append the Markdown summary to the file that the environment names; nothing where it names none.

    A file that cannot be written is logged: it must not change how the run ends.
    """
    name = environment.get(VARIABLE)
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(summary.markdown(result) + "\n")
    except OSError as error:
        logger.error("could not append to $%s: %s", VARIABLE, error)  # the reason is enough: no traceback
