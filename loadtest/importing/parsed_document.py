"""The text of a document, in JSON or YAML, as values of JSON and nothing else.

YAML has more than JSON (bytes, sets, `.nan`), and by its aliases a few lines stand for billions of values. Whoever
wrote the document is a stranger, so both are refused.
"""

import json
import re
from typing import Any

from loadtest.importing.import_error import ImportingError

MOST_VALUES = 5_000_000
"""Of a document with its aliases written out; the largest that are published have about a million (A)."""


def parsed(text: str, source: str) -> Any:
    """The document's values. Raises `ImportingError`."""
    import yaml  # noqa: PLC0415 - the extra `import`

    try:
        found = json.loads(text) if text.lstrip().startswith("{") else _of_yaml(text)
        if _values_in(found, {}) > MOST_VALUES:
            raise ValueError(f"its aliases stand for more than {MOST_VALUES:,} values")
        return json.loads(json.dumps(found, allow_nan=False))
    except (TypeError, ValueError, yaml.YAMLError) as error:
        raise ImportingError(
            f"{source}: expected JSON or YAML: {' '.join(str(error).split())[:200]}"
        ) from error


def _values_in(value: Any, known: dict[int, int]) -> int:
    """How many values there are, those that stand in several places as often; `known` are counted already."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = 0  # also of what holds itself, which JSON cannot write
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_values_in(one, known) for one in inner)
    return known[id(value)]


def _of_yaml(text: str) -> Any:
    """A document in YAML as JSON has it: keys are texts (`200:`), dates stay text, and only `true` and `false` are
    neither.
    """
    import yaml  # noqa: PLC0415 - the extra `import`

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML has it
            first: [
                (tag, pattern)
                for tag, pattern in known
                if not tag.endswith((":timestamp", ":bool", ":merge"))
            ]
            for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def flatten_mapping(self, node: Any) -> None:
            """Merge what `<<` names; of equal keys the last is kept, or merges of merges would have no bounds."""
            super().flatten_mapping(node)
            pairs = {
                key.value if isinstance(key.value, str) else id(key): (key, value)
                for key, value in node.value
            }
            node.value = list(pairs.values())

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            found = super().construct_mapping(node, deep)
            return {
                key if isinstance(key, str) else json.dumps(key, default=str): found[key] for key in found
            }

    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))
    Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])
    return yaml.load(text, Loader)  # noqa: S506 - a safe loader
