"""What clients send: each field full of each awkward character costs a small multiple of a plain request, and is
echoed in 200 characters at most."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.target_service.service_process import Service, running

LENGTH = 64_000
TURNS = 20
COSTLIEST = 40
"""Times a plain request: sixty thousand characters have to be read and compared after all."""
SPARE_S = 0.3
"""CPU time that is anybody's: the kernel counts it in hundredths."""

NO_UTF8 = "\udcff"
"""How the byte 255 is written here."""
AWKWARD = ['"', "\\", "[", "]", "{", "(", ";", ";a=", " - at `$", ".", "/", "%", "%ED%A0%80", ","]
AWKWARD += [" ", "\t", "-", "0", "é", "\x00", NO_UTF8]
ORDER = {"buyer_id": 1, "lines": [{"sku": "sku-000001", "quantity": 1}]}
SCAN = {"event_id": "a", "kind": "packed", "region": "tokyo"}

Make = Callable[[str], bytes]


def request(method: str, target: str, body: bytes = b"", **fields: str) -> bytes:
    head = f"{method} {target} HTTP/1.1\r\n"
    named = {
        "Host": "x",
        "Connection": "close",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    if body:
        named = {"Content-Type": "application/json", "Content-Length": str(len(body)), **named}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return (head + lines + "\r\n").encode(errors="surrogateescape") + body


def as_body(value: object) -> bytes:
    return json.dumps(value).encode()


FIELDS: dict[str, Make] = {
    "key": lambda text: request("POST", "/orders", as_body({text: 1})),
    "key within": lambda text: request("POST", "/orders", as_body({**ORDER, "lines": [{text: 1}]})),
    "key twice": lambda text: request(
        "POST", "/orders", b"{%b:1,%b:2}" % ((as_body(text[: LENGTH // 20]),) * 2)
    ),
    "buyer": lambda text: request("POST", "/orders", as_body({**ORDER, "buyer_id": text})),
    "sku": lambda text: request(
        "POST", "/orders", as_body({**ORDER, "lines": [{"sku": text, "quantity": 1}]})
    ),
    "body": lambda text: request("POST", "/orders", text.encode(errors="surrogateescape")),
    "order of a parcel": lambda text: request(
        "POST", "/parcels", as_body({"origin": "tokyo", "destination": "seoul", "order_id": text})
    ),
    "region": lambda text: request("POST", "/parcels", as_body({"origin": text, "destination": "seoul"})),
    "event": lambda text: request(
        "POST", "/parcels/0000000000000001/events", as_body({**SCAN, "event_id": text})
    ),
    "kind": lambda text: request("POST", "/parcels/0000000000000001/events", as_body({**SCAN, "kind": text})),
    "prompt": lambda text: request("POST", "/assistant/messages", as_body({"prompt": text})),
    "path": lambda text: request("GET", "/" + text),
    "path of 2 KB": lambda text: request("GET", "/" + text[:2000]),
    "query": lambda text: request("GET", "/products/sku-000001?" + text[:2000]),
    "method": lambda text: request(text, "/orders"),
    **{
        f"{name} of {size}": (
            lambda text, name=name, size=size: request(
                "POST", "/orders", as_body(ORDER), **{name: text[:size]}
            )  # type: ignore[misc]
        )
        for size in (8000, LENGTH)
        for name in (
            "Content_Type",
            "Content_Encoding",
            "Host",
            "Idempotency_Key",
            "X_Load_Test",
            "X_Request_Deadline_Ms",
            "traceparent",
            "Transfer_Encoding",
            "Authorization",
            "Cookie",
            "Expect",
        )
    },
    "Content-Type behind JSON": lambda text: request(
        "POST", "/orders", as_body(ORDER), Content_Type="application/json;a" + text[:8000]
    ),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("inputs")) as started:
        yield started


def cpu_s(service: Service) -> float:
    (worker,) = service.worker_pids()
    ticks = Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def told(service: Service, asked: bytes) -> bytes:
    """All that is answered to these bytes."""
    said = b""
    with socket.create_connection(service.address, timeout=20) as client:
        try:
            client.sendall(asked)
            while piece := client.recv(65536):
                said += piece
        except ConnectionError:
            pass
    return said


def cost_s(service: Service, asked: bytes) -> tuple[float, bytes]:
    """The worker's CPU time for some such requests, and the last answer."""
    before = cpu_s(service)
    for _ in range(TURNS):
        said = told(service, asked)
    return cpu_s(service) - before, said


@pytest.mark.parametrize("field", FIELDS)
def test_no_field_costs_more_than_a_multiple_of_a_plain_request_nor_is_echoed_at_length(
    service: Service, field: str
) -> None:
    plain_s, _ = cost_s(service, request("POST", "/orders", as_body(ORDER)))
    for piece in AWKWARD:
        text = (piece * LENGTH)[:LENGTH].replace("\x00", "\0")
        if field not in ("key", "key within", "buyer", "sku", "body") and not (
            piece.isprintable() or piece == NO_UTF8
        ):
            continue  # no line of a head can hold it
        taken_s, said = cost_s(
            service, FIELDS[field](text[: LENGTH // len(piece.encode(errors="surrogateescape"))])
        )
        assert taken_s <= COSTLIEST * plain_s + SPARE_S, piece
        assert said[:12] != b"HTTP/1.1 500", piece
        assert len(said) < 1500, piece


FOREIGN = {
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/0.9, said": b"GET /healthz HTTP/0.9\r\nHost: x\r\n\r\n",
    "HTTP/1.2": b"GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n",
    "HTTP/2.0": b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "RTSP": b"GET /healthz RTSP/1.0\r\nHost: x\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "a host with a space": b"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a host with a user": b"GET /healthz HTTP/1.0\r\nHost: u@x\r\n\r\n",
    "an empty host": b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n",
    "a port too high": b"GET /healthz HTTP/1.1\r\nHost: x:70000\r\n\r\n",
    "gzip, chunked": b"POST /orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "gzip": b"POST /orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    "chunked in HTTP/1.0": b"POST /orders HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("meant", FOREIGN)
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_head_whose_meaning_is_in_doubt_is_refused_and_its_connection_closed(
    service: Service, meant: str, pieces: int
) -> None:
    asked = FOREIGN[meant]
    said = b""
    with socket.create_connection(service.address, timeout=20) as client:
        client.sendall(asked[:5] if pieces == 2 else asked)
        if pieces == 2:
            client.sendall(asked[5:])
        while piece := client.recv(65536):
            said += piece
    assert said.split(b" ", 2)[1] == b"400"
    assert b"application/problem+json" in said


@pytest.mark.parametrize("name", ["X-Load-Test", "Idempotency-Key", "X-Request-Deadline-Ms"])
def test_a_header_that_says_two_things_is_refused(service: Service, name: str) -> None:
    once = request("POST", "/orders", as_body(ORDER), **{name.replace("-", "_"): "5000"})
    twice = once.replace(b"Host: x\r\n", b"Host: x\r\n%b: 6000\r\n" % name.encode())
    assert told(service, once).split(b" ", 2)[1] == b"201"
    assert told(service, twice).split(b" ", 2)[1] == b"400"
