"""The bill of machines: what follows from measurements, and that the documentation says nothing else."""

from pathlib import Path

import msgspec
import pytest

from benchmarks.bill_tables import with_tables
from loadtest.simulate.bill import (
    BUSY,
    Inputs,
    Line,
    Measured,
    bill,
    figure,
    read_inputs,
    rows,
    shipped_inputs,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "scale.md"


def exactly(value: float) -> Measured:
    return Measured(value=value, low=value, high=value, unit="", command="none", when="2026-11-29")


INPUTS = Inputs(
    machine="a test",
    **{name: exactly(1.0) for name in Inputs.__struct_fields__ if name != "machine"},
)


def line_of(what: str, part: str, inputs: Inputs = INPUTS, tps: float = 1_000_000.0) -> Line:
    return next(line for line in bill(tps, inputs) if (line.part, line.what) == (part, what))


def test_cores_are_work_by_time_at_the_share_that_is_planned_with() -> None:
    """A million a second at a microsecond each is one core's work."""
    assert line_of("cores", "generator").value == pytest.approx(1 / BUSY)
    assert line_of("cores", "service").value == pytest.approx(1 / BUSY)
    slower = msgspec.structs.replace(INPUTS, order_us=exactly(65.0))
    assert line_of("cores", "service", slower).value == pytest.approx(65 / BUSY)


def test_connections_follow_littles_law_and_commits_from_their_size() -> None:
    inputs = msgspec.structs.replace(
        INPUTS, requests_per_order=exactly(1.7), answer_ms=exactly(20.0), orders_per_commit=exactly(50.0)
    )
    assert line_of("connections", "generator", inputs).value == pytest.approx(34_000)
    assert line_of("commits", "service", inputs).value == pytest.approx(20_000)


def test_every_interval_holds_its_estimate_whatever_was_measured() -> None:
    for tps in (583.0, 583_000.0, 5_830_000.0):
        for line in bill(tps, shipped_inputs()):
            assert line.low <= line.value <= line.high, line


def test_ten_times_the_rate_is_ten_times_the_bill_but_for_whole_processes() -> None:
    one, ten = bill(583_000.0, shipped_inputs()), bill(5_830_000.0, shipped_inputs())
    for small, large in zip(one, ten, strict=True):
        if "a process" not in small.what:
            assert large.value == pytest.approx(10 * small.value, rel=0.2), small


def test_the_documents_tables_follow_from_the_shipped_measurements() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert with_tables(text, shipped_inputs()) == text, "python -m benchmarks.bill writes them anew"


def test_a_document_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="expected <!-- bill -->"):
        with_tables("nothing", shipped_inputs())


def test_measurements_of_ones_own_are_checked() -> None:
    with pytest.raises(msgspec.ValidationError, match="order_us"):
        read_inputs(b'{"machine": "m", "requests_per_order": {"value": 1, "low": 1, "high": 1, "unit": "", '
                    b'"command": "", "when": ""}, "order_us": 5}')  # fmt: skip


@pytest.mark.parametrize(
    ("value", "said"), [(0.034, "0.034"), (1.0, "1"), (34.4, "34"), (991_100, "991,000")]
)
def test_figures_have_the_digits_that_count(value: float, said: str) -> None:
    assert figure(value) == said


def test_rows_are_words() -> None:
    assert all(all(row) for row in rows(583_000.0, shipped_inputs()))
