"""The API of a running service: what it answers, and how strictly it reads."""

import contextlib
import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import msgspec
import pytest

from target_service.schema import OrderRequest, ParcelRequest, ScanRequest
from tests.target_service.buyers import wait_until
from tests.target_service.service_process import Answer, Service, running
from tests.timing import Timing

TOKEN = "made-up"  # noqa: S105 - of a service that lives for this test


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for nearly all tests of this file."""
    flags = ("--admin-token", TOKEN, "--workers", "2")
    with running(tmp_path_factory.mktemp("api"), *flags) as started:
        yield started
        assert "Traceback" not in started.log.read_text()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One that waits for no slow sender: on a busy machine any may be one."""
    with running(
        tmp_path_factory.mktemp("impatient"), "--body-deadline-s", "0.5", "--idle-s", "1"
    ) as started:
        yield started
        assert "Traceback" not in started.log.read_text()


def body(**changes: Any) -> dict[str, Any]:
    return {"buyer_id": 7, "lines": [{"sku": "sku-000001", "quantity": 1}]} | changes


def is_problem(answer: Answer) -> bool:
    return answer.headers["Content-Type"].startswith("application/problem+json") and (
        answer.json["status"] == answer.status
    )


GOOD = json.dumps(body())
HEAD = b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 400),
        ("{", 400),
        ("[]", 422),
        ("null", 422),
        ("NaN", 400),
        (b"\xff\xfe{}", 400),
        (b"\xef\xbb\xbf" + GOOD.encode(), 400),
        (GOOD.replace("sku-000001", "sku-\ud800").encode("utf-8", "surrogatepass"), 400),
        ("[" * 30_000, 422),
        ('{"buyer_id": ' + "[" * 30_000, 422),
        (json.dumps(body(buyer_id=0)), 422),
        (json.dumps(body(buyer_id=-1)), 422),
        (json.dumps(body(buyer_id=2**53)), 422),
        (json.dumps(body(buyer_id=10**40)), 422),
        (json.dumps(body(buyer_id=1.5)), 422),
        (json.dumps(body(buyer_id="7")), 422),
        (json.dumps(body(buyer_id=True)), 422),
        (GOOD.replace("7", "NaN", 1), 400),
        (GOOD.replace("7", "1e999", 1), 422),
        (json.dumps(body(lines=[])), 422),
        (json.dumps(body(lines=[{"sku": "sku-000001", "quantity": 1}] * 101)), 422),
        (json.dumps(body(lines=[{"sku": "sku-000001", "quantity": 0}])), 422),
        (json.dumps(body(lines=[{"sku": "sku-000001", "quantity": 1001}])), 422),
        (json.dumps(body(lines=[{"sku": "SKU-000001", "quantity": 1}])), 422),
        (json.dumps(body(lines=[{"sku": "sku-000000", "quantity": 1}])), 422),
        (json.dumps(body(lines=[{"sku": "sku-0000001", "quantity": 1}])), 422),
        (json.dumps(body(lines=[{"sku": "sku-\u0660\u0660\u0660\u0660\u0660\u0661", "quantity": 1}])), 422),
        (json.dumps(body(lines=[{"sku": "sku-000001\n", "quantity": 1}])), 422),
        (json.dumps(body(lines=[{"sku": "sku-9999999", "quantity": 1}])), 422),
        (json.dumps(body(extra=1)), 422),
        ('{"buyer_id": 1, ' + GOOD[1:], 400),
        (GOOD.replace('"quantity": 1', '"quantity": 1, "quantity": 2'), 400),
        ('{"buyer\\u005fid": 1, ' + GOOD[1:], 400),
        (GOOD + "x", 400),
    ],
)
def test_a_bad_body_is_refused_as_a_problem(service: Service, text: str | bytes, status: int) -> None:
    answer = service.ask("POST", "/orders", text)
    assert (answer.status, is_problem(answer)) == (status, True), answer


def test_a_bad_field_is_named_by_its_pointer(service: Service) -> None:
    answer = service.ask("POST", "/orders", json.dumps(body(lines=[{"sku": "sku-000001", "quantity": "1"}])))
    assert answer.json["errors"] == [{"pointer": "/lines/0/quantity", "detail": "Expected `int`, got `str`"}]
    unknown = service.order(sku="sku-9999999").json
    assert unknown["errors"] == [{"pointer": "/lines/0/sku", "detail": "not in the catalogue"}]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json; charset=utf-7"}, 415),
        ({"Content-Type": "application/json; charset=no-such"}, 415),
        ({"Content-Type": "application/json; charset=UTF-8"}, 201),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Idempotency-Key": ""}, 400),
        ({"Idempotency-Key": "k" * 129}, 400),
        ({"Idempotency-Key": "with space"}, 400),
        ({"X-Load-Test": ""}, 400),
        ({"X-Load-Test": "a/b"}, 400),
        ({"X-Request-Deadline-Ms": "soon"}, 400),
        ({"X-Request-Deadline-Ms": "0"}, 400),
        ({"X-Request-Deadline-Ms": "-5"}, 400),
        ({"X-Request-Deadline-Ms": "5000"}, 201),
    ],
)
def test_headers_are_checked(service: Service, headers: dict[str, str], status: int) -> None:
    answer = service.ask("POST", "/orders", GOOD, **headers)
    assert answer.status == status, answer
    assert status == 201 or is_problem(answer)


def test_a_body_over_64_kib_is_refused_whether_it_says_so_or_not(service: Service) -> None:
    too_much = " " * (64 * 1024) + GOOD
    assert service.ask("POST", "/orders", too_much).status == 413
    chunks = b"".join(b"1000\r\n" + b" " * 4096 + b"\r\n" for _ in range(17)) + b"0\r\n\r\n"
    assert exchange(service, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks).startswith(
        b"HTTP/1.1 413"
    )


def exchange(service: Service, sent: bytes, wait_s: float = 90.0) -> bytes:
    """Send bytes; everything that comes back until the service closes, or falls silent after an answer."""
    with socket.create_connection(service.address, timeout=wait_s) as connection:
        connection.sendall(sent)
        received = b""
        while b"\r\n\r\n" not in received:
            some = connection.recv(65536)
            if not some:
                break
            received += some
        return received


def test_a_body_that_does_not_come_is_given_up_with_408(impatient: Service, timing: Timing) -> None:
    began = time.monotonic()
    assert exchange(impatient, HEAD + b"Content-Length: 100\r\n\r\n{").startswith(b"HTTP/1.1 408")
    lasted_s = time.monotonic() - began
    assert lasted_s > 0.4
    with timing:
        assert lasted_s < 3


def test_a_head_that_does_not_come_is_cut_off(impatient: Service) -> None:
    assert exchange(impatient, b"POST /orders HTTP/1.1\r\nHost:") == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\nHost: x\n\n", 400),
        (b"BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http://[bad/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 500 + b"\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20_000 + b"\r\n\r\n", 400),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
        (b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (HEAD + b"Content-Length: -5\r\n\r\n", 400),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (HEAD + b"Expect: magic\r\nContent-Length: 2\r\n\r\n{}", 417),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    ],
)
def test_malformed_http_is_answered_with_a_problem_and_the_connection_closed(
    service: Service, sent: bytes, status: int
) -> None:
    with socket.create_connection(service.address, timeout=90) as connection:
        connection.sendall(sent)
        answer = read_to_the_end(connection)
    assert (answer.status, is_problem(answer)) == (status, True), answer


def test_a_chunk_that_breaks_later_is_told_as_a_problem(service: Service) -> None:
    with socket.create_connection(service.address, timeout=90) as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
        asked_to_go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert connection.recv(len(asked_to_go_on), socket.MSG_WAITALL) == asked_to_go_on
        connection.sendall(b"1\r\n{\r\nzz\r\n")
        answer = read_to_the_end(connection)
    assert (answer.status, is_problem(answer)) == (400, True), answer


def test_malformed_http_is_counted_as_refused(service: Service) -> None:
    series = 'orders_rejected_total{reason="unmet-expectation",traffic="live"}'
    before = service.metric(series)
    exchange(service, HEAD + b"Expect: magic\r\nContent-Length: 2\r\n\r\n{}")
    assert service.metric(series) == before + 1


def read_to_the_end(connection: socket.socket) -> Answer:
    """The one answer that comes before the service closes the connection."""
    response = HTTPResponse(connection)
    response.begin()
    answer = Answer(response.status, dict(response.getheaders()), response.read())
    assert connection.recv(1) == b""
    return answer


def test_unknown_paths_and_methods_are_problems(service: Service) -> None:
    for method, path, status in [
        ("GET", "/nothing", 404),
        ("DELETE", "/orders", 405),
        ("GET", "/orders/0", 404),
        ("GET", "/orders/zzzzzzzzzzzzzzzz", 404),
        ("GET", "/orders/ffffffffffffffff", 404),
        ("GET", "/products/%00", 404),
        ("GET", "/products/sku-%D9%A0%D9%A0%D9%A0%D9%A0%D9%A0%D9%A1", 404),
    ]:
        answer = service.ask(method, path)
        assert (answer.status, is_problem(answer)) == (status, True), (path, answer)


def test_an_order_can_be_looked_at_and_paid(service: Service) -> None:
    created = service.order(sku="sku-000002", quantity=3)
    assert created.headers["Location"] == f"/orders/{created.json['order_id']}"
    path = created.headers["Location"]
    seen = service.ask("GET", path).json
    assert seen["lines"] == [{"sku": "sku-000002", "quantity": 3, "price_cents": seen["total_cents"] // 3}]
    assert seen["status"] == created.json["status"] == "created"
    wrong = service.ask("POST", f"{path}/payment", '{"amount_cents": 1}')
    assert (wrong.status, is_problem(wrong)) == (422, True)
    right = json.dumps({"amount_cents": seen["total_cents"]})
    assert [service.ask("POST", f"{path}/payment", right).json["status"] for _ in range(2)] == ["paid"] * 2
    assert service.ask("GET", path).json["status"] == "paid"


def test_a_checkout_makes_an_order_for_each_seller(service: Service) -> None:
    lines = [{"sku": f"sku-{n:06d}", "quantity": 1} for n in (11, 1011, 12)]
    first, again = (
        service.ask("POST", "/checkouts", json.dumps(body(lines=lines)), Idempotency_Key="basket")
        for _ in range(2)
    )
    assert first.status == 201
    assert first.body == again.body
    assert again.headers["Idempotent-Replayed"] == "true"
    views = [service.ask("GET", f"/orders/{order['order_id']}").json for order in first.json["orders"]]
    assert [[line["sku"] for line in view["lines"]] for view in views] == [
        ["sku-000011", "sku-001011"],
        ["sku-000012"],
    ]
    assert first.json["total_cents"] == sum(view["total_cents"] for view in views)


LINE = {"sku": "sku-000003", "quantity": 1}
KEYED: dict[str, tuple[type, dict[str, Any], dict[str, Any]]] = {
    "/orders": (
        OrderRequest,
        {"buyer_id": 7, "lines": [LINE], "region": "tokyo"},
        {"buyer_id": 8, "lines": [LINE, LINE], "region": "seoul"},
    ),
    "/checkouts": (
        OrderRequest,
        {"buyer_id": 7, "lines": [LINE, LINE | {"sku": "sku-000004"}], "region": "tokyo"},
        {"buyer_id": 8, "lines": [LINE, LINE | {"sku": "sku-000004", "quantity": 2}], "region": "seoul"},
    ),
    "/parcels": (
        ParcelRequest,
        {"origin": "tokyo", "destination": "seoul", "order_id": "ORDER"},
        {"origin": "seoul", "destination": "tokyo", "order_id": None},
    ),
    "/parcels/ORDER/events": (
        ScanRequest,
        {"event_id": "one", "kind": "packed", "region": "tokyo"},
        {"event_id": "two", "kind": "error", "region": "seoul"},
    ),
}
"""By path: what is asked, something else for each of its fields."""


@pytest.mark.parametrize("path", KEYED)
def test_every_field_of_what_was_asked_belongs_to_its_key(service: Service, path: str) -> None:
    request, asked, otherwise = KEYED[path]
    order = service.order().json["order_id"]
    if "events" in path:
        sent = json.dumps({"origin": "tokyo", "destination": "seoul", "order_id": order})
        assert service.ask("POST", "/parcels", sent).status == 201

    def ask(changes: dict[str, Any], key: str = f"fields of {path}".replace(" ", "-")) -> Answer:
        text = json.dumps(asked | changes).replace("ORDER", order)
        return service.ask("POST", path.replace("ORDER", order), text, Idempotency_Key=key)

    first, again = ask({}), ask({})
    assert (first.status // 100, again.status, again.body) == (2, first.status, first.body)
    for field in msgspec.structs.fields(request):
        wrong = ask({field.name: otherwise[field.name]})
        assert (wrong.status, is_problem(wrong)) == (422, True), field.name
    if request is OrderRequest:
        assert ask({"region": None}).status == 422
        assert ask({"region": None}, f"nowhere{path}").status == 201
        assert [ask({"region": region}, f"nowhere{path}").status for region in (None, "tokyo")] == [201, 422]


def test_a_key_being_worked_on_is_answered_with_409_or_replayed(service: Service) -> None:
    with ThreadPoolExecutor(16) as buyers:
        answers = list(buyers.map(lambda _: service.order("stormy"), range(100)))
    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.body for answer in answers if answer.status == 201}) == 1
    assert all(is_problem(answer) for answer in answers if answer.status == 409)


def test_stock_is_counted_and_only_operators_add_to_it(service: Service) -> None:
    path = "/inventory/sku-000077"
    service.order(sku="sku-000077", quantity=4)
    assert service.ask("GET", path).json == {
        "sku": "sku-000077",
        "initial": 1_000_000,
        "available": 999_996,
        "sold": 4,
    }
    more = '{"units": 10}'
    assert service.ask("POST", f"{path}/restocks", more).status == 401
    for wrong in ("Bearer wrong", "Bearer \xff", TOKEN):
        assert service.ask("POST", f"{path}/restocks", more, Authorization=wrong).status == 401
    restocked = service.ask("POST", f"{path}/restocks", more, Authorization=f"Bearer {TOKEN}")
    assert restocked.json["available"] == 1_000_006


def test_a_parcel_is_followed_from_the_warehouse_to_the_door(service: Service) -> None:
    order = service.order().json["order_id"]
    sent = json.dumps({"origin": "hangzhou", "destination": "tokyo", "order_id": order})
    created = service.ask("POST", "/parcels", sent)
    assert (created.status, created.json["status"]) == (201, "accepted")
    assert service.ask("POST", "/parcels", sent).json == created.json
    elsewhere = json.dumps({"origin": "hangzhou", "destination": "dubai", "order_id": order})
    assert service.ask("POST", "/parcels", elsewhere).status == 409
    path = created.headers["Location"]
    packed = json.dumps({"event_id": "e1", "kind": "packed", "region": "hangzhou"})
    assert service.ask("POST", f"{path}/events", packed).json["status"] == "packed"
    nul = json.dumps({"event_id": "a\0b", "kind": "packed", "region": "hangzhou"})
    assert service.ask("POST", f"{path}/events", nul).status == 422
    signed = json.dumps({"event_id": "e2", "kind": "signed", "region": "tokyo"})
    assert service.ask("POST", f"{path}/events", signed).status == 409
    assert [event["kind"] for event in service.ask("GET", path).json["events"]] == ["accepted", "packed"]


def test_the_assistant_streams_as_many_tokens_as_asked_for(service: Service) -> None:
    answer = service.ask("POST", "/assistant/messages", '{"prompt": "where is it?", "max_tokens": 3}')
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.body.decode().split("\n\n") == [
        'data: {"index":0,"text":"the"}',
        'data: {"index":1,"text":"parcel"}',
        'data: {"index":2,"text":"you"}',
        "event: done\ndata: {}",
        "",
    ]


def test_the_description_lists_every_operation(service: Service) -> None:
    document = service.ask("GET", "/openapi.json").json
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]["/orders"]["post"]["responses"]) >= {
        "201",
        "400",
        "409",
        "413",
        "422",
        "503",
    }
    listed = {(method, path) for path, operations in document["paths"].items() for method in operations}
    assert ("post", "/parcels/{parcel_id}/events") in listed
    assert len(listed) == 13


def test_health_and_readiness(service: Service) -> None:
    assert service.ask("GET", "/healthz").json == {"status": "alive"}
    assert service.ask("GET", "/readyz").json == {"status": "ready"}


def wait_for_unready(service: Service, why: str) -> None:
    """Wait until the service says that it is not ready, and why, to who asks and in its log."""
    wait_until(lambda: service.ask("GET", "/readyz").status == 503)
    assert why in service.ask("GET", "/readyz").body.decode()
    wait_until(lambda: why in service.log.read_text())


def test_a_service_whose_table_of_orders_is_gone_is_not_ready_whatever_else_it_can_write(
    tmp_path: Path,
) -> None:
    parcel = json.dumps({"origin": "tokyo", "destination": "seoul"})
    with running(tmp_path, "--reservation-s", "1") as service:
        assert service.order().status == 201
        with contextlib.closing(sqlite3.connect(tmp_path / "orders.db", timeout=10)) as database:
            database.execute("DROP TABLE orders")
        wait_for_unready(service, "no such table: orders")
        assert service.ask("POST", "/parcels", parcel).status == 201
        assert service.ask("GET", "/readyz").status == 503


def test_a_service_whose_log_was_deleted_says_so_and_what_to_do(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        assert service.order().status == 201
        (tmp_path / "orders.db-wal").unlink()
        assert service.order().status == 503
        wait_for_unready(service, "orders.db-wal was moved, deleted or replaced: put it back")
        assert "restart the service on what is there" in service.order().body.decode()
    with running(tmp_path) as again:
        assert again.order().status == 201


def test_a_locked_store_is_answered_with_503_in_time_and_recovers(tmp_path: Path, timing: Timing) -> None:
    with running(tmp_path, "--store-wait-s", "0.3") as locked:
        assert locked.order().status == 201
        intruder = sqlite3.connect(tmp_path / "orders.db", isolation_level=None)
        intruder.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        answer = locked.order("k")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        lasted_s = time.monotonic() - began
        assert lasted_s > 0.2
        with timing:
            assert lasted_s < 2
        late = locked.order("d", X_Request_Deadline_Ms="1")
        assert late.status == 503
        intruder.execute("ROLLBACK")
        intruder.close()
        assert locked.order("k").status == 201
        assert locked.metric("orders_store_errors_total") >= 1


def test_a_parcels_events_are_shown_by_pages_and_its_keys_belong_to_their_path(service: Service) -> None:
    send = json.dumps({"origin": "tokyo", "destination": "seoul"})
    sent = service.ask("POST", "/parcels", send, Idempotency_Key="parcel-1")
    again = service.ask("POST", "/parcels", send, Idempotency_Key="parcel-1")
    assert (sent.status, again.status, again.body) == (201, 201, sent.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert service.order("parcel-1").status == 422
    service.order("order-1")
    assert service.ask("POST", "/parcels", send, Idempotency_Key="order-1").status == 422
    path = sent.headers["Location"]
    for n, kind in enumerate(["packed", "handed_over", *["station_in", "station_out"] * 49]):
        event = json.dumps({"event_id": f"e{n}", "kind": kind, "region": "tokyo"})
        scanned = service.ask("POST", f"{path}/events", event)
        assert scanned.status == (200 if n < 99 else 409), scanned.body
        assert len(scanned.json.get("events", ())) <= 20
    seen: list[str] = []
    before = 100
    while before:
        page = service.ask("GET", f"{path}?before={before}").json
        seen[:0] = [event["event_id"] for event in page["events"]]
        before = page["earlier_events"]
    assert seen == ["accepted", *(f"e{n}" for n in range(99))]
    for bad in ("-1", "x", "9" * 5000, "%D9%A3"):
        assert service.ask("GET", f"{path}?before={bad}").status == 400
