"""Access logs of every format, whole and broken, as traffic."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.importing.import_error import ImportingError
from loadtest.importing.log_files import pieces_of
from loadtest.importing.log_format import FORMATS, Who
from loadtest.importing.log_reader import read_logs
from loadtest.importing.log_time import second_of, whole_seconds
from loadtest.importing.traffic import Traffic
from tests.importing.logs import LINES, Logged

START_S = 1_762_819_140
"""2025-11-10T23:59:00Z."""


def some_requests() -> list[Logged]:
    """Two minutes: two product pages a second, one order every second."""
    found = []
    for second in range(120):
        at_s = START_S + second + 0.25
        found += [
            Logged(at_s, "GET", f"/products/sku-{second % 60:06d}"),
            Logged(at_s, "GET", f"/products/sku-{second % 7:06d}?from=home"),
            Logged(at_s, "POST", "/orders", status=201),
        ]
    return found


def written(folder: Path, name: str, lines: list[str]) -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path: Path) -> Traffic:
    return read_logs([path])


def mix(traffic: Traffic) -> dict[str, int]:
    return {each.name: each.requests for each in traffic.endpoints}


@pytest.mark.parametrize("name", LINES)
def test_every_format_is_told_from_its_lines_and_read(tmp_path: Path, name: str) -> None:
    traffic = read(written(tmp_path, "access.log", [LINES[name](one) for one in some_requests()]))
    assert traffic.first_second == START_S
    assert traffic.counts == (3,) * 120
    assert mix(traffic) == {"GET /products/[sku]": 240, "POST /orders": 120}
    assert ("combined" if name == "apache" else name) in traffic.source


@pytest.mark.parametrize("name", LINES)
def test_a_broken_line_is_counted_and_named_and_not_fatal(tmp_path: Path, name: str) -> None:
    lines = [LINES[name](one) for one in some_requests()]
    broken = [lines[0][:25], "", '"', "\x00\xff binary", "GET / HTTP/1.1", '{"half": ']
    traffic = read(written(tmp_path, "access.log", [*lines[:200], *broken, *lines[200:]]))
    assert sum(traffic.counts) == 360
    (note,) = [note for note in traffic.notes if "broken" in note]
    assert note == f"5 broken lines left out; the first is {tmp_path / 'access.log'}:201"


@pytest.mark.parametrize(
    "packed", [gzip.compress, zstandard.compress, lambda data: data.replace(b"\n", b"\r\n"), bytes.strip]
)
def test_packed_files_and_other_ends_of_lines_read_the_same(
    tmp_path: Path, packed: Callable[[bytes], bytes]
) -> None:
    path = written(tmp_path, "access.log", [LINES["combined"](one) for one in some_requests()])
    plain = read(path)
    path.write_bytes(packed(path.read_bytes()))
    assert read(path) == plain


def test_rotated_files_are_read_as_one(tmp_path: Path) -> None:
    lines = [LINES["combined"](one) for one in some_requests()]
    paths = [written(tmp_path, "new.log", lines[150:]), written(tmp_path, "old.log", lines[:150])]
    assert read_logs(paths).counts == (3,) * 120


@given(st.binary(max_size=2000), st.integers(1, 100))
def test_pieces_are_whole_lines_and_nothing_is_lost(data: bytes, piece_bytes: int) -> None:
    import tempfile  # noqa: PLC0415 - hypothesis gives no fixture for each example

    with tempfile.NamedTemporaryFile() as file:
        data = b"x" + data
        file.write(data)
        file.flush()
        pieces = list(map(bytes, pieces_of(Path(file.name), piece_bytes)))
    assert b"".join(pieces) == data
    assert all(piece.endswith(b"\n") or len(piece) > 2 * piece_bytes for piece in pieces[:-1])


def test_what_was_answered_404_is_left_out_and_said(tmp_path: Path) -> None:
    scans = [LINES["combined"](Logged(START_S, "GET", f"/wp-{n}.php", status=404)) for n in range(50)]
    lines = [LINES["combined"](one) for one in some_requests()]
    traffic = read(written(tmp_path, "access.log", [*lines, *scans]))
    assert sum(traffic.counts) == 360
    assert "50 requests left out, answered with 404" in traffic.notes


def test_what_is_hardly_ever_asked_for_is_left_out_and_said(tmp_path: Path) -> None:
    requests = some_requests() * 10
    lines = [LINES["combined"](one) for one in [*requests, Logged(START_S, "GET", "/rare")]]
    traffic = read(written(tmp_path, "access.log", lines))
    assert "GET /rare" not in mix(traffic)
    assert any("1 rare endpoint left out" in note and "GET /rare" in note for note in traffic.notes)


def test_of_a_log_with_rare_endpoints_only_some_are_kept(tmp_path: Path) -> None:
    words = [f"{one}{other}" for one in "abcdefghijkl" for other in "mnopqrstuvwx"]
    requests = [Logged(START_S, "GET", f"/{word}/{one}") for word in words for one in "abcdefghij"]
    traffic = read(written(tmp_path, "access.log", [LINES["combined"](one) for one in requests]))
    assert len(traffic.endpoints) == 60
    assert any("1,380 rare endpoints left out, 95.83% of the requests" in note for note in traffic.notes)


def test_how_customers_go_on_is_told_by_their_clients(tmp_path: Path) -> None:
    lines = [
        LINES["combined"](
            Logged(
                START_S + client % 60 + 10 * step, method, path, client=f"10.0.{client // 250}.{client % 250}"
            )
        )
        for client in range(2000)
        for step, (method, path) in enumerate([("GET", "/products/sku-000001"), ("POST", "/orders")])
    ]
    steps = read(written(tmp_path, "access.log", lines)).steps
    assert [(step.before, step.after, step.share, step.median_s) for step in steps] == [
        ("GET /products/[sku]", "POST /orders", 1.0, 10)
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected lines of an access log, got none"),
        ("hello\nworld\n", ":1: expected lines of an access log"),
        (
            LINES["combined"](some_requests()[0]) + "\n" + "garbage\n" * 3,
            ":2: expected most lines to be combined",
        ),
    ],
)
def test_what_is_no_log_is_refused_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "access.log").write_text(text)
    with pytest.raises(ImportingError, match=said):
        read(tmp_path / "access.log")


@pytest.mark.parametrize(
    "data",
    [
        b"\x1f\x8bnot gzip",
        b"\x28\xb5\x2f\xfdnot zstd",
        gzip.compress(b"x" * 9999, mtime=0)[:40],
        gzip.compress(b"abc\n" * 1000, mtime=0)[:15] + b"\xff" * 40,
    ],
    ids=["no gzip", "no zstd", "cut", "of other bytes"],
)
def test_a_packed_file_that_is_broken_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "access.log.gz").write_bytes(data)
    with pytest.raises(ImportingError, match=r"access\.log\.gz: cannot be read"):
        read(tmp_path / "access.log.gz")


def test_logs_more_than_a_month_apart_are_refused(tmp_path: Path) -> None:
    lines = [LINES["combined"](Logged(START_S + days * 86_400, "GET", "/")) for days in (0, 40)]
    with pytest.raises(ImportingError, match="at most 31 days"):
        read(written(tmp_path, "access.log", lines))


@pytest.mark.parametrize(
    "written_as",
    [
        "11/Nov/2025:07:59:00 +0800",
        "2025-11-10T23:59:00Z",
        "2025-11-10T23:59:00.310Z",
        "2025-11-11T07:59:00+08:00",
        "1762819140",
        "1762819140.512",
        "1762819140512",
        "1762819140000000000",
    ],
)
def test_an_instant_is_read_however_it_is_written(written_as: str) -> None:
    assert second_of(written_as) == START_S


@example("inf")
@example("nan")
@example("1e300")
@given(st.text(max_size=40))
def test_no_text_raises_where_an_instant_is_wanted(text: str) -> None:
    found = second_of(text)
    assert found is None or found > -(10**11)


@pytest.mark.parametrize("fraction", ["", ".3", ".310", ".310999"])
@pytest.mark.parametrize("zone", ["", "Z", "+08:00"])
def test_fractions_of_a_second_are_cut_and_nothing_else(fraction: str, zone: str) -> None:
    import polars as pl  # noqa: PLC0415 - a quarter of a second in each worker

    written = pl.Series("second", [f"2025-11-10T23:59:00{fraction}{zone}", "rubbish", None])
    cut = whole_seconds(written)
    assert cut.to_list() == [f"2025-11-10T23:59:00{zone}", "rubbish", None]
    assert second_of(cut[0]) == second_of(written[0])


@given(st.lists(st.floats(1, 1e22) | st.integers(1, 10**20), min_size=1))
def test_numbers_of_any_unit_are_the_same_second_with_and_without_their_fractions(
    numbers: list[float],
) -> None:
    import polars as pl  # noqa: PLC0415 - a quarter of a second in each worker

    written = pl.Series("second", list(map(str, numbers)))
    assert [*map(second_of, whole_seconds(written))] == [*map(second_of, written)]


def test_a_fields_names_count_in_one_order_whatever_else_a_line_has(tmp_path: Path) -> None:
    """What was asked for as the client wrote it, else what it was made of; a broken line changes nothing."""
    at = '"time_iso8601": "2025-11-10T23:59:00+00:00", "status": 200'
    lines = [
        f'{{{at}, "request": "GET /written HTTP/1.1", "method": "POST", "uri": "/made"}}',
        f'{{{at}, "method": "GET", "request_uri": "/whole?a=1", "uri": "/whole"}}',
        f'{{{at}, "method": "GET", "request_uri": "", "uri": "/part"}}',
        f'{{{at}, "method": "PUT", "request": "/target", "uri": "/part"}}',
    ]
    whole = read(written(tmp_path, "whole.log", lines))
    assert mix(whole) == {"GET /written": 1, "GET /whole": 1, "GET /part": 1, "PUT /target": 1}
    assert mix(read(written(tmp_path, "broken.log", [*lines, '{"half": ']))) == mix(whole)


def test_a_query_may_have_a_field_of_its_own(tmp_path: Path) -> None:
    at = '"msec": 1762819140.5, "method": "GET", "status": 200'
    lines = [
        f'{{{at}, "uri": "/search", "args": "q=shoes"}}',
        f'{{{at}, "uri": "/search", "args": ""}}',
        f'{{{at}, "request_uri": "/search?q=shoes", "args": "q=shoes"}}',
    ]
    (search,) = read(written(tmp_path, "access.log", lines)).endpoints
    assert (search.called, search.requests) == ("/search", 3)
    assert search.query is not None
    assert sorted(search.query.rows) == [("",), ("?q=shoes",), ("?q=shoes",)]


@pytest.mark.parametrize("address", ["203.0.113.{}", "2001:db8::{}"])
def test_a_virtual_host_before_the_client_is_not_taken_for_it(tmp_path: Path, address: str) -> None:
    requests = [
        Logged(START_S + step, "GET", f"/{'ab'[step]}", address.format(client))
        for step in range(2)
        for client in range(30)
    ]
    plain = read(written(tmp_path, "access.log", [LINES["combined"](one) for one in requests]))
    hosted = [f"shop.example.com:443 {LINES['combined'](one)}" for one in requests]
    assert read(written(tmp_path, "hosts.log", hosted)).steps == plain.steps != ()


def test_bytes_that_are_no_utf8_break_no_line(tmp_path: Path) -> None:
    lines = [LINES["nginx-json"](one).encode() for one in some_requests()]
    (tmp_path / "access.log").write_bytes(
        b"\n".join([*lines, lines[0].replace(b"/products/", b"/\xe4\xf6\xfc/")])
    )
    traffic = read(tmp_path / "access.log")
    assert sum(traffic.counts) == 361
    assert not any("broken" in note for note in traffic.notes)


def test_a_broken_line_of_a_log_that_grows_is_named_by_its_own_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is read in other pieces when somebody asks for the line."""
    sizes = iter([1_000, 3_000])
    monkeypatch.setattr("loadtest.importing.log_reader.pieces_of", lambda path: pieces_of(path, next(sizes)))
    lines = [LINES["combined"](one) for one in some_requests()]
    traffic = read(written(tmp_path, "access.log", [*lines[:70], "", "broken", *lines[70:]]))
    assert any(
        f"1 broken line left out; the first is {tmp_path / 'access.log'}:72" in note for note in traffic.notes
    )


def test_the_needed_package_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ImportingError, match=r"polars: pip install 'singlesday-loadtest\[import\]'"):
        read(written(tmp_path, "access.log", ["x"]))


@pytest.mark.parametrize("form", ["nginx-json", "envoy-json", "cloudflare"])
@pytest.mark.parametrize("who", [None, Who(), Who(agent=True), Who(field="account")], ids=str)
def test_lines_of_json_read_as_a_batch_are_what_they_are_one_by_one(form: str, who: Who | None) -> None:
    """A broken line has its batch read the other way."""
    lines = [
        LINES[form](Logged(1_762_819_140 + n, "GET", f"/p/{n}?q={n}", f"10.0.0.{n}")).replace(
            "{", f'{{"account": "{"-" if n == 2 else n}", ', 1
        )
        for n in range(5)
    ]
    whole = "".join(f"{line}\n" for line in lines).encode()
    at_once = FORMATS[form].rows(whole, who)
    one_by_one = FORMATS[form].rows(whole + b'{"broken\n', who)[:-1]
    same = ["status"] + (["client"] if who else []) + (["request"] if form == "cloudflare" else [])
    assert at_once.select(same).equals(one_by_one.select(same))
    assert [*map(second_of, at_once["second"])] == [*map(second_of, one_by_one["second"])]
    assert [text.split()[:2] for text in at_once["request"]] == [
        text.split()[:2] for text in one_by_one["request"]
    ]
