"""One contract for two readers of a piece: the extension counts plain lines as polars does, and hands back others."""

import json
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadtest.importing.log_batch import Batch, batch_of
from loadtest.importing.log_format import BY_ADDRESS, FORMATS, NOBODY, LogFormat
from loadtest.importing.log_paths import Paths, PolarsPaths, no_paths
from loadtest.importing.log_scan import _scanner, batch_in
from loadtest.importing.log_time import second_of
from tests.importing.logs import LINES, Logged
from tests.required import extension

extension("loadtest.importing.line_scan")

SCANNED = ["combined", "envoy", "nginx-json", "envoy-json", "cloudflare", "traefik-json"]
A_FORM = settings().max_examples // 2
"""Examples for each form of JSON: four forms are read by the same code, under other names."""
METHODS = ["GET", "POST", "get", "PROPFIND", "A", "GE", "ABCDEFGHIJ", "ABCDEFGHIJK", "GET ", ""]
TARGETS = [
    "/",
    "/a?b=c",
    "*",
    "/ü",
    "/a b",
    "/\x01",
    "/\x7f",
    "/%20",
    "",
    "/" + "x" * 20_000,
    "?",
    '/"',
    "/\\",
]
INSTANTS = [
    "10/Nov/2025:23:59:59 +0000",
    "10/Nov/2025:23:59:58 +0800",
    "31/Feb/2025:23:59:59 +0000",
    "2025-11-10T23:59:00Z",
    "2025-11-10T23:59:00.310Z",
    "2025-11-11T07:59:00.3+08:00",
    "2025-11-10",
    "1762819140",
    "1762819140.512",
    "1762819140.9999999",
    "1762819140999999999",
    "9223372036854775808",
    "176281914",
    "99999999999.9",
    "-",
    "",
]
STATUSES = ["200", "404", "20", "2000", "-", "", "0", "099", " 20"]
CLIENTS = [
    "203.0.113.7",
    "shop:443 2001:db8::7",
    "shop 203.0.113.7 -",
    "a beef",
    " 1.2",
    "x[y",
    "jäne",
    "",
    "\t",
]


def assert_counted_alike(piece: bytes, log_format: LogFormat) -> None:
    """Both ways say the same, where polars looks for every field, whether some lines have it or not."""
    who = (NOBODY, BY_ADDRESS)[len(piece) % 2]  # either as often as the other
    plain, both = PolarsPaths(), no_paths()
    with mock.patch("loadtest.importing.log_format._names_in", return_value=set()):
        by_polars = batch_of(log_format.rows(piece, who), plain)
        by_both = batch_in(piece, log_format, who, both)
    assert shown(by_both) == shown(by_polars)
    assert kept(both) == kept(plain)


def shown(batch: Batch) -> tuple[object, ...]:
    counted = dict(batch.seconds), dict(batch.shapes)
    known = [(client, second_of(second), request) for _, client, second, request in batch.known.rows()]
    return *counted, batch.queried.rows(), known, batch.not_found, batch.broken, batch.first_broken


def kept(paths: Paths, most: int = 1_000_000) -> list[tuple[str, list[str], list[int]]]:
    return sorted(paths.most_requested(most))


def piece_of(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


PARTS = {
    "client": CLIENTS,
    "before": [" - - [", " - jane [", " [", "[", " - [a [", ""],
    "instant": INSTANTS,
    "after": ['] "', '] "', ']"', ' "', "] ", ""],
    "method": METHODS,
    "target": TARGETS,
    "protocol": [" HTTP/1.1", " HTTP/2.0", " http", "", " HTTP/1.1 x"],
    "between": ['" ', '" ', '"', '"  ', ""],
    "status": STATUSES,
    "rest": ["", " 153", ' 153 "-" "agent"', '"', "\r", " \xe4"],
}


ENVOY_PARTS = {
    "before": ["[", "[", "", " [", "ü[", "["],
    "instant": [*INSTANTS[3:6], *INSTANTS],
    **{name: some for name, some in PARTS.items() if name not in ("client", "before", "instant")},
    "rest": [' - 0 153 4 3 "203.0.113.7" "agent"', ' - 0 "-" "x"', "", ' "', ' "a', ' "jäne" ""', ' "" "'],
}


@st.composite
def written(draw: st.DrawFn, of: dict[str, list[str]]) -> bytes:
    """A line of text, of which at most two parts are not as they should be."""
    odd = draw(st.sets(st.sampled_from(sorted(of)), max_size=2))
    parts = {name: draw(st.sampled_from(some if name in odd else some[:2])) for name, some in of.items()}
    parts["method"] += " "
    return "".join(parts.values()).encode(draw(st.sampled_from(["utf-8", "latin-1"])), "replace")


VALUES: st.SearchStrategy[object] = st.one_of(
    st.sampled_from(
        [*METHODS, *TARGETS, *INSTANTS, *STATUSES, "GET / HTTP/1.1", "GET /a?b HTTP/2", "x\n", "\ud83d"]
    ),
    st.sampled_from([200, 404, 0, 1, 1.5, 1762819140, 1762819140.25, 1762819140512000000, -1, 1e30]),
    st.none() | st.booleans() | st.just({"a": [1]}) | st.just([]),
)


@st.composite
def an_object(draw: st.DrawFn, form: str) -> bytes:
    """A line of JSON, mostly as it should be."""
    at_s, status = draw(st.sampled_from([1_762_819_140, 1_762_819_141.31])), draw(st.sampled_from([200, 404]))
    target = draw(st.sampled_from(TARGETS if draw(st.integers(0, 4)) == 0 else TARGETS[:2]))
    fields = json.loads(LINES[form](Logged(at_s, "GET", target, status=status)))
    known = FORMATS[form].fields
    assert known is not None
    names = st.sampled_from([*sorted(known.wanted(None)), "other"])
    for name in draw(st.lists(names, max_size=draw(st.sampled_from([0, 0, 1, 2])))):
        fields[name] = draw(VALUES)
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=draw(st.sampled_from([0, 0, 0, 1])))):
        del fields[name]
    separators = draw(st.sampled_from([(", ", ": "), (",", ":"), (" , ", " :\t")]))
    text = json.dumps(fields, ensure_ascii=draw(st.booleans()), separators=separators)
    if draw(st.integers(0, 5)) == 0:
        cut, more = (
            draw(st.integers(0, len(text))),
            draw(st.sampled_from(["", "}", '"', "\\", "\x02", "0", ",", " "])),
        )
        text = text[:cut] + more + text[cut + draw(st.integers(0, 2)) :]
    if draw(st.integers(0, 5)) == 0:
        text = text[:-1] + ', "status": "404"}'
    return text.encode("utf-8", "surrogatepass")


ODD = st.sampled_from(
    [b"", b" ", b"\r", b"\t\x0b", b"{}", b"[]", b"null", b'"', b"\x00", b"\xff", b"GET / HTTP/1.1"]
)


ANY = st.binary(max_size=60).map(lambda data: data.replace(b"\n", b""))


@given(st.lists(written(PARTS) | ODD | ANY, max_size=12))
@example([b'1 - - [10/Nov/2025:23:59:59 +0000] "GET / HTTP/1.1" 404'])
def test_lines_of_combined_are_counted_alike(lines: list[bytes]) -> None:
    assert_counted_alike(piece_of(lines), FORMATS["combined"])


@given(st.lists(written(ENVOY_PARTS) | ODD | ANY, max_size=8))
def test_lines_of_envoy_are_counted_alike(lines: list[bytes]) -> None:
    assert_counted_alike(piece_of(lines), FORMATS["envoy"])


SEGMENTS = st.one_of(
    st.text("0129aZ_-.@%{}~", max_size=5),
    st.sampled_from(
        ["a%40b", "%4", "%400", "x" * 31, "x" * 32, "1" + "x" * 31, "12.html", "a123b", "1ü", "?q=1"]
    ),
)


@given(st.lists(st.lists(SEGMENTS, max_size=4).map("/".join), min_size=1, max_size=8))
def test_what_is_data_in_a_path_is_the_same_to_both(paths: list[str]) -> None:
    lines = [LINES["combined"](Logged(1_762_819_140, "GET", f"/{path}")).encode() for path in paths]
    assert_counted_alike(piece_of(lines), FORMATS["combined"])


@pytest.mark.parametrize("form", SCANNED[2:])
@settings(max_examples=A_FORM)
@given(data=st.data())
def test_lines_of_json_are_counted_alike(form: str, data: st.DataObject) -> None:
    assert_counted_alike(piece_of(data.draw(st.lists(an_object(form) | ODD, max_size=6))), FORMATS[form])


@pytest.mark.parametrize("form", SCANNED[2:])
@settings(max_examples=A_FORM)
@given(data=st.data())
def test_objects_are_counted_alike_wherever_lines_end(form: str, data: st.DataObject) -> None:
    """Several on a line, and one over several lines."""
    lines = data.draw(st.lists(an_object(form), min_size=1, max_size=4))
    between = data.draw(st.lists(st.sampled_from([b"", b" ", b"\n", b"\r\n", b" {}\n", b"\n\n"]), min_size=4))
    text = b"".join(line + end for line, end in zip(lines, between, strict=False))
    torn = data.draw(st.sampled_from([b", ", b",\n", b"\n,"]))
    assert_counted_alike(text.replace(b", ", torn) + b"\n" + lines[0] + b"\n", FORMATS[form])


@pytest.mark.parametrize("is_native", [True, False])
@pytest.mark.parametrize(
    ("odd", "broken"),
    [("{0}{0}", 1), ("{0} {0}", 1), ("{0} {{}}", 1), ("{0},", 1), ("{1}", 2), ("{0}{0}\n{1}", 3)],
)
def test_what_is_not_one_object_on_one_line_is_broken(odd: str, broken: int, is_native: bool) -> None:
    line = LINES["nginx-json"](Logged(1_762_819_140, "GET", "/a"))
    torn = line.replace(", ", ",\n", 1)
    piece = f"{line}\n{odd.format(line, torn)}\n{line}\n".encode()
    batch = batch_in(piece, FORMATS["nginx-json"], BY_ADDRESS, no_paths() if is_native else PolarsPaths())
    assert (batch.seconds.total(), batch.broken, batch.first_broken) == (2, broken, 1)


@pytest.mark.parametrize("form", SCANNED[2:])
@pytest.mark.parametrize("value", ["[" * 5_000 + "]" * 5_000, '{"a":' * 900 + "1" + "}" * 900, "1" * 5_000])
def test_a_value_that_is_too_deep_or_too_long_breaks_at_most_its_line(form: str, value: str) -> None:
    line = LINES[form](Logged(1_762_819_140, "GET", "/a"))
    fields = FORMATS[form].fields
    assert fields is not None
    for name in ("other", fields.status[0], fields.address[0]):
        odd = f'{line[:-1]}, "{name}": {value}}}'
        piece = f"{line}\n{odd}\n{line}\n".encode()
        assert_counted_alike(piece, FORMATS[form])
        assert batch_in(piece, FORMATS[form], BY_ADDRESS, no_paths()).seconds.total() >= 2


@pytest.mark.parametrize("form", SCANNED)
def test_a_usual_log_is_all_plain(form: str) -> None:
    """Or the extension would be of no use: nothing is left for polars."""
    lines = [LINES[form](Logged(1_762_819_140 + n / 7, "GET", f"/p/{n}?q={n}")).encode() for n in range(50)]
    scanner = _scanner(FORMATS[form])
    assert scanner is not None
    rows, *_, odd, odd_rows = scanner.scan(piece_of(lines))
    assert (rows, odd, odd_rows) == (50, b"", [])
    assert_counted_alike(piece_of(lines), FORMATS[form])


def test_many_different_requests_are_all_counted() -> None:
    lines = [
        LINES["combined"](Logged(1_762_819_140 + n % 90, "GET", f"/{n % 9_000}")).encode()
        for n in range(20_000)
    ]
    assert_counted_alike(piece_of(lines), FORMATS["combined"])


COUNTED = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.sampled_from(["", "a", "b", "ab", "ü", "\0", "\n"]), st.integers(1, 9)
    ),
    max_size=12,
)


@given(st.lists(st.tuples(COUNTED, st.integers(0, 3), st.integers(0, 12)), max_size=4), st.integers(1, 4))
def test_the_same_paths_are_forgotten_and_kept(
    pieces: list[tuple[list[tuple[str, str, int]], int, int]], most: int
) -> None:
    import polars as pl  # noqa: PLC0415 - a quarter of a second in each worker

    plain, both = PolarsPaths(), no_paths()
    for counted, paths, path_bytes in pieces:
        rows = [(f"GET /{shape}{{}}", f"GET /{shape}{path}", requests) for shape, path, requests in counted]
        frame = pl.DataFrame(
            rows, {"shape": pl.String, "asked": pl.String, "requests": pl.UInt32}, orient="row"
        )
        plain.add(frame)
        both.add(frame)
        assert both.forget_rare(paths, 8 * path_bytes) == plain.forget_rare(paths, 8 * path_bytes)
        assert kept(both, most) == kept(plain, most)


def test_each_piece_of_a_log_is_weighed_once_however_many_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    import polars as pl  # noqa: PLC0415 - a quarter of a second in each worker

    weighed: list[pl.DataFrame] = []

    def text_bytes(frame: pl.DataFrame) -> int:
        weighed.append(frame)
        return 5

    monkeypatch.setattr("loadtest.importing.log_paths._text_bytes", text_bytes)
    paths, frame = PolarsPaths(), pl.DataFrame({"shape": ["GET /"], "asked": ["GET /"], "requests": [1]})
    for _ in range(50):
        paths.add(frame)
        assert paths.forget_rare(1_000, 1_000) == 0
    assert len(weighed) == 50
