"""Requests made up from a service's own description: schemathesis, whose import takes a second of CPU."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, Response
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance


def exercise(description: dict[str, Any], url: str) -> int:
    """Hold every described operation to what it says of its answers; how many operations there are."""
    schema = schemathesis.openapi.from_dict(description)
    schema.config.update(base_url=url)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    for operation in operations:
        _exercise(operation)
    return len(operations)


def _exercise(operation: "APIOperation[Any, Any, Any, Any]") -> None:
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def check(case: "Case[Any]") -> None:
        case.call_and_validate(checks=[_only_503, status_code_conformance, response_schema_conformance])

    check()


def _only_503(_context: object, response: Response, _case: object) -> None:
    """Of all server errors only "not now" may be seen."""
    assert response.status_code < 500 or response.status_code == 503, response.text
