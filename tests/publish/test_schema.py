"""The published schema against real records."""

from collections.abc import Callable
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from loadtest.measure.run_result import RunResult
from loadtest.publish.schema import result_schema
from tests.publish.sample_result import a_failed_run, an_empty_run


@pytest.fixture(scope="module")
def validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(result_schema())


@pytest.mark.parametrize("recorded", [a_failed_run, an_empty_run])
def test_every_record_we_write_is_valid(
    validator: jsonschema_rs.Draft202012Validator, recorded: Callable[[], RunResult]
) -> None:
    validator.validate(msgspec.to_builtins(recorded()))


def wrong(path: str, value: object) -> dict[str, Any]:
    """A valid record with one value replaced."""
    record: dict[str, Any] = msgspec.to_builtins(a_failed_run())
    *parents, last = path.split(".")
    place = record
    for parent in parents:
        place = place[parent]
    place[last] = value
    return record


@pytest.mark.parametrize(
    ("path", "value"), [("arrivals.planned", "many"), ("run.duration_s", None), ("verdict", 3), ("slo", {})]
)
def test_a_record_with_a_value_of_the_wrong_type_is_refused(
    validator: jsonschema_rs.Draft202012Validator, path: str, value: object
) -> None:
    assert not validator.is_valid(wrong(path, value))


def test_a_record_may_have_fields_of_a_later_version(validator: jsonschema_rs.Draft202012Validator) -> None:
    assert validator.is_valid(wrong("arrivals.postponed", 3))
