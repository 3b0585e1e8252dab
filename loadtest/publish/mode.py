"""How a run is shown while it goes on, as it is asked for."""

from enum import Enum


class Mode(Enum):
    """How a run is shown."""

    AUTO = "auto"
    """Live on a terminal, lines otherwise."""
    LIVE = "live"
    LINES = "lines"
    JSON = "json"
    QUIET = "quiet"
