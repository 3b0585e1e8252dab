"""The plan file for editors and for the reference, made from the types that read it, so neither can fall behind."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from loadtest.plan.feeder_table import SOURCES as FEEDER_SOURCES
from loadtest.plan.plan_tables import TABLES, PlanTable

_SOURCES = ("curve", "knots", "knots_tps", "csv")
_DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$|^[0-9]+(\.[0-9]+)?$"


class PlanKey(NamedTuple):
    """One key of a plan file, as the reference tells it."""

    name: str
    unit: str
    default: str
    """What holds without it; "required" if nothing does."""
    example: str
    """As TOML."""
    meaning: str


def plan_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a plan file, for editors that check TOML as it is written."""
    (reference,), definitions = msgspec.json.schema_components([PlanTable], ref_template="#/$defs/{name}")
    definitions["ProfileTable"]["oneOf"] = [{"required": [source]} for source in _SOURCES]
    definitions["FeederTable"]["oneOf"] = [{"required": [source]} for source in FEEDER_SOURCES]
    definitions["PlanTable"]["required"] = ["profile", "scenario"]
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "singlesday plan",
        **reference,
        "$defs": definitions,
    }
    plain: dict[str, Any] = _as_toml_has_it(schema)
    return plain


def plan_keys(table: str) -> Iterator[PlanKey]:
    """The keys of one of `TABLES`, in the order of their type."""
    kind = TABLES[table]
    definition = plan_schema()["$defs"][kind.__name__]
    for name, told in definition["properties"].items():
        required = name in definition.get("required", ()) and "x-default" not in told
        default = "required" if required else told.get("x-default") or _default(told)
        example = "".join(f"{name} = {_toml(one)}" for one in told.get("examples", ()))
        yield PlanKey(name, told.get("x-unit", ""), default, example, told.get("description", ""))


def _default(told: Mapping[str, Any]) -> str:
    default = told.get("default")
    return f"`{_toml(default)}`" if isinstance(default, str | int | float) else ""


def _toml(value: Any) -> str:
    """A value as TOML; JSON's way to write it is TOML's, except for tables and what there is no value for."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return msgspec.json.encode(value).decode()


def _as_toml_has_it(schema: Any) -> Any:
    """The same schema without null, which TOML has not, and with the pattern of durations."""
    if isinstance(schema, list):
        return [_as_toml_has_it(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        name: _as_toml_has_it(one) for name, one in schema.items() if not (name == "default" and one is None)
    }
    choices = plain.get("anyOf")
    if isinstance(choices, list):
        plain["anyOf"] = choices = [one for one in choices if one != {"type": "null"}]
        if {"type": "string"} in choices and {"type": "number"} in choices:
            choices[choices.index({"type": "string"})] = {"type": "string", "pattern": _DURATION}
        if len(choices) == 1:
            plain |= plain.pop("anyOf")[0]
    return plain
