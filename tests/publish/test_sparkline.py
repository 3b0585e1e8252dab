"""A picture the size of a word."""

from xml.etree import ElementTree as ET

from loadtest.publish.sparkline import HEIGHT_PX, sparkline


def test_what_never_happened_has_no_picture() -> None:
    assert sparkline([], 60) == ""
    assert sparkline([(1.0, 1)], 0) == ""


def test_each_second_stands_where_it_was_and_as_high_as_it_counted() -> None:
    picture = ET.fromstring(sparkline([(0.0, 1), (59.5, 4)], 60))  # noqa: S314  # our own output
    (path,) = picture
    assert path.get("d") == f"M1 {HEIGHT_PX}v-{HEIGHT_PX // 4}M119 {HEIGHT_PX}v-{HEIGHT_PX}"
    assert picture.get("aria-label") == "From 0 s to 59.5 s of 60 s"


def test_seconds_beyond_the_end_stay_in_the_picture() -> None:
    assert "M119" in sparkline([(75.0, 1)], 60)
