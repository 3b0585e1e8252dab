"""Order bodies bent out of shape: each is answered as the API describes, and none leaves anything behind."""

import contextlib
import json
import random
import socket
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from tests.target_service.service_process import Service, running

SEED = (
    b'{"buyer_id": 7, "lines": [{"sku": "sku-000001", "quantity": 1}, {"sku": "sku-000002", "quantity": 3}]}'
)
WARM_UP = 20_000
"""Requests after which the store's page cache and the allocator have what they want."""


class Fuzzed(NamedTuple):
    """What the service answered, and what it kept."""

    asked: int
    statuses: Counter[int]
    grown_mb: float
    """Resident memory after everything beside that after the warm-up, in MB."""

    def __str__(self) -> str:
        told = ", ".join(f"{count} x {status}" for status, count in sorted(self.statuses.items()))
        return f"{self.asked} asked: {told}; memory {self.grown_mb:+.2f} MB"


def fuzz_drill(folder: Path, requests: int, progress: Callable[[int], None] = lambda _: None) -> Fuzzed:
    """Send `requests` bent bodies to a service of its own, after a warm-up."""
    with running(folder) as service:
        statuses = fuzz(service, WARM_UP)
        before_bytes = service.metric("orders_memory_bytes")
        for done in range(0, requests, WARM_UP):
            statuses += fuzz(service, min(WARM_UP, requests - done), seed=done + 1)
            progress(done)
        grown_mb = (service.metric("orders_memory_bytes") - before_bytes) / 1e6
        service.stop()
    assert "Traceback" not in service.log.read_text()
    return Fuzzed(requests, statuses, grown_mb)


def fuzz(service: Service, requests: int, seed: int = 20201111) -> Counter[int]:
    """Send bent bodies on one connection; how often each status came. Fails for one that is not described."""
    dice = random.Random(seed)
    seen: Counter[int] = Counter()
    with contextlib.closing(HTTPConnection(*service.address, timeout=60)) as connection:
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(requests):
            body = mutated(dice)
            connection.request("POST", "/orders", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            assert response.status in {201, 400, 422}, (body, answer)
            assert json.loads(answer), (body, answer)
            seen[response.status] += 1
    return seen


def mutated(dice: random.Random) -> bytes:
    """The seed body with a few bytes changed, cut, repeated or swapped for something nasty."""
    body = bytearray(SEED)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(body) + 1)
        way = dice.randrange(4)
        if way == 0:
            body[at : at + 1] = bytes([dice.randrange(256)])
        elif way == 1:
            del body[at : at + dice.randrange(20)]
        elif way == 2:
            body[at:at] = body[at : at + dice.randrange(20)]
        else:
            body[at:at] = dice.choice([b"NaN", b"1e999", b"\\u0000", b"[" * 50, b"-", b'"', b"\xff", b"null"])
    return bytes(body)
