"""The headers a session sends with every request, where scripts change them: `client.client.default_headers`."""

from collections.abc import Callable, Mapping
from typing import Any

from geventhttpclient.header import Headers


class DefaultHeaders(Headers):
    """Headers that say when they have been changed."""

    def __init__(self, headers: Mapping[str, str], changed: Callable[[], None]) -> None:
        self._changed: Callable[[], None] = lambda: None
        super().__init__(headers)
        self._changed = changed

    def __setitem__(self, field: str, value: Any) -> None:
        super().__setitem__(field, value)
        self._changed()

    def __delitem__(self, field: str) -> None:
        super().__delitem__(field)
        self._changed()

    def add(self, field: str, value: Any) -> None:
        """Add a value, keeping those there are."""
        super().add(field, value)
        self._changed()

    def update(self, *args: Any, **kwargs: str) -> None:  # type: ignore[override] # as Headers has it
        """Put these in the place of those of the same names."""
        super().update(*args, **kwargs)
        self._changed()

    def clear(self) -> None:
        """Send none but those that HTTP requires."""
        super().clear()
        self._changed()
