"""The parts of a drawn panel: names that stay apart, colours that stay the same, axes that can be read."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.colours import PALETTE, colours
from dashboards.frame import Frame, Phase, time_ticks
from dashboards.legend import LONGEST, Legend, shortened
from dashboards.spec import Unit

NAMES = st.lists(
    st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=60), unique=True, max_size=15
)


def words_of(svg: str, tag: str = "text") -> list[str]:
    root = ElementTree.fromstring(f"<svg>{svg}</svg>")  # noqa: S314  # our own text
    return ["".join(node.itertext()) for node in root.iter() if node.tag == tag]


@given(NAMES)
def test_names_that_differ_still_differ_when_they_are_cut(names: list[str]) -> None:
    cut = shortened(names)
    assert len(set(cut)) == len(names)
    for short, name in zip(cut, names, strict=True):
        assert short == name or (len(short) < len(name) and short.count("…") == 1)


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    [cut] = shortened(["POST /markets/{market}/checkouts/{id}/payment @ frankfurt"])
    assert len(cut) == LONGEST
    assert cut.startswith("POST /markets")
    assert cut.endswith("@ frankfurt")


@given(NAMES, st.integers(150, 1200))
def test_a_legend_shows_every_name_or_counts_those_it_has_no_room_for(
    names: list[str], width_px: int
) -> None:
    drawn = Legend(names, width_px).drawn(0, 0, dict.fromkeys(names, "#000"))
    shown = words_of(drawn)
    more = [int(words[1:-5]) for words in shown if re.fullmatch(r"\+\d+ more", words)]
    assert len(shown) - len(more) + sum(more) == len(names)
    assert set(", ".join(words_of(drawn, "title")).split(", ")) == set(names or [""])


@given(st.lists(st.sets(st.text("abcdefgh", min_size=1, max_size=2), max_size=len(PALETTE) // 3), max_size=3))
def test_the_names_of_a_panel_have_colours_of_their_own(panels: list[set[str]]) -> None:
    chosen = colours(panels)
    for names in panels:
        assert len({chosen[name] for name in names}) == len(names)


@given(st.permutations(["planned", "started", "completed", "a", "b", "c"]))
def test_a_colour_does_not_depend_on_the_order_of_the_series(names: list[str]) -> None:
    assert colours([names]) == colours([sorted(names)])
    assert colours([names])["planned"] == colours([["planned"]])["planned"]


@given(st.integers(0, 2**35).map(lambda eighths: eighths / 8), st.floats(1, 1e7), st.integers(1, 20))
def test_instants_on_the_axis_are_few_and_inside(from_s: float, lasts_s: float, most: int) -> None:
    ticks = time_ticks(from_s, from_s + lasts_s, most)
    assert len(ticks) <= most
    assert all(from_s <= at_s < from_s + lasts_s for at_s, _ in ticks)


@given(st.integers(0, 2**31), st.integers(10, 10**6), st.integers(200, 1200))
def test_labels_of_the_time_axis_neither_touch_nor_leave_the_panel(
    from_s: int, lasts_s: int, width_px: int
) -> None:
    frame = Frame(0, 0, width_px, 240)
    frame.lasting(from_s, from_s + lasts_s)
    labels = re.findall(r'<text class="m" x="([\d.]+)" y="[\d.]+">([^<]+)<', frame.time_axis())
    end_px = 0.0
    for x, words in labels:
        half_px = 6.6 * len(words) / 2  # as DejaVu Sans draws figures and colons at 12 px
        assert float(x) - half_px >= end_px
        end_px = float(x) + half_px
    assert end_px <= width_px


def test_two_minutes_are_divided_at_round_instants_of_utc() -> None:
    midnight_s = 1_605_052_800  # 2020-11-11T00:00:00Z
    assert [words for _, words in time_ticks(midnight_s - 10, midnight_s + 50, 3)] == ["00:00:00", "00:00:30"]
    assert [words for _, words in time_ticks(midnight_s, midnight_s + 7200, 4)][:2] == ["00:00", "00:30"]


@pytest.mark.parametrize("label", ["0", "1,000,000", "1,000,000,000"])
def test_no_label_of_the_value_axis_is_cut_off(label: str) -> None:
    frame = Frame(0, 0, 300, 240)
    frame.leave(labels=[label])
    digit_px = 7.7  # of DejaVu Sans at 12 px, the widest font that browsers fall back to
    assert frame.left - 6 - digit_px * len(label) >= frame.x


@pytest.mark.parametrize(("unit", "words"), [(Unit.ORDERS_PER_S, "orders/s"), (Unit.PER_S, "per s")])
def test_plain_numbers_have_their_unit_above_the_axis(unit: Unit, words: str) -> None:
    assert words in words_of(Frame(0, 0, 300, 240).value_axis([(0, "0")], unit))


def test_every_phase_is_a_band_and_named_where_there_is_room() -> None:
    frame = Frame(0, 0, 600, 240)
    frame.lasting(0, 100)
    phases = [Phase("before", 0, 40), Phase("opening", 40, 41), Phase("spike & calm", 41, 100)]
    drawn = frame.phases(phases)
    assert words_of(drawn, "title") == [phase.name for phase in phases]
    assert words_of(drawn)[0] == "before"
