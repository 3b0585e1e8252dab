"""The whole API under requests made up from its own description, and under bodies bent out of shape."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, Response
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.target_service.fuzz_drill import fuzz
from tests.target_service.service_process import Service, running

MUTATIONS = 3000


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


def test_bodies_bent_out_of_shape_are_refused_and_never_break_anything(service: Service) -> None:
    assert set(fuzz(service, MUTATIONS)) == {201, 400, 422}
