"""A comparison in the terminal and as a page."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from loadtest.judge.compare import Comparison, Finding, Shift, Unit
from loadtest.publish import comparison as page

WORSE = Comparison(
    base_ids=["base-run"],
    head_id="head-run",
    shifts=[
        Shift("response p50", 2.0, 2.01, 0.005, -0.004, 0.014, Unit.MS, Finding.SAME),
        Shift("response p99", 10.0, 11.0, 0.1, 0.08, 0.12, Unit.MS, Finding.WORSE),
        Shift("completed orders/s", 1000, 1100, 0.1, 0.09, 0.11, Unit.TPS, Finding.BETTER),
        Shift("response p99.9", 0, 0, 0, 0, 0, Unit.MS, Finding.UNKNOWN),
        Shift("error rate", 0.001, 0.003, 0.002, 0.001, 0.003, Unit.SHARE, Finding.WORSE),
    ],
    notes=["plan: <script>alert(1)</script> in BASE, spike in HEAD"],
)
NOTHING = Comparison(["a"], "b", [], [])


POOLED = Comparison(["one", "two"], "other-run", [*WORSE.shifts], [])


def printed(*comparisons: Comparison, width: int = 110) -> str:
    file = io.StringIO()
    page.print_comparisons(comparisons, Console(file=file, width=width))
    return file.getvalue()


def test_the_terminal_shows_each_shift_with_its_interval() -> None:
    lines = [" ".join(line.split()) for line in printed(WORSE).splitlines()]
    assert lines[0] == "HEAD is worse than BASE: response p99 +10.0%, error rate +0.2 points."
    assert "response p50 2.00 ms 2.01 ms +0.5% -0.4% to +1.4% noise" in lines
    assert "response p99 10.0 ms 11.0 ms +10.0% +8.0% to +12.0% worse" in lines
    assert "error rate 0.1% 0.3% +0.2 points +0.1 points to +0.3 points worse" in lines
    assert "response p99.9 - - - - too little data" in lines


def test_no_figure_is_cut_short_where_lines_are_narrow_as_in_a_log() -> None:
    narrow, wide = (printed(WORSE, WORSE, width=width).split() for width in (60, 300))
    assert narrow == wide
    assert "…" not in "".join(narrow)


def test_the_page_draws_the_intervals_to_one_scale_and_escapes_the_notes() -> None:
    text = page.render([WORSE])
    assert "&lt;script&gt;" in text
    assert "<script" not in text, "nothing here needs one"
    bars = re.findall(r'class="range (\w+)" d="M(\S+) 0H(\S+)"/><circle class="range \w+" cx="(\S+)"', text)
    assert [bar[0] for bar in bars] == ["same", "worse", "better"]
    assert all(-100 <= float(low) <= float(value) <= float(high) <= 100 for _, low, high, value in bars)
    reach = 0.12 * 1.1
    assert [float(bar[3]) for bar in bars] == pytest.approx(
        [v / reach * 100 for v in (0.005, 0.1, 0.1)], abs=0.1
    )
    assert ">+13%</text>" in text


def test_a_comparison_without_data_is_drawn_too(tmp_path: Path) -> None:
    page.write([NOTHING], tmp_path / "compare.html")
    assert "too little data" in (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert printed(NOTHING).startswith("There is too little data to tell.")


def test_several_heads_begin_with_an_overview_of_a_column_each() -> None:
    lines = [" ".join(line.split()) for line in printed(WORSE, POOLED).splitlines()]
    assert lines[0] == "metric head-run other-run"
    assert "response p99 +10.0% worse +10.0% worse" in lines
    assert "HEAD head-run" in lines
    assert "BASE one, two" in lines


def test_the_page_of_several_heads_has_a_section_each_and_leads_to_it() -> None:
    text = page.render([WORSE, POOLED])
    assert text.count('class="verdict worse"') == 2
    assert '<a href="#head-2">other-run</a>' in text
    assert 'id="head-2"' in text
    assert "How much the 2 baselines differ" in text
    assert "<title>comparison · head-run and more against base-run</title>" in text
