"""The JSON Schema of result.json, made from the types that read and write it, so it cannot fall behind."""

from inspect import cleandoc
from typing import Any

import msgspec

from loadtest.measure.run_result import SCHEMA_VERSION, RunResult


def result_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a run's record; it allows unknown keys, so that fields may be added."""
    (reference,), definitions = msgspec.json.schema_components([RunResult], ref_template="#/$defs/{name}")
    for definition in definitions.values():  # msgspec before 0.23 leaves a docstring as it is indented
        if "description" in definition:
            definition["description"] = cleandoc(definition["description"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"singlesday result.json, schema {SCHEMA_VERSION}",
        **reference,
        "$defs": definitions,
    }
