"""A log becomes the plan that wrote it, and holds nothing that is somebody's secret."""

import ast
import csv
import itertools
import re
import string
from collections import Counter
from math import sqrt
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.importing.import_error import ImportingError
from loadtest.importing.log_plan import plan_of
from loadtest.importing.log_reader import read_logs
from loadtest.importing.script_text import endpoint_class, script_py
from loadtest.importing.secrets import is_secret_name, is_secret_value
from loadtest.importing.traffic import Endpoint, Keys
from loadtest.plan.plan_file import Plan
from tests.importing.logs import LINES, Logged

START_S = 1_762_819_140
PLAN = """
name = "written"
peak_tps = 400
duration = "90s"
[profile]
curve = "singles-day"
[[scenario]]
user = "shop:Order"
[[scenario]]
user = "shop:Page"
per_transaction = 0.5
[[scenario]]
user = "shop:Status"
per_transaction = 0.2
"""
THETA, SKUS = 1.22, 1000


def a_run(folder: Path, text: str = PLAN) -> tuple[Plan, Path]:
    """A plan, and the log that a run of it writes: orders, product pages and order states."""
    (folder / "written.toml").write_text(text)
    plan = Plan.load(folder / "written.toml")
    path = folder / "access.log"
    path.write_text(log_of(text, plan))
    return plan, path


_logs: dict[str, str] = {}


def log_of(text: str, plan: Plan) -> str:
    """The log of a plan, written once for all tests."""
    if text not in _logs:
        _logs[text] = "\n".join(lines_of(plan)) + "\n"
    return _logs[text]


def lines_of(plan: Plan) -> list[str]:
    random = Random(3)
    up_to = list(itertools.accumulate(rank**-THETA for rank in range(1, SKUS + 1)))
    lines = []
    for at_s, scenario in arrivals(plan):
        sku = random.choices(range(SKUS), cum_weights=up_to)[0]
        method, target = (
            ("POST", "/orders"),
            ("GET", f"/products/sku-{sku:06d}"),
            ("GET", f"/orders/{random.getrandbits(64):016x}"),
        )[scenario]
        lines.append(
            LINES["combined"](Logged(START_S + at_s, method, target, f"10.0.0.{random.randrange(250)}"))
        )
    return lines


def arrivals(plan: Plan) -> list[tuple[float, int]]:
    """When and of which scenario, in order."""
    return sorted(
        (at_ns / 1e9, scenario)
        for scenario in range(len(plan.scenarios))
        for at_ns in plan.schedule(scenario).arrivals(0, 1)
    )


def imported(folder: Path, log: Path, *, exact: bool = False) -> Plan:
    written = plan_of(read_logs([log]), "again", transaction="POST /orders", exact=exact)
    (folder / "again.toml").write_text(written.plan)
    (folder / "again.py").write_text(written.script or "")
    if written.curve_csv:
        (folder / "again-data").mkdir()
        (folder / "again-data" / "curve.csv").write_text(written.curve_csv)
    for file in written.files:
        (folder / file.path).parent.mkdir(exist_ok=True)
        with (folder / file.path).open("w", newline="") as text:
            csv.writer(text).writerows([file.columns, *file.rows])
    return Plan.load(folder / "again.toml")


def per_bin(plan: Plan, bins: int, bin_s: float) -> list[float]:
    profile = plan.profile()
    return [profile.cumulative((n + 1) * bin_s) - profile.cumulative(n * bin_s) for n in range(bins)]


@pytest.mark.parametrize("exact", [False, True])
def test_a_log_written_by_a_run_gives_back_its_plan(tmp_path: Path, exact: bool) -> None:
    plan, log = a_run(tmp_path)
    again = imported(tmp_path, log, exact=exact)
    for wanted, found in zip(per_bin(plan, 18, 5.0), per_bin(again, 18, 5.0), strict=True):
        # Of so few arrivals a bin holds one more or less than its integral.
        assert abs(found - wanted) <= 0.03 * wanted + 2
    shares = {
        s.user.partition(":")[2]: s.per_transaction / sum(x.per_transaction for x in again.scenarios)
        for s in again.scenarios
    }
    assert shares["PostOrders"] == pytest.approx(1 / 1.7, abs=0.01)
    assert shares["GetProductsSku"] == pytest.approx(0.5 / 1.7, abs=0.01)
    assert shares["GetOrdersOrderId"] == pytest.approx(0.2 / 1.7, abs=0.01)
    (skew,) = re.findall(r"skew=([\d.]+)", (tmp_path / "again.py").read_text())
    assert float(skew) == pytest.approx(THETA, abs=0.05)


CHANGING = """
[scenario.profile]
knots = [[0, 1], [40, 1], [40, 0.25], [90, 0.25]]
"""


def test_an_endpoint_whose_share_changes_gets_a_curve_of_its_own(tmp_path: Path) -> None:
    """Product pages are a share of the orders throughout; order states have a curve of their own."""
    steady = PLAN.replace('curve = "singles-day"', "knots = [[0, 0.5], [90, 1]]")
    plan, log = a_run(tmp_path, steady + CHANGING)
    again = imported(tmp_path, log)
    assert [scenario.curve is not None for scenario in again.scenarios] == [False, False, True]
    assert "so 1 of 3 endpoints have curves of their own: GET /orders/[order_id]" in " ".join(
        (tmp_path / "again.toml").read_text().replace("\n#   ", " ").split()
    )
    wanted, found = plan.scenario_profile(2), again.scenario_profile(2)
    for begin in (0, 10, 20, 30, 45, 60, 80):
        of_wanted = wanted.cumulative(begin + 10) - wanted.cumulative(begin)
        by_chance = 3 * sqrt(of_wanted)
        assert found.cumulative(begin + 10) - found.cumulative(begin) == pytest.approx(
            of_wanted, abs=0.03 * of_wanted + by_chance
        )
    assert found.total == pytest.approx(wanted.total, rel=0.02)


def test_an_even_mix_has_one_curve(tmp_path: Path) -> None:
    _, log = a_run(tmp_path)
    assert all(scenario.curve is None for scenario in imported(tmp_path, log).scenarios)


def test_a_plan_has_a_virtual_user_for_each_request_a_second_of_the_peak(tmp_path: Path) -> None:
    _, log = a_run(tmp_path)
    traffic, plan = read_logs([log]), imported(tmp_path, log)
    [orders] = [each for each in traffic.endpoints if each.name == "POST /orders"]
    requests = plan.peak_tps * sum(traffic.counts) / orders.requests
    assert plan.virtual_users == pytest.approx(max(requests, 50), abs=1)


def test_keys_are_in_the_order_in_which_they_are_wanted(tmp_path: Path) -> None:
    _, log = a_run(tmp_path)
    imported(tmp_path, log)
    rows = (tmp_path / "again-data" / "get_products_sku.csv").read_text().split()
    assert rows[:4] == ["sku", "sku-000000", "sku-000001", "sku-000002"]


def test_the_curve_of_a_quiet_log_has_few_knots(tmp_path: Path) -> None:
    _, log = a_run(tmp_path, PLAN.replace('curve = "singles-day"', "knots = [[0, 0.5], [90, 1]]"))
    imported(tmp_path, log)
    assert (tmp_path / "again.toml").read_text().count("\n  [") <= 6


def test_a_transaction_that_the_log_has_not_is_refused_with_what_it_has(tmp_path: Path) -> None:
    _, log = a_run(tmp_path)
    with pytest.raises(
        ImportingError, match=r"--transaction: expected one of POST /orders.*, got \"PUT /x\""
    ):
        plan_of(read_logs([log]), "again", transaction="PUT /x", exact=False)


token = st.text(string.ascii_letters + string.digits, min_size=20, max_size=40).filter(
    lambda text: bool(re.search(r"[0-9]", text) and re.search("[A-Za-z]", text) and is_secret_value(text))
)
e_mail = st.from_regex(r"[a-z]{5,9}\.[a-z]{5,9}@[a-z]{5,9}\.com", fullmatch=True)
secrets = token | e_mail
PLACES = {
    "path": "/u/{}/view",
    "query": "/view?q=shoes&x={}",
    "name": "/view?session_id={}",
    "static": "/reset-{}",
    "bare": "/view?{}",
    "nested": "/view?next=/a?b={}%23",
}
"""Where a secret may stand in what was asked for."""


@settings(max_examples=25)  # each writes a log and reads it
@given(
    st.lists(secrets, min_size=3, max_size=30),
    st.sampled_from(["path", "query", "name", "static", "bare", "nested"]),
)
def test_no_secret_of_a_log_is_in_what_is_written(found: list[str], where: str) -> None:
    target = PLACES[where]
    traffic_lines = [
        LINES["combined"](Logged(START_S + n, "GET", target.format(secret), client="198.51.100.77"))
        for n, secret in enumerate(found * 3)
    ]
    import tempfile  # noqa: PLC0415 - hypothesis gives no fixture for each example

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "access.log"
        path.write_text("\n".join(traffic_lines) + "\n")
        written = plan_of(read_logs([path]), "again", transaction=None, exact=False)
    everything = repr(written)
    assert not any(secret in everything for secret in found)
    assert "198.51.100.77" not in everything
    assert "made up" in "".join(written.notes)


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Cookie",
        "access_token",
        "sessionId",
        "PHPSESSID",
        "api-key",
        "userEmail",
        "password",
        "sig",
    ],
)
def test_a_name_of_a_secret_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["q", "page", "sort", "category", "sku", "size", "Accept", "author", "design", "pinned", "tokenizer"],
)
def test_an_ordinary_name_is_none(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "value", ["sku-000017", "blue-suede-shoes-size-42", "2025-11-11T00:00:00", "shoes", "1234567"]
)
def test_an_ordinary_value_is_no_secret(value: str) -> None:
    assert not is_secret_value(value)


hostile = st.text(
    st.characters(exclude_characters="{}/?", exclude_categories=["Cs"]), min_size=1, max_size=12
)


@given(hostile, st.sampled_from(["GET", "POST", "PURGE"]), st.booleans())
def test_whatever_a_path_holds_the_script_asks_for_just_that(word: str, method: str, keyed: bool) -> None:
    """Nothing in somebody's traffic becomes code."""
    keys = Keys(("sku",), (("sku-1",),), 1, None) if keyed else None
    template = f"/a{word}{{b/" + ("{sku}" if keyed else "c")
    one = endpoint_class(Endpoint(method, template, 1, keys), 1.0, "data", set())
    tree = ast.parse(script_py(f"from {word}", [], [one]))
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {method.lower(), "request"}
    ]
    (call,) = calls
    url = next(arg for arg in call.args if not (isinstance(arg, ast.Constant) and arg.value == method))
    asked = eval(compile(ast.Expression(url), "url", "eval"), {"row": {"sku": "{sku}"}})  # noqa: S307 - what is tested
    assert asked == template


def test_no_two_classes_have_one_name() -> None:
    taken: set[str] = set()
    names = [
        endpoint_class(Endpoint("GET", template, 1), 1.0, "data", taken).name
        for template in ("/a/b", "/a-b", "/A/b", "/é", "/ü", "/")
    ]
    assert Counter(names).most_common(1)[0][1] == 1
