"""What clients of a log ask for one after another becomes visits of the same orders, mix and pauses."""

import csv
import types
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.import_error import ImportingError
from loadtest.importing.log_plan import Written, plan_of_visits
from loadtest.importing.log_reader import read_logs
from loadtest.importing.visits import LONGEST_PAUSE_S, MOST_STEPS, spread_of, visits_of
from loadtest.plan.plan_file import Plan
from tests.importing.logs import LINES, Logged

START_S = 1_762_819_200
HOME, PRODUCT, CART, ORDER = (
    ("GET", "/"),
    ("GET", "/products/sku-{:06d}"),
    ("PUT", "/cart"),
    ("POST", "/orders"),
)
ORDERS = ([HOME, PRODUCT, PRODUCT, ORDER], [HOME, CART, ORDER], [PRODUCT])
SHARES = (0.5, 0.3, 0.2)
PAUSES = (2, 4, 6)


def shop_log(folder: Path, visits: int = 600, form: str = "combined") -> Path:
    """Visits of three orders, a few at a time, and each client behind one of ten addresses."""
    random = Random(5)
    lines: list[Logged] = []
    for number in range(visits):
        at_s = START_S + number * 0.5
        for method, target in random.choices(ORDERS, SHARES)[0]:
            client = f"10.0.{number // 250}.{number % 250}"
            lines.append(Logged(at_s, method, target.format(random.randrange(900)), client))
            at_s += random.choice(PAUSES)
    lines.sort(key=lambda one: one.at_s)
    path = folder / "access.log"
    path.write_text("".join(LINES[form](one) + "\n" for one in lines))
    return path


def imported(folder: Path, log: Path) -> Written:
    traffic = read_logs([log], visits=True)
    assert traffic.visits is not None
    written = plan_of_visits(traffic, traffic.visits, "again")
    (folder / "again.toml").write_text(written.plan)
    (folder / "again.py").write_text(written.script or "")
    for file in written.files:
        (folder / file.path).parent.mkdir(exist_ok=True)
        with (folder / file.path).open("w", newline="") as text:
            csv.writer(text).writerows([file.columns, *file.rows])
    return written


class Visitor:
    """A script's visitor without a network: what it asked for and how long it thought."""

    def __init__(self) -> None:
        self.client = self
        self.asked: list[str] = []
        self.slept: list[float] = []

    def __getattr__(self, verb: str) -> Any:
        return lambda url, name=None, **_: self.asked.append(f"{verb.upper()} {name or url}")


def played(script: str, visits: int, shares: dict[str, float]) -> Iterator[Visitor]:
    """Visits of a script's classes, as often as its plan has them."""
    slept: list[float] = []
    feeder = types.SimpleNamespace(next=lambda: {"sku": "sku-1", "query": ""})
    modules: dict[str, Any] = {
        "locust": types.SimpleNamespace(task=lambda method: method),
        "loadtest": types.SimpleNamespace(
            FastHttpUser=Visitor,
            open_loop=lambda: None,
            feeders=types.SimpleNamespace(csv=lambda *_, **__: feeder, json_lines=lambda *_, **__: feeder),
        ),
        "time": types.SimpleNamespace(sleep=slept.append),
        "random": Random(1),
    }
    names: dict[str, Any] = {
        "__builtins__": {**vars(__import__("builtins")), "__import__": lambda name, *_: modules[name]}
    }
    exec(compile(script, "script", "exec"), names)  # noqa: S102 - what is tested
    for name in Random(2).choices(list(shares), list(shares.values()), k=visits):
        slept.clear()
        visitor: Visitor = names[name]()
        visitor.visit()
        visitor.slept = list(slept)
        yield visitor


def test_visits_are_played_in_the_orders_shares_and_pauses_of_the_log(tmp_path: Path) -> None:
    written = imported(tmp_path, shop_log(tmp_path))
    plan = Plan.load(tmp_path / "again.toml")
    assert sum(one.per_transaction for one in plan.scenarios) == pytest.approx(1)
    shares = {one.user.partition(":")[2]: one.per_transaction for one in plan.scenarios}
    visitors = list(played(written.script or "", 3000, shares))
    seen = Counter(tuple(visitor.asked) for visitor in visitors)
    wanted = dict(
        zip(
            [
                tuple(f"{m} {t.replace('{:06d}', '').replace('sku-', '[sku]')}" for m, t in order)
                for order in ORDERS
            ],
            SHARES,
            strict=True,
        )
    )
    for order, share in wanted.items():
        assert seen[order] / 3000 == pytest.approx(share, abs=0.05), seen
    pauses = [pause for visitor in visitors for pause in visitor.slept]
    assert sum(pauses) / len(pauses) == pytest.approx(sum(PAUSES) / 3, rel=0.1)


def test_as_many_visits_begin_as_in_the_log(tmp_path: Path) -> None:
    imported(tmp_path, shop_log(tmp_path))
    plan = Plan.load(tmp_path / "again.toml")
    assert plan.profile().total == pytest.approx(600, rel=0.05)
    assert plan.virtual_users >= 2 * 12, "two a second of up to twelve seconds"


def test_orders_that_nobody_shares_are_walked_with_the_mix_that_they_have(tmp_path: Path) -> None:
    random = Random(6)
    lines = []
    for number in range(400):
        for step in range(random.randrange(3, 9)):
            method, target = random.choices([HOME, PRODUCT, CART, ORDER], [4, 3, 2, 1])[0]
            lines.append(
                Logged(
                    START_S + number + 2 * step,
                    method,
                    target.format(random.randrange(900)),
                    f"10.0.{number // 200}.{number % 200}",
                )
            )
    lines.sort(key=lambda one: one.at_s)
    log = tmp_path / "access.log"
    log.write_text("".join(LINES["combined"](one) + "\n" for one in lines))
    written = imported(tmp_path, log)
    assert any("random walk" in note for note in written.notes)
    shares = {
        one.user.partition(":")[2]: one.per_transaction
        for one in Plan.load(tmp_path / "again.toml").scenarios
    }
    asked = Counter(name for visitor in played(written.script or "", 2000, shares) for name in visitor.asked)
    logged = Counter(
        f"{one.method} {'/products/[sku]' if 'sku' in one.target else one.target}" for one in lines
    )
    for name, many in logged.items():
        assert asked[name] / asked.total() == pytest.approx(many / logged.total(), abs=0.03)
    assert asked.total() / 2000 == pytest.approx(len(lines) / 400, rel=0.1), "steps of a visit"


def test_two_browsers_behind_one_address_are_two_visitors(tmp_path: Path) -> None:
    def line(second: int, target: str, agent: str) -> str:
        logged = LINES["combined"](Logged(START_S + second, "GET", target))
        return logged[: logged.rindex('"', 0, -1)] + f'"{agent}"\n'

    log = tmp_path / "access.log"
    log.write_text("".join(line(n, "/a", "one") + line(n, "/b", "other") for n in range(5)))
    visits = read_logs([log], visits=True).visits
    assert visits is not None
    assert [[step.endpoint for step in journey.steps] for journey in visits.journeys] == []
    assert visits.walk is not None
    assert visits.walk.visits == 2


def test_a_field_of_json_lines_may_say_who_is_who(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    text = LINES["nginx-json"]
    log.write_text(
        "".join(
            text(Logged(START_S + n, "GET", f"/{who}")).replace("{", f'{{"account": "{who}", ', 1) + "\n"
            for n in range(4)
            for who in ("a", "b")
        )
    )
    visits = read_logs([log], visits=True, field="account").visits
    assert visits is not None
    assert visits.walk is not None
    assert visits.walk.visits == 2


@pytest.mark.parametrize(
    ("form", "field", "said"),
    [
        ("combined", "account", "--visitor: expected with lines of JSON"),
        ("nginx-json", "nobody", "--visits: expected"),
    ],
)
def test_what_does_not_say_who_is_who_is_refused(tmp_path: Path, form: str, field: str, said: str) -> None:
    with pytest.raises(ImportingError, match=said):
        read_logs([shop_log(tmp_path, 10, form)], visits=True, field=field)


requests = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 4 * LONGEST_PAUSE_S), st.sampled_from("abc")), min_size=1
)


@given(requests)
def test_no_request_is_lost_and_no_pause_is_longer_than_a_visit_allows(
    found: list[tuple[int, int, str]],
) -> None:
    found.sort(key=lambda each: each[:2])
    visits = visits_of(found, 1)
    assert visits is not None
    assert visits.requests == len(found)
    of_journeys = sum(journey.visits for journey in visits.journeys)
    assert of_journeys + (visits.walk.visits if visits.walk else 0) == sum(many for _, many in visits.begun)
    gaps = [
        later - second
        for (client, second, _), (other, later, _) in pairwise(found)
        if client == other and later - second > LONGEST_PAUSE_S
    ]
    assert sum(many for _, many in visits.begun) == len({client for client, _, _ in found}) + len(gaps)


def test_a_program_that_never_stops_is_one_visit_of_bounded_length() -> None:
    visits = visits_of([(1, second, "a") for second in range(10 * MOST_STEPS)], 1)
    assert visits is not None
    assert visits.requests == MOST_STEPS


@given(st.lists(st.integers(0, 1000), min_size=1))
def test_a_spread_lies_within_what_was_seen_and_in_order(values: Sequence[int]) -> None:
    spread = spread_of(values)
    assert set(spread) <= set(values)
    assert list(spread) == sorted(spread)
    assert (spread == ()) == (max(values) == 0)


def test_of_many_clients_some_are_kept_with_all_that_they_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtest.importing.log_tally.MOST_STEPS", 300)
    visits = read_logs([shop_log(tmp_path)], visits=True).visits
    assert visits is not None
    assert visits.one_client_in > 1
    assert visits.requests <= 300
    assert {tuple(step.endpoint for step in journey.steps) for journey in visits.journeys} <= {
        ("GET /", "GET /products/[sku]", "POST /orders"),
        ("GET /", "PUT /cart", "POST /orders"),
        ("GET /products/[sku]",),
    }
