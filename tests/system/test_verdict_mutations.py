"""Mutation of the verdict end to end: bad runs of real processes never end PASS, and say why; good ones do.

The other thousand ways are tried without processes in `tests/judge/test_verdict_mutations.py`. Each run here plays
two seconds, three at a time, all against one target; they are started together, so that the file takes about half a
minute on two cores. That makes a busy machine: a run may be INVALID because it was late. So what is asserted of a bad
run is that the fault itself was found, besides that it is no PASS; a good one that was late for others' sake is
played again, with no other beside it.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loadtest.judge.validity import INVALID
from loadtest.measure.run_result import RunResult
from tests.slow import cases_to_play
from tests.timing import CoreTakenError, Others, Timing, unless_taken

ROOT = Path(__file__).parents[2]
USERS = Path(__file__).with_name("mutation_users.py")
ERRORS_ALLOWED = ("errors(*) <= 100%", "availability >= 0%")
AT_ONCE = 3
NOBODY_LISTENS = "http://127.0.0.1:1"
PATIENT_S = 10.0


@dataclass(frozen=True)
class Case:
    """One run, and what must be found."""

    users: tuple[str, ...]
    found: str
    """A pattern that the terminal's verdict (or refusal) must show."""
    slos: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    virtual_users: int = 40
    patience_s: float = 0.5
    """Where late answers would change the figures that are asserted, more than a busy machine needs."""
    host: str = ""
    code: int | None = None
    """The exit code, where only one is right."""


BAD = {
    "500 to everything": Case(
        ("GetsErrors",), r"errors\(\*\) < 1% \(implicit\): observed 100%", patience_s=PATIENT_S
    ),
    "half a body": Case(("GetsHalf",), r"errors\(\*\) < 1% \(implicit\): observed 100%"),
    "connections reset": Case(("IsReset",), r"errors\(\*\) < 1% \(implicit\): observed 100%"),
    "one class of two fails": Case(("Fine", "GetsErrors"), r"errors\(\*\) < 1% \(implicit\): observed 50%"),
    "never an answer": Case(("IsNeverAnswered",), r"requests were never answered \(POST /hang"),
    "no answer from the middle on": Case(
        ("IsAnsweredAtFirst",), r"30 requests were never answered \(POST /hang-after/tail/10 30\)"
    ),
    "fast refusals where errors are allowed": Case(
        ("IsRefusedFast",),
        r"p99\(\*\) < 200ms: failed, none of 40 requests",
        slos=("p99(*) < 200ms", *ERRORS_ALLOWED),
    ),
    "the script always raises": Case(
        ("AlwaysRaises",), r"the script raised KeyError: 'basket' \d+ times .*mutation_users"
    ),
    "the script sometimes raises": Case(
        ("SometimesRaises",), r"the script raised ValueError: no such basket \d+ times"
    ),
    "no arrival makes a request": Case(("DoesNothing",), r"\d+ of 40 arrivals made no request"),
    "one scenario makes no request": Case(
        ("Fine", "DoesNothing"),
        r"scenarios_without_requests == 0 \(implicit\): observed 1 \(no request was made by DoesNothing\)",
        slos=ERRORS_ALLOWED,
    ),
    "users cannot start": Case(("CannotStart",), r"on_start failed for .*no account left", code=12),
    "a pool too small": Case(("WaitsLong",), r"pool of 2 users is too small", virtual_users=2),
    "a misspelt endpoint": Case(
        ("Fine",),
        r"failed, no requests to POST /okay; the nearest that was requested is POST /ok",
        ("p99(POST /okay) < 9s",),
    ),
    "tags that empty the class": Case(("Fine",), r"tag|tasks", flags=("--tags", "nothing"), code=2),
    "the wrong host": Case(("Fine",), r"127\.0\.0\.1:1", host=NOBODY_LISTENS, code=2),
}
GOOD = {
    "all is well": Case(("Fine",), "PASS", patience_s=PATIENT_S),
    "journeys": Case(("Journeys",), "PASS", patience_s=PATIENT_S),
    "two classes": Case(("Fine", "Journeys"), "PASS", patience_s=PATIENT_S),
    "errors are allowed": Case(("GetsErrors",), "PASS", slos=ERRORS_ALLOWED, patience_s=PATIENT_S),
    "what must not be called is not": Case(
        ("Fine",), "PASS", slos=("requests(GET /old) == 0",), patience_s=PATIENT_S
    ),
}


@dataclass
class Ended:
    """A run that is over."""

    code: int
    said: str
    folder: Path
    taken: str | None
    """By whom the cores were taken while it played, if they were."""
    result: RunResult | None = field(init=False)

    def __post_init__(self) -> None:
        path = self.folder / "result.json"
        self.result = RunResult.read(path) if path.exists() else None


def plan_of(case: Case) -> str:
    scenarios = "".join(f'[[scenario]]\nuser = "mutation_users:{user}"\n' for user in case.users)
    slos = "".join(f'[[slo]]\nexpr = "{expr}"\n' for expr in case.slos)
    return (
        f'name = "bad"\npeak_tps = {20 / len(case.users)}\nduration = "2s"\nvirtual_users = {case.virtual_users}\n'
        f'patience_s = {case.patience_s}\narrivals = "uniform"\n[profile]\ncurve = "constant"\n{scenarios}{slos}'
    )


def play(folder: Path, plan: str, script: Path, host: str, *flags: str) -> Ended:
    """Play a plan with plain Locust."""
    folder.mkdir()
    (folder / "plan.toml").write_text(plan, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(script),
        "--headless",
        "--plan",
        str(folder / "plan.toml"),
    ]
    command += ["-H", host, "--run-dir", str(folder / "run"), *flags]
    others = Others()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    return Ended(done.returncode, done.stdout + done.stderr, folder / "run", others.taken())


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    command = [sys.executable, str(Path(__file__).with_name("route_target.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


WITH_EVIDENCE = "500 to everything"
README = "the example of the README"


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, target: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Ended]]]:
    """Every run that a selected test asks for, some at a time; tests wait for the one that they are about."""
    out = tmp_path_factory.mktemp("runs")
    wanted = cases_to_play(request, "name") | {WITH_EVIDENCE, README}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(play_named, name, out, target)
            for name in [*BAD, *GOOD, README]
            if name in wanted
        }


def play_named(name: str, out: Path, target: str) -> Ended:
    """Play one of all the runs."""
    folder = out / name.replace(" ", "-")
    if name == README:
        return readme_example(folder, target)
    case = (BAD | GOOD)[name]
    return play(folder, plan_of(case), USERS, case.host or target, *case.flags)


@pytest.fixture
def undisturbed(
    runs: dict[str, Future[Ended]], target: str, timing: Timing, tmp_path: Path
) -> Callable[[str], RunResult]:
    """Runs that others did not spoil, by name: where they did, the test plays again, and so does the run."""

    def of(name: str) -> RunResult:
        ended = play_named(name, tmp_path, target) if timing.again else runs[name].result()
        runs[name] = Future()
        runs[name].set_result(ended)
        assert ended.result is not None, ended.said
        unless_taken(ended.result)
        if ended.taken is not None and ended.result.verdict == INVALID:
            raise CoreTakenError(ended.taken)
        return ended.result

    return of


def readme_example(folder: Path, target: str) -> Ended:
    """The script and the plan that the README shows, on a service that has no such path; only shorter."""
    blocks = re.findall(
        r"```(?:python|toml)\n# (checkout\.\w+)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    files = dict(blocks)
    script = folder.with_name("checkout.py")
    script.write_text(files["checkout.py"], encoding="utf-8")
    plan = re.sub(r"knots = .*", 'curve = "constant"', files["checkout.toml"])
    plan = plan.replace("peak_tps = 200", "peak_tps = 20").replace('"2m"', '"2s"')
    return play(folder, plan, script, target)


@pytest.mark.slow(stays=["500 to everything", "a misspelt endpoint"])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_run_never_ends_pass_and_says_what_was_bad(name: str, runs: dict[str, Future[Ended]]) -> None:
    case, ended = BAD[name], runs[name].result()
    assert ended.code not in (0, 1), ended.said
    assert re.search(case.found, ended.said), ended.said
    assert case.code in (None, ended.code), ended.said
    assert ended.result is None or ended.result.verdict != "PASS"
    assert "Traceback" not in ended.said or "Raises" in str(case.users) or "CannotStart" in case.users, (
        ended.said
    )


@pytest.mark.slow(stays=["journeys"])
@pytest.mark.parametrize("name", GOOD)
def test_a_good_run_has_nothing_against_it(
    name: str, runs: dict[str, Future[Ended]], undisturbed: Callable[[str], RunResult]
) -> None:
    result = undisturbed(name)
    ended = runs[name].result()
    assert all(slo.passed for slo in result.slo), ended.said
    assert not result.findings
    # One stall of the machine is forgiven where every objective was met.
    assert result.validity.verdict != INVALID, ended.said
    assert all("arrivals were sent up to" in reason for reason in result.validity.reasons), ended.said
    assert ended.code == 0, ended.said


def test_the_example_of_the_readme_on_a_service_that_answers_404_to_everything_fails(
    runs: dict[str, Future[Ended]], undisturbed: Callable[[str], RunResult]
) -> None:
    result = undisturbed(README)
    ended = runs[README].result()
    assert ended.code in (10, 11), ended.said
    missed = {slo.expr: slo for slo in result.slo if not slo.passed}
    assert set(missed) == {"p99.9(POST /cart/checkout) < 400ms", "errors(*) < 1%", "availability > 99%"}
    assert missed["errors(*) < 1%"].source == "implicit"


def test_an_error_has_evidence_in_every_file_with_its_secrets_masked(
    runs: dict[str, Future[Ended]], undisturbed: Callable[[str], RunResult]
) -> None:
    result = undisturbed(WITH_EVIDENCE)
    ended = runs[WITH_EVIDENCE].result()
    evidence = result.endpoints["POST /status/500"].evidence["status-500"]
    assert (evidence.count, evidence.status, evidence.request) == (40, 500, "POST /status/500")
    assert sum(count for _, count in evidence.per_second) == 40
    for place in (
        ended.said,
        *((ended.folder / f).read_text() for f in ("report.html", "summary.md", "junit.xml")),
    ):
        assert "hello" in place
        assert "s3cret" not in place
