"""Plans that are wrong in every way somebody thought of: each is one sentence that names file and key.

Every key of a plan is given every odd value, so that a key added to a plan is tried with all of them.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtest.plan.plan_file import Plan, PlanError

GOOD = """
name = "mine"
peak_tps = 100
duration = "20s"
time_scale = 1.0
arrivals = "uniform"
seed = 1
virtual_users = 10
patience_s = 10
trace_fraction = 0.5
auditor = "shop_audit:ShopAudit"
[profile]
knots = [["0s", 0.5], ["10s", 1.0]]
phases = [["0s", "4s", "early"]]
[[scenario]]
user = "shop:Order"
per_transaction = 1
transaction = true
[[scenario]]
user = "shop:Page"
per_transaction = 0.5
[[slo]]
expr = "errors(*) < 1%"
[abort]
unless = ["errors(*) < 50%"]
after = "2s"
[targets]
"shop.example" = 10
"""
KEYS = re.findall(r"^(\S+) = ", GOOD, re.MULTILINE)
ODD_VALUES = [
    *("true", "[]", "[[]]", "{}", "{a = 1}", '["a"]', '[[["0s"]]]'),
    *('"x y"', '""', '"\\u0000"', '"../x"', "2026-11-11", "12:00:00"),
    *("0", "-1", "-0.5", "nan", "inf", "-inf", "1e308", "1" + "0" * 30),
]
FINE = {
    *(("name", value) for value in ['"x y"']),
    *(("expr", value) for value in ['"x y"', '""', '"\\u0000"', '"../x"']),  # whose grammar is the judge's
    *(("unless", value) for value in ["[]", '["a"]']),
    *(("targets", value) for value in ["{}"]),
    *((key, "0") for key in ["seed", "trace_fraction"]),
    *(('"shop.example"', value) for value in ["1e308", "1" + "0" * 30]),
    ("phases", "[]"),
    ("transaction", "true"),
    ("time_scale", "1" + "0" * 30),
}
TOLD_BY_WHAT_IT_MAKES = {("peak_tps", "1e308"), ("time_scale", "1e308")}
"""Where the number is one, but the profile it makes is not finite."""


def reason(path: Path) -> str:
    """Why a plan is refused, from the name of its file on."""
    with pytest.raises(PlanError) as refused:
        Plan.load(path)
    said = str(refused.value).replace(f"{path.parent}/", "")
    assert len(said.splitlines()) == 1
    assert len(said) < 400
    return said


def refused(folder: Path, text: str | bytes) -> str:
    path = folder / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    said = reason(path)
    assert said.startswith("mine.toml: ")
    return said


def with_value(key: str, value: str) -> str:
    return re.sub(
        rf"^{re.escape(key)} = .*$", lambda _: f"{key} = {value}", GOOD, count=1, flags=re.MULTILINE
    )


def odd_plans() -> Iterator[tuple[str, str]]:
    yield from ((key, value) for key in dict.fromkeys(KEYS) for value in ODD_VALUES)


def test_the_plan_that_is_broken_here_is_good(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert Plan.load(path).name == "mine"
    assert len(list(odd_plans())) > 300


@pytest.mark.parametrize(("key", "value"), [pair for pair in odd_plans() if pair not in FINE])
def test_a_value_that_a_key_cannot_have_is_refused_by_name(tmp_path: Path, key: str, value: str) -> None:
    said = refused(tmp_path, with_value(key, value))
    assert key.strip('"') in said or (key, value) in TOLD_BY_WHAT_IT_MAKES


@pytest.mark.parametrize(("key", "value"), [pair for pair in odd_plans() if pair in FINE])
def test_what_is_not_refused_plays(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(with_value(key, value))
    plan = Plan.load(path)
    assert Plan.from_json(plan.to_json()) == plan
    assert next(plan.mix().arrivals(0, 1)) >= (0, 0)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (GOOD, "", r"profile: expected a table \[profile\]"),
        ("[profile]", "[profil]", r"unknown key profil \(did you mean profile\?\)"),
        ("[profile]", "[profile", "expected TOML: .*line"),
        ("[[scenario]]", "[scenario]", "expected TOML"),
        ("[[scenario]]", "[[szenario]]", r"unknown key szenario \(did you mean scenario"),
        ("[[slo]]", "[slo]", "slo: expected a list, got a table"),
        ("[abort]", "[[abort]]", "abort: expected a table, got a list"),
        ("[targets]", "[targets]\n[targets]", "expected TOML: Cannot declare"),
        (
            'user = "shop:Page"',
            'user = "shop:Order"',
            r"scenario\[1\].user: expected a class name that no other",
        ),
        (
            'user = "shop:Page"',
            'user = "other:Order"',
            r"a class name that no other scenario has, got \"other:Order\" beside \"shop:Order\"",
        ),
        ('user = "shop:Page"', "", r"scenario\[1\]: expected the key user"),
        (
            'user = "shop:Page"',
            'usr = "shop:Page"',
            r"scenario\[1\]: unknown key usr \(did you mean user\?\)",
        ),
        ("peak_tps = 100", "peak-tps = 100", r"unknown key peak-tps \(did you mean peak_tps\?\)"),
        ("peak_tps = 100", "peak_tps = 100\npeak_tps = 2", "expected TOML: Cannot overwrite"),
        (
            "[profile]",
            "[profile]\nduration = 3",
            "profile: unknown key duration here; it belongs above the first",
        ),
        ('name = "mine"', "knots = [[0, 1]]", r"unknown key knots here; it belongs into \[profile\]"),
        (
            '"10s", 1.0',
            '"10s", 100',
            r"knots: expected fractions of peak_tps.*got 100; write rates as knots_tps",
        ),
        ('["0s", 0.5], ["10s", 1.0]', "[10, 1.0], [0, 1.0]", "knots: the first knot is at 0 s"),
        ('["0s", 0.5], ["10s", 1.0]', "[0, 1], [9, 1], [5, 1]", "knots: knots ascend in time"),
        ('["0s", 0.5], ["10s", 1.0]', "[0, 1], [0, 2]", "profile"),
        ('["0s", 0.5], ["10s", 1.0]', "[0, 0.0], [9, 0.0]", "expected at least one transaction"),
        ('["0s", 0.5], ["10s", 1.0]', "[0, 1]", "knots: expected at least two points, got 1"),
        ('["0s", 0.5], ["10s", 1.0]', "[0, nan], [1, 1]", "knots"),
        ('["0s", 0.5], ["10s", 1.0]', "[0, 1], [1e300, 1]", "knots: expected 0 s to 366 days"),
        ('["0s", 0.5], ["10s", 1.0]', "[0, 1], [true, 1]", r"knots\[1\]"),
        ('["0s", 0.5], ["10s", 1.0]', "[0, 1, 2], [1, 1]", r"knots\[0\]: expected a list of length 2, got 3"),
        ("knots = ", "knots_tps = [[0, -5], [1, 1]]\n#", "knots_tps: a rate is 0 or more"),
        ("knots = ", "knots_tps = [[0, 0], [1, 0]]\n#", "knots_tps: expected a rate above 0"),
        ("knots = ", "knots_tps = []\n#", "knots_tps: expected at least two points, got 0"),
        ("knots = ", "knots_tps = [[0, 1], [1, 1]]\nknots = ", "got knots and knots_tps"),
        ("knots = ", 'curve = "spyke"\n#', 'curve: unknown curve "spyke"'),
        ("knots = ", 'csv = "gone.csv"\n#', "gone.csv: cannot be read: No such file"),
        ("knots = ", 'csv = ""\n#', "cannot be read: Is a directory|expected"),
        ("knots = ", 'csv = "a\\u0000b"\n#', "cannot be read: embedded null"),
        ('"shop.example" = 10', '"*.example" = 10', r'targets: "\*.example": a wildcard'),
        ('"shop.example" = 10', '"shop.example/a" = 10', "targets: .*without the path"),
        (
            '"shop.example" = 10',
            '"shop.example" = "fast"',
            r'targets\."shop.example": expected a number, got text',
        ),
        ('duration = "20s"', 'duration = "400d"', "duration: expected 0 s to 366 days"),
        ('"0s", "4s", "early"', '4, 4, "early"', "phases: expected early to end after it starts"),
        ('"0s", "4s", "early"', '0, "soon", "early"', r"phases\[0\]: expected a duration"),
    ],
)
def test_a_broken_plan_says_what_was_expected(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    assert re.search(expected, refused(tmp_path, GOOD.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "expected a table"),
        (b"\x00\x01\x02", "expected TOML"),
        (bytes(range(256)), "expected UTF-8"),
        (GOOD.encode("utf-16"), "expected UTF-8"),
        (GOOD.replace("mine", "mïne").encode("latin-1"), "expected UTF-8"),
        (b"a = " + b"[" * 20_000, "expected TOML"),
        (b"peak_tps = 1" + b"0" * 5000, "expected TOML"),
        (b"{}", "expected TOML"),
        (b'{"peak_tps": 100}', "expected TOML"),
        (b"peak_tps: 100\n", "expected TOML"),
        (b"x" * 10_000_001, "at most 10 MB"),
    ],
    ids=lambda value: repr(value[:12]) if isinstance(value, bytes) else None,
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, data: bytes, expected: str) -> None:
    assert expected in refused(tmp_path, data)


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    for name in ("folder.toml", "gone.toml", "gone/plan.toml", "a\0b.toml", "x" * 300 + ".toml"):
        assert "cannot be read: " in reason(tmp_path / name)


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n").encode()])
def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "mine.toml").write_bytes(data)
    assert Plan.load(tmp_path / "mine.toml").peak_tps == 100


CSV = GOOD.replace('knots = [["0s", 0.5], ["10s", 1.0]]', 'csv = "curve.csv"')


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "expected at least two points, got 0"),
        (b"seconds,fraction\n", "expected at least two points, got 0"),
        (b"0,1\n", "expected at least two points, got 1"),
        (b"0;1\n1;1\n", "line 2: expected"),
        (b"0,1\nx,1\n", "line 2: expected a duration"),
        (b"0,1\n1,x\n", "line 2: expected"),
        (b"0,1\n1,1,1\n", "line 2: expected"),
        (b"0,1\n1\n", "line 2: expected"),
        (b"0,x\n1,1\n", "line 1: expected"),
        (b"0,nan\n1,1\n", "knots are finite numbers"),
        (b"0,1\ninf,1\n", "line 2: expected"),
        (b"0,1\n-1,1\n", "line 2: expected"),
        (b"0,1\n1,500\n", "expected fractions of peak_tps"),
        (b"\xff\xfe0\x00", "expected UTF-8"),
        (b"5,1\n6,1\n", "the first knot is at 0 s"),
    ],
)
def test_a_broken_csv_is_named_with_its_line(tmp_path: Path, data: bytes, expected: str) -> None:
    (tmp_path / "curve.csv").write_bytes(data)
    said = refused(tmp_path, CSV)
    assert said.startswith("mine.toml: profile.csv: curve.csv")
    assert expected in said


@pytest.mark.parametrize(
    "data",
    [
        b"0,0.5\n10,1\n",
        b"\xef\xbb\xbf0,0.5\r\n10,1\r\n",
        b"seconds,fraction\n0,0.5\n\n10,1",
        b"0s, 0.5\n10s, 1.0\n",
    ],
)
def test_a_csv_is_read_however_it_was_saved(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "curve.csv").write_bytes(data)
    (tmp_path / "mine.toml").write_text(CSV)
    assert Plan.load(tmp_path / "mine.toml").curve.knots == ((0.0, 0.5), (10.0, 1.0))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_a_plan_or_one_sentence(tmp_path: Path, data: bytes) -> None:
    refused(tmp_path, data)


TOML_VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="ascii", exclude_characters='"\\')),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


def as_toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, str):
        return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in value) + '"'
    return str(value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(KEYS), TOML_VALUES)
def test_a_key_with_any_value_is_a_plan_or_one_sentence(tmp_path: Path, key: str, value: object) -> None:
    text = with_value(key, as_toml(value))
    tomllib.loads(text)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    try:
        plan = Plan.load(path)
    except PlanError:
        reason(path)
    else:
        assert Plan.from_json(plan.to_json()) == plan
