"""The verbs of a session and where its outcomes go, in Python: the twin of `messenger.pxi`.

Every request is left to `Session.request`, as the native one does with what is not plain.
"""

from collections.abc import Callable
from typing import Any

from greenlet import getcurrent

from loadtest.drive._core.pure.received import Received
from loadtest.drive._core.pure.serving import UserState
from loadtest.drive._core.pure.tally import MOST_NOTED, Tally
from loadtest.records import EMPTY, OK

MOST_TALLIES = 4096


class Counts:
    """What `Recorder` is derived from: where outcomes go."""

    open_seconds: Any = None

    def __init__(self) -> None:
        self.listeners: list[Callable[..., None]] = []
        self.sink: Callable[[Any], Any] | None = None
        self.direct = False
        """Whether the sink only counts in the open seconds."""
        self.tallies: dict[str, dict[str, Tally]] = {}
        """By method and name."""
        self._tally_count = 0

    def empty_tallies(self) -> None:
        """Take over what has been noted."""
        raise NotImplementedError

    def new_tally(self, method: str, name: str) -> Tally:
        """The tally of an endpoint that has none."""
        if self._tally_count >= MOST_TALLIES:
            self.empty_tallies()
            self.forget_tallies()
        tally = self.tallies.setdefault(method, {})[name] = Tally(method, name)
        self._tally_count += 1
        return tally

    def forget_tallies(self) -> None:
        """Forget every tally, so that names which are used no more take no room."""
        self.tallies.clear()
        self._tally_count = 0


class Messenger:
    """The methods of a session that send: `get`, `post` …"""

    route: Any = None
    user_state: "UserState | None" = None
    """Of the user that serves arrivals with it, once its requests need nothing of Python."""
    judges_all = False
    """Whether a script has said which statuses are a success, so that `Session` has to look at each."""

    def __init__(self) -> None:
        self.request_name: str | None = None
        self.intended_ns: int | None = None
        """When the next request was meant to start, if an arrival is being served; that request takes it."""
        self.let_others_run = False
        """Whether a request has waited since somebody set this to False, so that other greenlets ran."""
        self.auth_header: str | None = None
        self._cookies: Any = None

    def request(self, method: str, url: str, *arguments: Any, **keywords: Any) -> Any:
        """Send a request."""
        raise NotImplementedError

    def note(self, recorder: Any, response: Received, method: str, name: str, intended_ns: int) -> bool:
        """Note a success that nobody wants to hear of at once. False: it is for `Recorder.record`."""
        first_ns, sent_bytes, received_bytes, connect_ns, tls_ns = response.exchange
        if connect_ns or tls_ns or recorder.listeners:
            return False
        if not recorder.direct and recorder.sink is not None:
            state = self.user_state
            if (
                state is None
                or recorder.open_seconds is None
                or state.arrival is None
                or state.greenlet is not getcurrent()
            ):
                return False
            state.requests += 1
            if state.outcome is EMPTY:
                state.outcome = OK
        try:
            tally = recorder.tallies[method][name]
        except KeyError:
            tally = recorder.new_tally(method, name)
        sent_ns, done_ns = response.sent_ns, response.done_ns
        tally.append((intended_ns, sent_ns, done_ns, response.length, first_ns, sent_bytes, received_bytes))
        if len(tally) >= MOST_NOTED:
            recorder.empty(tally)
        return True

    def get(self, url: str, **kwargs: Any) -> Any:
        """Send a GET; see `request`."""
        return self.request("GET", url, **kwargs)

    def post(self, url: str, data: Any = None, json: Any = None, **kwargs: Any) -> Any:
        """Send a POST; see `request`."""
        return self.request("POST", url, data=data, json=json, **kwargs)

    def put(self, url: str, data: Any = None, **kwargs: Any) -> Any:
        """Send a PUT; see `request`."""
        return self.request("PUT", url, data=data, **kwargs)

    def patch(self, url: str, data: Any = None, **kwargs: Any) -> Any:
        """Send a PATCH; see `request`."""
        return self.request("PATCH", url, data=data, **kwargs)

    def delete(self, url: str, **kwargs: Any) -> Any:
        """Send a DELETE; see `request`."""
        return self.request("DELETE", url, **kwargs)


class Route:
    """Where a native core may send by itself; this core in Python never does."""

    def __init__(self, *_parts: Any) -> None:
        """Nothing is kept."""


class Template:
    """The head of one kind of request, for the native core."""

    def __init__(self, method: str, body_headers: Any, *_parts: Any) -> None:
        self.method, self.body_headers = method, body_headers


def equip(**_tools: Any) -> None:
    """Tell a native core which Python objects it calls and makes; here nothing is to be told."""
