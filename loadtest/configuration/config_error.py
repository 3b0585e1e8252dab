"""The one error of a configuration: which value cannot be used, and what was expected in its place."""

import re

_NEAREST = re.compile(r"\(did you mean (.*?)\?\)")


class ConfigError(ValueError):
    """A value that cannot be used; its text names the file, key or flag, and what was expected.

    `field` is the name in `RunConfig`, `nearest` the valid name most like `value`, where there is one.
    """

    def __init__(
        self, field: str, said: str, *, value: object = "", expected: str = "", nearest: str = ""
    ) -> None:
        super().__init__(said)
        self.field = field
        self.value = str(value)
        self.expected = expected or said.partition("expected ")[2].partition(", got")[0]
        found = _NEAREST.search(said)
        self.nearest = nearest or (found[1] if found else "")


def explained_by(error: Exception, field: str, prefix: str = "") -> ConfigError:
    """Another part's error about `field`, as a `ConfigError`."""
    return ConfigError(field, f"{prefix}{error}")
