"""Whatever text was read, the plan is TOML and says what it said without it."""

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.har import read_har
from loadtest.importing.import_error import ImportingError
from loadtest.importing.log_plan import Written
from loadtest.importing.plan_text import PlannedScenario, PlanText, plan_toml
from loadtest.importing.postman import read_postman
from loadtest.importing.prometheus_query import Rates
from loadtest.importing.recorded import Recorded
from loadtest.importing.session_script import session_script
from loadtest.importing.short_plan import plan_of_rates, plan_of_session
from tests.importing.test_har import har_of
from tests.importing.test_postman import request_of

RATES = Rates(1_762_819_140, 15.0, (5.0, 8.0, 9.0), 0)
QUERY = "sum(\n  rate(x[1m])\n)"
anything = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ["\r\nevil = 1\r\n", "a\x0bb", "a\x85b", "\x1b[2J", "\x7f", "\ud800", "[profile]\n", " " * 300]
)


def plan_with(made_of: str, notes: list[str]) -> str:
    return plan_toml(
        PlanText("shop", "shop", made_of, notes, [(0, 1.0), (60, 1.0)], [PlannedScenario("Session", 1.0)], 50)
    )


@given(anything, st.lists(anything, max_size=3))
def test_whatever_was_read_the_plan_says_the_same(made_of: str, notes: list[str]) -> None:
    written = plan_with(made_of, notes).encode().decode()
    assert tomllib.loads(written) == tomllib.loads(plan_with("", []))
    head = written.partition("\nname = ")[0].splitlines()
    assert all(line.startswith("#") for line in head if line)


def session_plan(recorded: list[Recorded], notes: list[str]) -> Written:
    return plan_of_session(session_script(recorded, "Session", "shop-data"), "shop", "Made.", notes)


def of_har(key: str) -> Written:
    sent = {"postData": {"mimeType": "application/json", "text": json.dumps({key: "abc"})}}
    return session_plan(*read_har(har_of(("POST", "http://shop.test/a", sent, {})), "x.har"))


def of_postman(variable: str) -> Written:
    document = {"item": [request_of(f"/{{{{{variable}}}}}")]}
    return session_plan(*read_postman(json.dumps(document).encode(), "x.json"))


@pytest.mark.parametrize(
    "written",
    [
        plan_of_rates(RATES, QUERY, "shop:Buyer", "shop"),
        of_har("token\nevil = 1\nx"),
        of_postman("x\nevil = 1"),
    ],
    ids=["prometheus", "har", "postman"],
)
def test_line_breaks_in_what_was_read_add_no_key(written: Written) -> None:
    plan: dict[str, Any] = tomllib.loads(written.plan)
    assert plan.keys() == {"name", "virtual_users", "profile", "scenario", "slo"}
    assert "evil = 1" in written.plan or "sum( rate(x[1m]) )" in written.plan


@pytest.mark.parametrize("user", ["Buyer", "shop:", ':Buyer"', 'x"\nevil = 1\ny = ":Buyer', "shop:Buy er"])
def test_a_class_that_is_none_is_refused_before_anything_is_written(user: str) -> None:
    with pytest.raises(ImportingError, match=r"--user: expected \"module:Class\", got"):
        plan_of_rates(RATES, "up", user, "shop")
