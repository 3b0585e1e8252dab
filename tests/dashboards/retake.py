"""`python -m tests.dashboards.retake`: takes the documentation's pictures of the dashboards anew, within two minutes.

It plays Singles' Day with a Prometheus beside. Only a run that PASSes replaces pictures: leave the machine alone.
"""

import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from dashboards.catalogue import DASHBOARDS
from dashboards.picture import document, take
from loadtest.publish import wording
from tests.dashboards.watched_run import Watched, watched_run

FLAGS = ("--plan", "singles-day", "--peak-tps", "120")
MOST_S = 150.0
MARGIN_S = 3.0
"""Shown before the run."""
PICTURES = {
    "singlesday-peak-run": Path("docs/dashboard-peak-run.png"),
    "singlesday-order-service": Path("docs/dashboard-order-service.png"),
}


def main() -> int:
    """Play the run and take the pictures; the run's exit code."""
    with (
        TemporaryDirectory() as folder,
        watched_run(Path(folder), *FLAGS, window="1m", most_s=MOST_S) as seen,
    ):
        return replace_pictures(seen, PICTURES)


def replace_pictures(seen: Watched, pictures: dict[str, Path]) -> int:
    """Draw each dashboard into its file, if the run is a PASS; else say why not. The run's exit code."""
    word, sentence, reasons = wording.headline(seen.result)
    if word != "PASS":
        sys.stderr.write("\n  ".join([f"{word}: {sentence} No picture was replaced.", *reasons]) + "\n")
        return seen.result.exit_code
    began_s = datetime.fromisoformat(seen.result.run.started_at).timestamp()
    source = replace(seen.source, from_s=max(began_s - MARGIN_S, seen.source.from_s))  # it knows no more
    for dashboard in DASHBOARDS:
        if dashboard.uid in pictures:
            take(document(dashboard, source), pictures[dashboard.uid])
            sys.stdout.write(f"wrote {pictures[dashboard.uid]}\n")
    sys.stdout.write("README.md and docs/watching.md must not speak of a disturbed run any more\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
