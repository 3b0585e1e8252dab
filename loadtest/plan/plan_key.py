"""What a key of a plan file means, told once: in its type, where the reference and the editors' schema read it."""

from typing import Any

from msgspec import Meta


def key(
    meaning: str, *, unit: str | None = None, example: Any = None, default: str | None = None, **limits: Any
) -> Meta:
    """The annotation of one key: its `meaning` in a sentence, the `unit` of its value, an `example` of one.

    `default` says in words what holds without the key, where the type's own default does not. `limits` are
    msgspec's: `gt`, `ge`, `le`, `pattern` and so on.
    """
    extra = {"x-unit": unit, "x-default": default}
    told = {name: text for name, text in extra.items() if text is not None}
    return Meta(
        description=meaning,
        examples=None if example is None else [example],
        extra_json_schema=told or None,
        **limits,
    )
