"""The whole API under requests made up from its own description, and under bodies bent out of shape."""

import json
import random
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, Response
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.target_service.service_process import Service, running

MUTATIONS = 3000
SEED = (
    b'{"buyer_id": 7, "lines": [{"sku": "sku-000001", "quantity": 1}, {"sku": "sku-000002", "quantity": 3}]}'
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("fuzz"), "--body-deadline-s", "1") as started:
        yield started
        assert "Traceback" not in started.log.read_text()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # schemathesis and its own dependencies warn of themselves
def test_requests_made_from_the_description_get_described_answers(service: Service) -> None:
    description = service.ask("GET", "/openapi.json").json
    # The stream of tokens is no JSON document.
    del description["paths"]["/assistant/messages"]
    schema = schemathesis.openapi.from_dict(description)
    schema.config.update(base_url=service.url)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == 12
    for operation in operations:
        _exercise(operation)


def _exercise(operation: "APIOperation[Any, Any, Any, Any]") -> None:
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def check(case: "Case[Any]") -> None:
        case.call_and_validate(checks=[only_503, status_code_conformance, response_schema_conformance])

    check()


def only_503(_context: object, response: Response, _case: object) -> None:
    """Of all server errors only "not now" may be seen."""
    assert response.status_code < 500 or response.status_code == 503, response.text


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


def test_bodies_bent_out_of_shape_are_refused_and_never_break_anything(service: Service) -> None:
    dice = random.Random(20201111)
    connection = HTTPConnection(*service.address, timeout=10)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    seen: dict[int, int] = {}
    for _ in range(MUTATIONS):
        body = mutated(dice)
        connection.request("POST", "/orders", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        assert response.status in (201, 400, 422), (body, answer)
        assert json.loads(answer), (body, answer)
        seen[response.status] = seen.get(response.status, 0) + 1
    connection.close()
    assert set(seen) == {201, 400, 422}
