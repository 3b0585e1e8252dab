"""What the order service is told of faults, and when: never while a fault of ours keeps its supervisor down."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import Request

import pytest

from loadtest.faults.maker import FaultError
from loadtest.faults.messages import ServiceProcess
from loadtest.faults.service_faults import ServiceFault, ServiceFaults, count_met, send
from loadtest.plan.fault import Fault
from loadtest.testing import ScriptedServer, ServedConnection, always, response_bytes

Told = list[list[str]]


@pytest.fixture
def admin() -> Iterator[tuple[ServiceFaults, Told]]:
    """(faults of a service, the kinds that its admin port was told, each time)."""
    told: Told = []

    class Admin(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            size = int(self.headers["Content-Length"])
            told.append([fault["kind"] for fault in json.loads(self.rfile.read(size))["faults"]])
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f'orders_faults_total{{kind="stall-store"}} {float(len(told))}\n'.encode())

        def log_message(self, *_words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Admin) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        yield ServiceFaults(ServiceProcess(1, 0.0, url, url, "", "")), told
        server.shutdown()


def fault(kind: str) -> Fault:
    return Fault(name=kind, kind=kind, at_s=3, for_s=1)


def test_faults_that_go_on_are_told_together(admin: tuple[ServiceFaults, Told]) -> None:
    faults, told = admin

    async def scene() -> None:
        await faults.begin(fault("delay"))
        await faults.begin(fault("stall"))
        await faults.undo("delay")
        await faults.undo("stall")

    asyncio.run(scene())
    assert told == [["delay"], ["delay", "stall-store"], ["stall-store"], []]


def test_what_ends_while_the_service_is_down_is_undone_when_it_is_back(
    admin: tuple[ServiceFaults, Told],
) -> None:
    faults, told = admin

    async def scene() -> None:
        await faults.begin(fault("delay"))
        await faults.begin(fault("error"))
        await faults.goes_down()
        undoing = asyncio.ensure_future(faults.undo("delay"))
        await asyncio.sleep(0)
        assert not undoing.done()
        assert len(told) == 2
        await faults.is_back()
        await undoing

    asyncio.run(scene())
    assert told[2:] == [["error"], ["error"]], "a new service is told what goes on"


def test_two_faults_that_keep_it_down_have_both_to_be_over(admin: tuple[ServiceFaults, Told]) -> None:
    faults, told = admin

    async def scene() -> None:
        await faults.goes_down()
        await faults.goes_down()
        beginning = asyncio.ensure_future(faults.begin(fault("hang")))
        await faults.is_back()
        await asyncio.sleep(0)
        assert told == []
        await faults.is_back()
        await beginning

    asyncio.run(scene())
    assert told[-1] == ["hang"]


@pytest.mark.parametrize(("kind", "met"), [("stall", True), ("delay", False)])
def test_a_fault_was_met_if_the_service_counted_one_of_its_kind(
    admin: tuple[ServiceFaults, Told], kind: str, met: bool
) -> None:
    faults, _ = admin

    async def scene() -> bool:
        maker = ServiceFault(fault(kind), faults)
        await maker.begin()
        return await maker.was_met()

    assert asyncio.run(scene()) is met


def test_nobody_asks_a_service_that_is_down_what_it_met(admin: tuple[ServiceFaults, Told]) -> None:
    faults, _ = admin

    async def scene() -> bool:
        maker = ServiceFault(fault("delay"), faults)
        await maker.begin()
        await faults.goes_down()
        return await maker.was_met()

    assert asyncio.run(scene()) is True


def test_a_service_that_counts_anew_after_a_crash_is_not_said_to_have_met_nothing(
    admin: tuple[ServiceFaults, Told],
) -> None:
    faults, _ = admin

    async def scene() -> bool:
        maker = ServiceFault(fault("delay"), faults)
        await maker.begin()
        await faults.goes_down()
        await faults.is_back()
        return await maker.was_met()

    assert asyncio.run(scene()) is True


CUT = b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "gave no answer of HTTP: BadStatusLine: SSH-2.0"),
        (b"HTTP/1.1 200 OK\r\n" + CUT, "gave no answer of HTTP: IncompleteRead"),
        (b"HTTP/1.1 500 No\r\n" + CUT, "answered 500$"),
        (b"", "did not answer: "),
    ],
)
def test_whatever_answers_in_its_place_is_told_as_a_fault_that_failed(said: bytes, why: str) -> None:
    def answer(connection: ServedConnection) -> None:
        connection.read_request()
        connection.send(said)

    with ScriptedServer(answer) as server:
        request = Request(server.url, data=b"x", method="POST")  # noqa: S310 - a server of ours
        with pytest.raises(FaultError, match=f"^the shop {why}"):
            send(request, "the shop", 100)


def test_a_page_of_metrics_that_is_none_is_told_as_a_fault_that_failed() -> None:
    with ScriptedServer(always(response_bytes(b"orders_faults_total \xff"))) as server:
        service = ServiceProcess(1, 0.0, server.url, server.url, "", "")
        with pytest.raises(FaultError, match=r"^the order service's admin port gave no page of metrics"):
            count_met(service, "delay")
