"""Connecting to names with several addresses, some of which lead nowhere."""

import errno
import socket
from collections.abc import Callable, Iterator, Sequence

import pytest

from loadtest.drive import dialing
from loadtest.drive.session import Session
from loadtest.drive.targets import Address, AllowedTargets, allowed_targets, set_allowed_targets
from loadtest.records import Outcome
from loadtest.testing import ScriptedServer, always, response_bytes

MakeSession = Callable[..., Session]

UNREACHABLE = Address(socket.AF_INET, ("255.255.255.255", 80))  # ENETUNREACH or EACCES, at once
NOT_HERE = Address(socket.AF_INET6, ("2001:db8::1", 80, 0, 0))  # no route: documentation prefix, RFC 3849
NO_SUCH_FAMILY = Address(socket.AF_APPLETALK, ("127.0.0.1", 80))


@pytest.fixture(autouse=True)
def _guard_rail_back_in_place() -> Iterator[None]:
    before = allowed_targets()
    yield
    set_allowed_targets(before)


@pytest.fixture
def shop() -> Iterator[ScriptedServer]:
    with ScriptedServer(always(response_bytes(b"ok"))) as server:
        yield server


@pytest.fixture
def silent() -> Iterator[Address]:
    """An address that answers nothing: its queue of connections is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(address)
        yield Address(socket.AF_INET, address)
        for sock in waiting:
            sock.close()


@pytest.fixture
def refusing(refusing_port: int) -> Address:
    return Address(socket.AF_INET, ("127.0.0.1", refusing_port))


def at(server: ScriptedServer) -> Address:
    return Address(socket.AF_INET, ("127.0.0.1", server.port))


def name_stands_for(addresses: Sequence[Address]) -> None:
    set_allowed_targets(AllowedTargets({"shop.example": 1.0}, lambda _host, _port: addresses))


def ask_four_times(session_to: MakeSession) -> None:
    for _ in range(4):  # each new connection begins with another address
        assert session_to("http://shop.example").get("/").text == "ok"


@pytest.mark.parametrize("dead", [UNREACHABLE, NOT_HERE, NO_SUCH_FAMILY], ids=["route", "IPv6", "family"])
@pytest.mark.parametrize("first", [True, False])
def test_an_address_that_leads_nowhere_is_passed_over(
    session_to: MakeSession, shop: ScriptedServer, dead: Address, first: bool
) -> None:
    name_stands_for([dead, at(shop)] if first else [at(shop), dead])
    ask_four_times(session_to)


def test_an_address_that_refuses_is_passed_over(
    session_to: MakeSession, shop: ScriptedServer, refusing: Address
) -> None:
    name_stands_for([refusing, UNREACHABLE, at(shop)])
    ask_four_times(session_to)


def test_an_address_that_does_not_answer_is_not_waited_for(
    session_to: MakeSession, shop: ScriptedServer, silent: Address
) -> None:
    name_stands_for([silent, at(shop)])
    ask_four_times(session_to)


def test_the_last_address_may_be_the_one_that_does_not_answer(
    session_to: MakeSession, shop: ScriptedServer, silent: Address, refusing: Address
) -> None:
    name_stands_for([refusing, at(shop), silent])
    ask_four_times(session_to)


def test_a_timeout_counts_for_all_addresses_together(
    session_to: MakeSession, outcomes: list[Outcome], silent: Address
) -> None:
    name_stands_for([silent, silent])
    session_to("http://shop.example", connection_timeout=0.4).get("/")
    assert outcomes[0].error == "timeout-connect"


def test_where_all_fail_a_refusal_says_most(
    session_to: MakeSession, outcomes: list[Outcome], refusing: Address
) -> None:
    name_stands_for([UNREACHABLE, refusing, UNREACHABLE])
    assert session_to("http://shop.example").get("/").error.errno == errno.ECONNREFUSED
    name_stands_for([NO_SUCH_FAMILY, UNREACHABLE])
    session_to("http://shop.example").get("/")
    assert [outcome.error for outcome in outcomes] == ["refused", "network"]


def test_no_attempt_is_left_open(
    session_to: MakeSession, shop: ScriptedServer, silent: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[socket.socket] = []

    def noted(*kind: int) -> socket.socket:
        made.append(socket.socket(*kind))
        return made[-1]

    monkeypatch.setattr(dialing, "_plain_socket", noted)
    name_stands_for([silent, UNREACHABLE, at(shop)])
    session = session_to("http://shop.example")
    assert session.get("/").ok
    assert [sock.fileno() >= 0 for sock in made] == [False, False, True]
    session.close()
    assert made[-1].fileno() < 0
