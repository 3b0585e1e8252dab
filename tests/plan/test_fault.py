"""Faults in a plan file: what they become, and what is refused before any traffic."""

import re
from pathlib import Path
from typing import get_args

import pytest

from loadtest.plan.fault import HOOK, KINDS, MACHINE, NETWORK, PROCESS, ROUTES, SERVICE, TRAFFIC
from loadtest.plan.plan_file import Plan, PlanError
from target_service.faults import Route

PLAN = """
peak_tps = 100
duration = "40s"
[profile]
knots = [["0s", 1], ["40s", 1]]
phases = [["0s", "40s", "steady"]]
[[scenario]]
user = "shop:Order"
"""


def plan_of(folder: Path, *faults: str) -> Plan:
    path = folder / "mine.toml"
    path.write_text(PLAN + "".join(f"[[fault]]\n{fault}\n" for fault in faults), encoding="utf-8")
    return Plan.load(path)


def refused(folder: Path, *faults: str) -> str:
    with pytest.raises(PlanError) as raised:
        plan_of(folder, *faults)
    return str(raised.value)


def test_a_fault_is_read_with_its_expectations_and_is_a_phase(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        'kind = "stall"\nat = "10s"\nfor = "2s"\ndelay = "300ms"\nrecovers_within = "5s"\n'
        'expect = ["goodput > 80%", "p99(POST /orders) < 1s"]',
    )
    (fault,) = plan.faults
    assert (fault.name, fault.at_s, fault.for_s, fault.delay_s) == ("stall", 10, 2, 0.3)
    assert fault.least_goodput == (">", 0.8)
    assert fault.objectives == ["p99(POST /orders) < 1s during stall"]
    assert [tuple(phase) for phase in plan.profile().phases] == [(0, 40, "steady"), (10, 12, "stall")]
    assert Plan.from_json(plan.to_json()) == plan


def test_the_window_of_what_is_over_at_once_is_the_time_to_recover(tmp_path: Path) -> None:
    (fault,) = plan_of(tmp_path, 'kind = "kill"\nat = 10\nrecovers_within = 4').faults
    assert fault.period == (10, 14)


def test_an_overload_is_in_the_curve_and_nothing_else_is_changed(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 'kind = "overload"\nat = 10\nfor = 2\ntimes = 10')
    profile, normal = plan.profile(), plan.normally_played(plan.curve)
    assert [profile.rate(t) for t in (9.9, 10, 11.9, 12)] == [100, 1000, 1000, 100]
    assert profile.total == pytest.approx(normal.total + 2 * 900)


def test_a_time_scale_moves_a_fault_with_the_curve_and_leaves_it_as_long(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 'kind = "stall"\nat = 10\nfor = 2').with_overrides(time_scale=2)
    assert (plan.faults[0].at_s, plan.faults[0].for_s, plan.duration_s) == (20, 2, 80)


def test_names_of_the_same_kind_are_told_apart(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 'kind = "kill"\nat = 4\nrecovers_within = 2', 'kind = "kill"\nat = 20')
    assert [fault.name for fault in plan.faults] == ["kill", "kill-2"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("at = 10\nfor = 2", "expected the key kind"),
        ('kind = "kil"\nat = 10', "fault[0].kind: expected one of delay, error"),
        ('kind = "kill"\nat = "soon"', "fault[0].at: expected a duration"),
        ('kind = "kill"\nat = 1', "fault[0].at: expected 3 s or later"),
        ('kind = "kill"\nat = 39', "fault[0].at: expected a plan that lasts until 52 s"),
        ('kind = "stall"\nat = 10', "fault[0].for: expected how long stall lasts"),
        (
            'kind = "error"\nat = 10\nfor = 2\nroute = "orders"',
            "fault[0].route: expected one of create_order",
        ),
        ('kind = "kill"\nat = 10\nshare = 0.5', "fault[0].share: expected only with kind"),
        ('kind = "kill"\nat = 10\nrecover_within = 3', "did you mean recovers_within?"),
        ('kind = "kill"\nat = 10\nname = "a b"', "fault[0].name: expected a word"),
        ('kind = "kill"\nat = 10\nname = "steady"', "expected a name that no other fault or phase has"),
        ('kind = "kill"\nat = 10\nrecovers_within = 0', "fault[0].recovers_within: expected more than 0 s"),
        ('kind = "kill"\nat = 10\nprocess = "postgresql"', "got postgresql, which a run does not start"),
        ('kind = "bandwidth"\nat = 10\nfor = 2', "fault[0].bytes_per_s: expected the bytes a second"),
        ('kind = "disk-full"\nat = 10\nfor = 2', "fault[0].folder: expected the folder of a tmpfs"),
        ('kind = "hook"\nat = 10', "expected either command or url"),
        ('kind = "hook"\nat = 10\nfor = 2\ncommand = ["true"]', "expected undo or undo_url"),
        (
            'kind = "hook"\nat = 10\nurl = "http://127.0.0.1:9000/break it"',
            "fault[0].url: expected an address such as http://127.0.0.1:9000/break, with a space",
        ),
        ('kind = "hook"\nat = 10\nurl = "http://h/größer"', "fault[0].url: expected an address"),
        ('kind = "hook"\nat = 10\nurl = "127.0.0.1:9000/break"', "fault[0].url: expected an address"),
        (
            'kind = "hook"\nat = 10\nfor = 1\ncommand = ["true"]\nundo_url = "http://h\\t/mend"',
            "fault[0].undo_url: expected an address",
        ),
        ('kind = "loss"\nat = 10\nfor = 2\nshare = 0', "fault[0].share"),
        (
            'kind = "mark"\nat = 10\nfor = 2\nexpect = ["goodput > 5%", "goodput > 9%"]',
            "fault[0].expect: expected one share of goodput",
        ),
        ('kind = "overload"\nat = 10\nfor = 2\ntimes = 1', "fault[0].times"),
    ],
    ids=lambda text: text.replace("\n", " ")[:60],
)
def test_what_makes_no_sense_is_refused_by_its_key(tmp_path: Path, fault: str, said: str) -> None:
    assert said in refused(tmp_path, fault)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9000", "https://user:pw@h/a?b=c%20d#e", "HTTP://[::1]:1/x", "http://größer.test/x?y"],
)
def test_a_hook_may_be_any_address_that_a_request_can_be_sent_to(tmp_path: Path, url: str) -> None:
    (fault,) = plan_of(tmp_path, f'kind = "hook"\nat = 10\nrecovers_within = 4\nurl = "{url}"').faults
    assert fault.url == url


def test_a_fault_waits_until_the_one_before_has_to_be_recovered_from(tmp_path: Path) -> None:
    first = 'kind = "stall"\nat = 5\nfor = 4\nrecovers_within = 5'
    assert "fault[1].at: expected 17 s or later" in refused(
        tmp_path, first, 'kind = "kill"\nat = 12\nrecovers_within = 5'
    )
    assert len(plan_of(tmp_path, first, 'kind = "kill"\nat = 7\nrecovers_within = 5').faults) == 2


def test_nobody_signals_the_processes_of_a_service_that_is_down(tmp_path: Path) -> None:
    crash = 'kind = "kill"\nprocess = "supervisor"\nat = 10\nfor = 4'
    for kind in ("kill", "restart", 'stop"\nfor = "1s'):
        said = refused(tmp_path, crash, f'name = "second"\nkind = "{kind}"\nat = 12')
        assert "fault[1].at: expected a time when the supervisor runs, but kill ends it" in said
    assert len(plan_of(tmp_path, crash, 'kind = "stop"\nat = 9\nfor = 2').faults) == 2


def test_every_kind_is_of_one_group_and_stands_there_in_the_documentation() -> None:
    groups = {
        "service": SERVICE,
        "process": PROCESS,
        "network": NETWORK,
        "machine": MACHINE,
        "traffic": TRAFFIC,
    }
    text = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    rows = dict(re.findall(r"^\| (\w+) \| ([^|]+) \|", text, re.MULTILINE))
    for group, kinds in (groups | {"hook": (HOOK,)}).items():
        said = re.findall(r"`([\w-]+)`", rows[group].partition(" of ")[0])
        assert tuple(said) == kinds, group
    assert sorted(KINDS) == sorted(kind for kinds in [*groups.values(), (HOOK,)] for kind in kinds)


def test_a_plan_knows_the_operations_that_the_service_has() -> None:
    assert get_args(Route) == ROUTES
