"""Values of parameters as they stand in an address, percent-encoded."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote


def in_query(name: str, value: Any, parameter: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A parameter's names and values in an address, percent-encoded, as its `style` and `explode` say."""
    style = parameter.get("style") or "form"
    apart = parameter.get("explode", style in {"form", "deepObject"})
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (
                (f"{quote(name)}[{quote(str(key))}]" if style == "deepObject" else quote(str(key))),
                _plain(inner),
            )
    elif isinstance(value, list) and not apart:
        between = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}.get(style, ",")
        yield quote(name), between.join(map(_plain, value))
    else:
        for one in value if isinstance(value, list) else [value]:
            yield quote(name), _plain(one)


def in_path(value: Any) -> str:
    """A parameter's value in a path."""
    return ",".join(map(_plain, value)) if isinstance(value, list) else _plain(value)


def _plain(value: Any) -> str:
    """A value in an address: `true`, and nothing that would end a segment or a query."""
    text = json.dumps(value) if isinstance(value, bool | dict | list) or value is None else str(value)
    return quote(text, safe="@:,;!$()*~'")
