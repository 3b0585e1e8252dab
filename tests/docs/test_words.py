"""Words that nobody should meet any more: each was a riddle to readers, and has a plain sentence in its place."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READ_BY_PEOPLE = ("loadtest", "target_service", "docs", "dashboards", "README.md")
RETIRED = {
    r"kept its core from": "other programs used worker 1's CPU 26% of the time",
    r"most that the run's": "limit 10 ms",
    r"set out to do": "the load generator fell behind, so these numbers cannot be trusted",
    r"no data is not a pass": "an objective without data fails",
    r"no store was named": "no database given (--audit-store)",
    r"died with (a|the|its) (worker|machine)": "lost when worker 2 crashed",
    r"books (balance\b|are balanced|do not (balance|agree))": "every acknowledged order is stored",
    r"distrusts itself": "checks its own load generator",
    r"nothing can be said": "there is too little data to judge it",
    r"at least so slow": "with the time waited as response time",
    r"last words": "the end of its log",
    r"named likewise": "named in the same way",
    r"by what is known so far": "so far",
    r"beats with the seconds": "exact, unlike a rate of the counters",
    r"belongs? into the": "belongs in",
    r"was not its own": "not its own arrivals",
    r"(master|worker|client|service)'s books|(the|its|empty|no) books\b": "totals, a ledger, or the service's orders",
    r"stored_books|StoredBooks|PackedBooks|WorkerBook": "stored_orders, PackedTotals, WorkerTotals",
    r"fleet[./]course|\bCourse\(": "fleet/history",
    r"onlooker|doorkeeper|doorman": "who looks on; who is let in; the greeter",
    r"\bSeats?\b": "UserState",
    r"\.stretches\b|StretchRecords|\bre-?slices?\b": "Period, judge/periods, slots dealt anew",
    r"measure[./]window|\bWindow\(": "measure/second, OpenSeconds",
    r"of the report's make": "like the report",
    r"wait in vain": "without data",
    r"none of our business": "are ignored",
    r"the most precious first": "the most important file first",
    r"to be had\b": "there were",
    r"open_books|\bBook\(|keeps books|its book\b": "open_ledgers, LedgerFile",
    r"drawn row has no end": "rows drawn at random never run out",
    r"is another than ours": "wrong token; differs from this run's",
    r"has no such thing|own affair|nobody else comes there": "not judged, since every step plays one steady rate",
    r"comes anew|orders that few share|is not told: the log": "a visit ends after half an idle hour",
    r"cannot be listened at|is no address of": "cannot listen there, is not an address of this machine",
    r"heard too late of its share|its leases lasted|their leases lasted": "was paused, or told its arrivals too late",
    r"mend on_start|which is not written down|dropped or guessed": "fix; the run folder does not keep; left out",
    r"for want of a|what has to hold\.|seed of everything": "objectives, seed of all random choices",
    r"is there already, and is not": "exists already and is not overwritten",
    r"There is no such thing|thing is in a state|defect of the service": "Nothing was found; the order or parcel",
    r"above that the (target|load)|nothing sustained": "at a higher rate the target missed an objective",
    r"\bOf (kill|hook|cpu|delay|overload|bandwidth|disk-full)\b[,:]": "For hook: …",
    r"would probe|is that the right address": "would load, check the address",
}
"""A pattern, and what is said instead."""


@pytest.fixture(scope="module")
def lines() -> list[tuple[str, str]]:
    """(file and line number, text) of everything that users and the next engineer read."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *READ_BY_PEOPLE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in {
            ".py",
            ".pyx",
            ".pxi",
            ".md",
            ".js",
            ".j2",
            ".css",
            ".html",
            ".toml",
            ".yml",
            ".json",
        }:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            found += [(f"{name}:{number}", line) for number, line in enumerate(text.splitlines(), 1)]
    if not found:
        pytest.skip("there is no git checkout to read")
    return found


@pytest.mark.parametrize("pattern", RETIRED)
def test_a_retired_phrase_is_gone(pattern: str, lines: list[tuple[str, str]]) -> None:
    phrase = re.compile(pattern, re.IGNORECASE)
    left = [f"{where}: {line.strip()[:90]}" for where, line in lines if phrase.search(line)]
    assert left == [], f"say instead: {RETIRED[pattern]}"
