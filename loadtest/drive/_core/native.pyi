"""What of the native core is not in `pure`: for tests. The classes that both have are described there."""

from typing import Literal

from loadtest.drive._core.pure import Ahead as Ahead
from loadtest.drive._core.pure import Counts as Counts
from loadtest.drive._core.pure import Dispatch as Dispatch
from loadtest.drive._core.pure import Line as Line
from loadtest.drive._core.pure import Messenger as Messenger
from loadtest.drive._core.pure import Received as Received
from loadtest.drive._core.pure import Route as Route
from loadtest.drive._core.pure import Secured as Secured
from loadtest.drive._core.pure import ServingCore as ServingCore
from loadtest.drive._core.pure import Tally as Tally
from loadtest.drive._core.pure import Template as Template
from loadtest.drive._core.pure import TimerFd as TimerFd
from loadtest.drive._core.pure import UserState as UserState
from loadtest.drive._core.pure import equip as equip
from loadtest.drive._core.pure import equip_dispatch as equip_dispatch

SOURCES: str
"""`sources.fingerprint` of what it was built from."""

def scan(data: bytes) -> tuple[Literal["not plain", "plain", "unfinished"], int, bool, int, int]:
    """(answer, status, careful, body_at, total_bytes) of a response."""

def composed(template: Template, target: str, added: dict[str, str] | None, body: bytes) -> bytes | None:
    """The bytes of a request; None: it is for Python to compose."""

def is_plain_path(url: str) -> bool:
    """Whether a URL is a request target as it stands, on a base without a path of its own."""

def is_plain_json(value: object, depth: int = 0) -> bool:
    """Whether msgspec and the standard library make the same of it; False also where Python has to look."""
