"""Passwords at the doors: none is said or written, also where its `/`, `?` or `#` is not percent-encoded."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.configuration.check import OF_PARTS
from loadtest.configuration.run_config import RunConfig, public
from loadtest.drive.preflight import check_http, check_target
from loadtest.exit_codes import ExitCode
from loadtest.plan.plan_file import Plan
from loadtest.publish.receiver import Receiver
from loadtest.run_info import run_info
from loadtest.stored_orders import check_store
from tests.configuration.doors import DOORS, Asked, Sink, write_run

HIDDEN = "hunter2"
LOCUSTS = ["locust --headless", "locust --autostart", "locust --master", "the web form"]
DOORS_OF = {
    "host": ["singlesday run", "singlesday capacity", *LOCUSTS],
    "service_metrics": ["singlesday run", *LOCUSTS],
    "remote_write": ["singlesday run", *LOCUSTS],
    "audit_store": LOCUSTS,
    "store": ["singlesday run"],
}
SCHEMES = {"audit_store": "postgresql", "store": "postgresql"}
around = st.text("/#?@:[]%&=+.19", max_size=3)
passwords = st.builds(lambda before, after: f"{before}{HIDDEN}{after}", around, around)


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.close()


@pytest.mark.parametrize("mark", ["/", "#", "?"])
@pytest.mark.parametrize(
    ("name", "door"), [(name, door) for name, doors in DOORS_OF.items() for door in doors]
)
def test_a_password_that_is_not_encoded_is_refused_at_the_door_and_not_shown(  # noqa: PLR0917 - fixtures
    name: str, door: str, mark: str, sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    address = f"{SCHEMES.get(name, 'http')}://u:p{mark}{HIDDEN}@{sink.url.removeprefix('http://')}/x"
    given_there = {} if name == "store" else {"host": sink.url}
    path, _ = write_run(tmp_path)
    asked = Asked(path, {**given_there, "out": str(tmp_path / "runs"), name: address})
    refusal = DOORS[door](asked, monkeypatch)
    assert refusal.code == ExitCode.USAGE, refusal.said
    assert "/ is written as %2F" in refusal.said
    assert HIDDEN not in refusal.said
    assert sink.received() == b""
    assert not (tmp_path / "runs").exists(), "a run folder was made"


def test_a_target_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(OF_PARTS, match=r"http://u@127\.0\.0\.1:1/x: nothing answers there"):
        check_target(f"http://u:{HIDDEN}@127.0.0.1:1/x")


@given(st.sampled_from(["postgresql", "http", "https", "mysql", "ftp"]), passwords)
def test_no_check_of_an_address_says_its_password(scheme: str, password: str) -> None:
    address = f"{scheme}://u:{password}@127.0.0.1:1/x"
    for check in (check_store, check_http, check_target, lambda address: Receiver.of(address, {})):
        try:
            check(address)
        except OF_PARTS as error:
            assert HIDDEN not in str(error)  # noqa: PT017 - some checks let some through


@given(passwords)
def test_no_password_is_written_down(password: str) -> None:
    address = f"http://u:{password}@127.0.0.1:1/x"
    store = f"postgresql://u:{password}@db.test/orders"
    config = RunConfig(
        plan=Plan.load("smoke"),
        plan_name="smoke",
        targets=[address],
        hosts={"a:B": address},
        store=store,
        audit_store=store,
        service_metrics=address,
        remote_write=address,
    )
    info = run_info(config, Path("runs/1"))
    assert HIDDEN not in msgspec.json.encode([public(config), info]).decode()
    assert len(info.targets) == 1
