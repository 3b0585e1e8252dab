"""The guard rail: what may be loaded, and that a name is looked up once and its addresses taken in turn."""

import socket
from collections.abc import Callable, Iterator

import pytest

from loadtest.drive.errors import HostNotAllowed
from loadtest.drive.session import Session
from loadtest.drive.targets import Address, AllowedTargets, allowed_targets, set_allowed_targets
from loadtest.plan.plan_error import PlanError
from loadtest.records import Outcome
from loadtest.testing import ScriptedServer, always, response_bytes

MakeSession = Callable[..., Session]


def resolver(*hosts: str) -> Callable[[str, int], list[Address]]:
    """A resolver that knows only these addresses."""
    return lambda _host, port: [Address(socket.AF_INET, (host, port)) for host in hosts]


@pytest.fixture(autouse=True)
def _guard_rail_back_in_place() -> Iterator[None]:
    before = allowed_targets()
    yield
    set_allowed_targets(before)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "LOCALHOST"])
def test_loopback_is_always_allowed(host: str) -> None:
    AllowedTargets().check(host)


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "192.0.2.1",
        "169.254.169.254",
        "shop.example",
        "localhost.example",
        "127.0.0.1.example",
        "",
    ],
)
def test_anything_else_is_refused_without_a_look_up(host: str) -> None:
    def resolve(_host: str, _port: int) -> list[Address]:
        raise AssertionError("looked up")

    with pytest.raises(HostNotAllowed, match="is not allowed"):
        AllowedTargets(resolve=resolve).next_addresses(host, 80)


def test_a_listed_host_is_allowed_with_its_rate() -> None:
    targets = AllowedTargets({"Shop.Example": 500.0}, resolver("10.0.0.1"))
    assert targets.next_addresses("shop.example", 80) == (Address(socket.AF_INET, ("10.0.0.1", 80)),)
    assert targets.next_addresses("SHOP.example", 80)
    assert targets.listed == {"Shop.Example": 500.0}


@pytest.mark.parametrize("listed", ["shop.example:8080", "http://Shop.Example:8080/"])
def test_a_host_listed_with_a_port_is_allowed_at_that_port_alone(listed: str) -> None:
    targets = AllowedTargets({listed: 500.0}, resolver("10.0.0.1"))
    targets.check("shop.example")
    assert targets.next_addresses("shop.example", 8080)
    assert targets.listed == {listed: 500.0}
    with pytest.raises(HostNotAllowed, match="allowed at port 8080 only, not at 9090; listed without a port"):
        targets.next_addresses("shop.example", 9090)


def test_a_host_may_be_listed_with_several_ports() -> None:
    targets = AllowedTargets({"shop:80": 1.0, "shop:81": 2.0, "[fd00:0::7]:82": 3.0})
    targets.check("shop", 80)
    targets.check("shop", 81)
    targets.check("FD00::7", 82)
    with pytest.raises(HostNotAllowed, match="at port 80 and 81 only, not at 82"):
        targets.check("shop", 82)


def test_what_is_no_host_in_the_environment_is_named() -> None:
    with pytest.raises(PlanError, match=r'LOADTEST_ALLOW_HOSTS: "\*.example": a wildcard'):
        AllowedTargets.from_environment({"LOADTEST_ALLOW_HOSTS": "a.example,*.example"})


def test_a_localhost_that_leads_away_is_refused() -> None:
    with pytest.raises(HostNotAllowed):
        AllowedTargets(resolve=resolver("10.0.0.1")).next_addresses("localhost", 80)


def test_a_name_is_resolved_once_and_its_addresses_are_taken_in_turn() -> None:
    calls = []

    def resolve(_host: str, port: int) -> list[Address]:
        calls.append(port)
        return [Address(socket.AF_INET, (f"10.0.0.{n}", port)) for n in (1, 2, 3)]

    targets = AllowedTargets({"shop.example": 1.0}, resolve)
    first = [targets.next_addresses("shop.example", 80)[0].sockaddr[0] for _ in range(4)]
    assert first == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1"]
    assert calls == [80]


def test_the_environment_lists_hosts_for_plain_locust() -> None:
    targets = AllowedTargets.from_environment({"LOADTEST_ALLOW_HOSTS": "a.example, b.example"})
    targets.check("b.example")
    with pytest.raises(HostNotAllowed):
        targets.check("c.example")


def test_a_redirect_passes_the_guard_rail_too(session_to: MakeSession, outcomes: list[Outcome]) -> None:
    away = response_bytes(b"", "302 Found", ["Location: http://shop.example/"])
    with ScriptedServer(always(away)) as server:
        response = session_to(server.url).get("/")
    assert isinstance(response.error, HostNotAllowed)
    assert outcomes[0].error == "not-allowed"


def test_connections_are_spread_over_the_addresses_of_a_name(session_to: MakeSession) -> None:
    with (
        ScriptedServer(always(response_bytes(b"ok"))) as one,
        ScriptedServer(always(response_bytes(b"ok"))) as two,
    ):
        ports = [one.port, two.port]
        addresses = [Address(socket.AF_INET, ("127.0.0.1", port)) for port in ports]
        set_allowed_targets(AllowedTargets({"shop.example": 1.0}, lambda _host, _port: addresses))
        for _ in range(6):
            assert session_to("http://shop.example").get("/").ok
        assert (one.connections, two.connections) == (3, 3)
        assert b"\r\nHost: shop.example\r\n" in two.requests[0]


def test_several_targets_stand_behind_the_first_ones_name(session_to: MakeSession) -> None:
    with (
        ScriptedServer(always(response_bytes(b"ok"))) as one,
        ScriptedServer(always(response_bytes(b"ok"))) as two,
    ):
        allowed_targets().spread(one.url, [one.url, two.url])
        for _ in range(4):
            assert session_to(one.url).get("/").ok
        assert (one.connections, two.connections) == (2, 2)


def test_a_target_that_refuses_is_passed_over_for_the_next(
    session_to: MakeSession, refusing_port: int
) -> None:
    with ScriptedServer(always(response_bytes(b"ok"))) as alive:
        addresses = [Address(socket.AF_INET, ("127.0.0.1", port)) for port in (refusing_port, alive.port)]
        set_allowed_targets(AllowedTargets({"shop.example": 1.0}, lambda _host, _port: addresses))
        for _ in range(4):
            assert session_to("http://shop.example").get("/").ok
        assert alive.connections == 4
