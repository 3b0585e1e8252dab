"""Recovers the result of a run whose master was killed, from its checkpoint and its workers' own records."""

from pathlib import Path

from loadtest.configuration.run_document import DocumentError, held
from loadtest.fleet import checkpoint as checkpoints
from loadtest.fleet.journal import read_reports
from loadtest.fleet.recovered import recover
from loadtest.judge.slo_syntax import parse
from loadtest.judge.verdict import judge
from loadtest.measure.run_result import RESULT
from loadtest.plan.plan_file import Plan


def recover_folder(folder: Path) -> str:
    """Write the result of a run that was killed, and say what it is made of; nothing for any other run.

    Raises `CheckpointError`, `PlanError`, `OSError`.
    """
    if not (folder / checkpoints.CHECKPOINT).is_file():
        return ""
    try:
        with held(folder):
            saved = checkpoints.read(folder)
            if saved.stopped is not None:
                return ""  # its master lived to write the result
            planned = Plan.from_json(saved.plan).profile().between
            found = recover(saved, read_reports(folder, saved.history.zero_wall_ns), planned)
            slos = [parse(expr) for expr in saved.slos]
            judge(found.result, slos, aborted=found.told, final=False)
            found.result.write(folder / RESULT)
    except DocumentError:
        return ""  # it is still going on
    reach_s = found.result.run.duration_s
    return f"{found.told}, up to {reach_s:.0f} s; `singlesday resume {folder}` goes on with it"
