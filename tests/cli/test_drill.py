"""`singlesday drill` without its runs: what it makes of how they end."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from loadtest.cli import drill
from loadtest.configuration.run_config import RunConfig
from loadtest.exit_codes import ExitCode
from loadtest.judge.verdict import VERDICTS
from loadtest.measure.run_result import RESULT
from loadtest.plan.plan_file import Plan, shipped_drills
from tests.publish.sample_result import Scene, sample_result

NAMES = ("worker-kill", "network-cut", "overload")


class Runs:
    """Stands for `run`: ends with one exit code after another; a run that is refused leaves no result."""

    def __init__(self, *codes: ExitCode) -> None:
        self._codes = list(codes)

    def __call__(self, config: RunConfig, _console: Console, **_variables: Mapping[str, str]) -> int:
        code = self._codes.pop(0)
        if code is not ExitCode.USAGE:
            result = sample_result(Scene(duration_s=12, peak_tps=50))
            result.verdict, result.exit_code = VERDICTS[code], int(code)
            folder = Path(config.folder or "")
            folder.mkdir(parents=True)
            result.write(folder / RESULT)
        return int(code)


def played(
    monkeypatch: pytest.MonkeyPatch, out: Path, capsys: pytest.CaptureFixture[str], *codes: ExitCode
) -> tuple[int, str]:
    """The exit code of as many drills as there are codes, and what was printed."""
    monkeypatch.setattr(drill, "run", Runs(*codes))
    configs = [
        RunConfig(plan=Plan.load(shipped_drills()[name]), plan_name=name, out=str(out))
        for name in NAMES[: len(codes)]
    ]
    code = drill.play(configs, Console(width=200))
    return code, capsys.readouterr().out


def test_a_drill_that_is_refused_ends_with_its_code_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = played(monkeypatch, tmp_path, capsys, ExitCode.USAGE)
    assert code == ExitCode.USAGE
    assert "verdict" not in said, "a table of nothing"


def test_what_was_found_before_a_drill_was_refused_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = played(monkeypatch, tmp_path, capsys, ExitCode.SLO_FAIL, ExitCode.USAGE, ExitCode.PASS)
    assert code == ExitCode.USAGE
    assert "worker-kill: FAIL" in said
    assert "overload" not in said, "a drill was run after one that was refused"


@pytest.mark.parametrize(
    ("codes", "gravest"),
    [
        ((ExitCode.PASS, ExitCode.PASS), ExitCode.PASS),
        ((ExitCode.INVALID, ExitCode.SLO_FAIL), ExitCode.SLO_FAIL),
        ((ExitCode.SLO_FAIL, ExitCode.AUDIT_MISMATCH, ExitCode.PASS), ExitCode.AUDIT_MISMATCH),
        ((ExitCode.PASS, ExitCode.ABORTED), ExitCode.ABORTED),
    ],
)
def test_the_gravest_verdict_is_that_of_all_drills(
    codes: tuple[ExitCode, ...],
    gravest: ExitCode,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert played(monkeypatch, tmp_path, capsys, *codes)[0] == gravest


def test_every_verdict_but_a_pass_has_its_place_among_the_gravest() -> None:
    assert set(drill.GRAVEST_FIRST) == set(VERDICTS) - {ExitCode.PASS}
