"""The description agrees with itself."""

import json
from types import SimpleNamespace
from typing import Any

from target_service import problem, tags
from target_service.openapi import document
from target_service.routes import operations

NOTHING: Any = SimpleNamespace()
"""No handler runs."""


def described() -> dict[str, Any]:
    description: dict[str, Any] = document(operations(NOTHING, NOTHING))
    return description


def test_every_reference_leads_somewhere() -> None:
    description = described()
    text = json.dumps(description)
    schemas = description["components"]["schemas"]
    assert text.count('"$ref"') >= len(schemas)
    for part in text.split('"$ref": "')[1:]:
        assert part.split('"')[0].removeprefix("#/components/schemas/") in schemas


def test_every_operation_has_an_id_of_its_own_and_tells_its_refusals() -> None:
    found = [operation for path in described()["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in found}) == len(found)
    for operation in found:
        assert "503" in operation["responses"]
        assert ("requestBody" in operation) == ("413" in operation["responses"])


def test_headers_are_described_as_they_are_checked() -> None:
    schemas = {
        parameter["name"]: parameter["schema"]
        for methods in described()["paths"].values()
        for operation in methods.values()
        for parameter in operation["parameters"]
        if parameter["in"] == "header"
    }
    assert schemas == {
        "X-Load-Test": {"type": "string", "pattern": f"^{tags.RUN_ID_PATTERN}$"},
        "Idempotency-Key": {"type": "string", "pattern": f"^{tags.KEY_PATTERN}$"},
        "X-Request-Deadline-Ms": {"type": "integer", "minimum": 1, "maximum": tags.LONGEST_DEADLINE_MS},
    }


def test_purchases_and_changes_of_parcels_take_a_key() -> None:
    keyed = {
        path
        for path, methods in described()["paths"].items()
        for operation in methods.values()
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"])
    }
    assert keyed == {"/orders", "/checkouts", "/parcels", "/parcels/{parcel_id}/events"}


def test_what_changes_something_tells_that_its_fate_may_be_unknown() -> None:
    telling = {
        path
        for path, methods in described()["paths"].items()
        for operation in methods.values()
        if problem.FATE_UNKNOWN.title in operation["responses"]["503"]["description"]
    }
    paid = "/orders/{order_id}/payment"
    assert telling == {"/orders", "/checkouts", paid, "/parcels", "/parcels/{parcel_id}/events"}
