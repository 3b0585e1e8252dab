"""The planned curve's pictures: they show what the profile says, at any width, for any name."""

import csv
from xml.etree import ElementTree as ET

import pytest

from loadtest.plan.plan_file import Plan, shipped_plans
from loadtest.plan.profile import Phase, Piecewise, constant, decay, knots, ramp
from loadtest.publish.curve import as_csv, as_svg, as_text, headline, time_ticks

SVG = "{http://www.w3.org/2000/svg}"


def bars(text: str) -> list[str]:
    """The rows of the curve, without their labels, from the highest down, all of one width."""
    rows = [
        line.split("┤" if "┤" in line else "│", 1)[1]
        for line in text.splitlines()
        if "┤" in line or "│" in line
    ]
    width = max(map(len, rows))
    return [row.ljust(width) for row in rows]


def test_a_text_curve_fills_what_the_rate_fills() -> None:
    rows = bars(as_text("half", knots([(0, 50), (5, 50), (5, 100), (10, 100)]), width=65, height=10))
    half = len(rows[0]) // 2
    assert all(row == " " * half + "█" * half for row in rows[:5])
    assert all(row == "█" * 2 * half for row in rows[5:])


def test_a_spike_narrower_than_a_column_keeps_its_height() -> None:
    profile = knots([(0, 1), (5000, 1), (5000.1, 80), (5000.2, 1), (10_000, 1)])
    assert bars(as_text("needle", profile, width=60))[0].count("█") == 1


def test_a_text_curve_names_peak_phases_and_axes() -> None:
    text = as_text("singles-day", Plan.load("singles-day").with_overrides(peak_tps=583_000).profile())
    assert text.startswith("singles-day: peak 583,000 TPS at 36 s, 1 min in all, 26,375,521 transactions\n")
    for word in ("583,000 ┤", "╵before", "╵opening", "╵spike", "╵after", "0 s", "30 s", "1 min"):
        assert word in text


def test_a_phase_stands_under_its_beginning() -> None:
    profile = constant(1, 5).named("first").then(constant(2, 5).named("second"))
    lines = as_text("two", profile, width=60).splitlines()
    axis = next(line for line in lines if "└" in line)
    start = axis.index("└") + 1
    place = next(line for line in lines if "╵second" in line).index("╵second")
    assert place - start == pytest.approx((len(axis) - start) / 2, abs=1)


@pytest.mark.parametrize("width", [10, 40, 79, 200])
@pytest.mark.parametrize("name", shipped_plans())
def test_every_plan_fits_every_width(name: str, width: int) -> None:
    text = as_text(name, Plan.load(name).profile(), width=width)
    assert max(map(len, bars(text))) <= max(width, 30)


@pytest.mark.parametrize("name", shipped_plans())
def test_every_plan_becomes_a_picture_with_its_phases(name: str) -> None:
    profile = Plan.load(name).profile()
    root = ET.fromstring(as_svg(name, profile))  # noqa: S314 -- our own output
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert name in texts
    assert f"{profile.peak[1]:,.0f} TPS" in texts
    for phase in profile.phases:
        assert phase.name in texts
    assert root.find(f"{SVG}title").text == headline(name, profile)  # type: ignore[union-attr]


def test_a_picture_draws_the_curve_to_scale() -> None:
    root = ET.fromstring(as_svg("line", ramp(0, 1000, 10)))  # noqa: S314 -- our own output
    line = root.find(f"{SVG}polyline")
    assert line is not None
    (x0, y0), (x1, y1) = (tuple(map(float, point.split(","))) for point in line.attrib["points"].split())
    dot = root.find(f"{SVG}circle")
    assert dot is not None
    assert (float(dot.attrib["cx"]), float(dot.attrib["cy"])) == (x1, y1)
    assert y0 - y1 == pytest.approx(288 * 1000 / 1200, abs=0.2)  # the axis goes to 1,200
    assert x1 - x0 == pytest.approx(960 - 70 - 32, abs=0.2)


def test_labels_over_the_plot_do_not_hide_one_another() -> None:
    phases = [Phase(0, 0.5, "a long name"), Phase(0.5, 1, "another one"), Phase(1, 9, "c")]
    root = ET.fromstring(as_svg("x", Piecewise(constant(1, 10).segments, phases)))  # noqa: S314 -- our own output
    places = {text.text: float(text.attrib["y"]) for text in root.iter(f"{SVG}text")}
    assert places["a long name"] < places["another one"]


def test_names_are_escaped() -> None:
    svg = as_svg('<script>"&', constant(1, 1).named("</text><b>"))
    assert "<script>" not in svg
    assert "<b>" not in svg
    ET.fromstring(svg)  # noqa: S314 -- our own output


def test_a_profile_without_traffic_is_drawn_flat() -> None:
    nothing = constant(0, 10)
    assert set("".join(bars(as_text("none", nothing)))) <= {" "}
    ET.fromstring(as_svg("none", nothing))  # noqa: S314 -- our own output


def test_csv_has_every_second_and_the_end() -> None:
    rows = list(csv.reader(as_csv(decay(100, 5, 2.5)).splitlines()))
    assert rows[0] == ["t_s", "planned_tps", "transactions"]
    assert [row[0] for row in rows[1:]] == ["0", "1", "2", "2.5"]
    assert float(rows[2][1]) == pytest.approx(100 * 2.718281828**-0.2, rel=1e-6)
    assert float(rows[-1][2]) == pytest.approx(decay(100, 5, 2.5).total, abs=0.001)


@pytest.mark.parametrize("duration_s", [0.3, 10, 60, 3610, 86400, 10_000_000])
def test_ticks_are_few_and_within_the_plan(duration_s: float) -> None:
    ticks = time_ticks(duration_s, at_most=10)
    assert ticks[0] == 0
    assert 2 <= len(ticks) <= 11
    assert ticks[-1] <= duration_s * (1 + 1e-9)
