"""The core in Python: what the classes of the client are derived from where there is no native one.

Each class has the interface of its twin in `native`, and does the same; `Messenger` leaves every request to
`Session.request`, which the native one does with what is not plain.
"""

import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from ssl import MemoryBIO, SSLObject
from typing import Any

import gevent
from greenlet import getcurrent, greenlet

from loadtest.records import EMPTY, OK, Arrival

READ_EVENT = 1
"""libev's EV_READ."""
CLOCK_MONOTONIC = 1
TFD_TIMER_ABSTIME = 1
TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
NS_PER_S = 1_000_000_000
NEVER_NS = 2**63 - 1


class Line:
    """A connected socket, and one libev watcher that stays.

    libev hears of the socket when it opens and when it closes, never in between. What the watcher calls changes
    instead. While a request waits, that is the waiting greenlet's `switch`, so the event loop resumes the script
    with nothing in between; else it is `heard`.
    """

    __slots__ = (
        "_hear",
        "_loop",
        "_watcher",
        "closed",
        "deadline_ns",
        "first_ns",
        "first_timeout_ns",
        "found_dead",
        "opening",
        "paused",
        "read_timeout_ns",
        "recv",
        "reused",
        "send",
        "sent_ns",
        "total_timeout_ns",
        "wait",
        "waiter",
    )

    send: Callable[[bytes | memoryview], int]
    recv: Callable[[int], bytes]

    def __init__(self, *_arguments: Any) -> None:
        hub = gevent.get_hub()
        self._loop = hub.loop
        self._watcher: Any = None
        self._hear = self.heard  # bound once, not once a request
        # Without gevent's wrapper, which looks for a `switch_out` hook that nobody here has.
        self.wait: Callable[[], Any] = greenlet.switch.__get__(hub)
        """Wait until something can be read. Raises what is thrown into the greenlet: a kill or a timeout."""
        self.waiter: Any = None
        """The greenlet that waits, or None."""
        self.closed = self.paused = self.reused = self.found_dead = False
        self.deadline_ns = self.sent_ns = self.first_ns = 0
        self.opening: tuple[int, int] | None = None

    def heard(self) -> None:
        """Something arrived while nobody waits."""
        raise NotImplementedError

    def time_out_after(self, read_timeout_ns: int, total_timeout_ns: int) -> None:
        """How long an exchange may take."""
        self.read_timeout_ns, self.total_timeout_ns = read_timeout_ns, total_timeout_ns
        self.first_timeout_ns = min(read_timeout_ns, total_timeout_ns)

    def listen(self, fd: int) -> None:
        """Hear what arrives on a socket from now on, until `fall_silent`."""
        self._watcher = self._loop.io(fd, READ_EVENT)
        self._watcher.start(self._hear if self.waiter is None else self.waiter.switch)

    def speak_with(
        self,
        send: Callable[[bytes | memoryview], int],
        recv: Callable[[int], bytes],
        stream: Any,  # noqa: ARG002 - for the native one
    ) -> None:
        """What sends and receives from now on: `send(bytes)` and `recv(most)`, both of `stream` if it is TLS."""
        self.send, self.recv = send, recv

    def begin_turn(self) -> None:
        """From now on, until `end_turn`, the calling greenlet waits for what arrives."""
        self.waiter = waiter = getcurrent()
        if self._watcher is not None:
            if self.paused:
                self._watcher.start(waiter.switch)
            else:
                self._watcher.callback = waiter.switch

    def end_turn(self) -> None:
        """Nobody waits any more."""
        self.waiter = None
        self._watcher.callback = self._hear

    def mute(self) -> None:
        """Leave what arrives in the socket until the next turn begins."""
        self.waiter = None
        self._watcher.stop()

    def fall_silent(self) -> None:
        """Hear nothing any more: the socket is about to be closed."""
        self.waiter = None
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        del self._hear  # a reference to itself

    def begun(self) -> tuple[int, bytes, Exception | None]:
        """What a native core has begun; this core in Python begins nothing."""
        raise NotImplementedError


class Secured:
    """TLS between memory and a socket: what the core needs of it."""

    def __init__(self, tls: SSLObject, incoming: MemoryBIO, outgoing: MemoryBIO) -> None:
        self.tls_write = tls.write
        self.tls_read = tls.read
        self.outgoing_read = outgoing.read
        self.incoming = incoming
        self.incoming_write = incoming.write
        self.unsent = b""
        """What has been encrypted and not been sent."""
        self.accepted_bytes = 0
        """How much of what was to be sent is in `unsent`, and has not been told as sent."""
        self.session_kept = False
        self.ended = False
        """Whether the server has announced that it sends nothing more (close_notify)."""


class Received:
    """The parts of a response that every request needs."""

    def __init__(  # noqa: PLR0917 - built once a request, where keywords would show
        self,
        call: Any,
        sent: bytes,
        status: int,
        raw: bytes,
        content: bytes | None,
        sent_ns: int,
        done_ns: int,
    ) -> None:
        self.call: Any = call
        """The request as it was asked for."""
        self.sent = sent
        """The request as sent, head and body."""
        self.status_code = status
        self.raw = raw
        """What was received, at least to the end of the head."""
        self.content = content
        """The body; None without a response."""
        self.length = 0 if content is None else len(content)
        """The number of bytes the statistics count."""
        self.sent_ns = sent_ns
        """Just before the first byte of the request was sent, on the session's clock; 0 if none was."""
        self.done_ns = done_ns
        """When the last byte was read, or the request was given up."""
        self.first_ns = self.sent_bytes = self.received_bytes = 0
        self.opening: tuple[int, int] | None = None
        """As in `records.Exchange`; `opening` is (connect, TLS) if it opened a connection."""

    def settle(self) -> bool:
        """Record a success that its with-block left as it was. False: Python has to."""
        return False

    def take_back(self) -> "tuple[Any, str, int] | None":
        """(session, name, intended instant) of what `settle` is not to record; None if there is nothing."""
        return None


class Counts:
    """Counts outcomes of requests."""

    def __init__(self) -> None:
        self.listeners: list[Callable[..., None]] = []
        self.sink: Callable[[Any], Any] | None = None
        self.open_seconds: Any = None
        self.direct = False
        self.tallies: dict[str, dict[str, Any]] = {}

    def forget_tallies(self) -> None:
        """Forget what a native core has counted by itself; here there is nothing."""


class UserState:
    """One user at work: which arrival it serves and how that has gone so far."""

    __slots__ = (
        "arrival",
        "client",
        "greenlet",
        "has_http_client",
        "name",
        "outcome",
        "requests",
        "scenario",
        "started_ns",
        "unanswered",
    )

    def __init__(self, scenario: int, name: str, greenlet: Any = None) -> None:
        self.scenario = scenario
        self.name = name
        self.greenlet = greenlet
        """The user's own greenlet."""
        self.client: Any = None
        """The user's client, if it is one that takes an arrival's intent."""
        self.has_http_client = False
        """Whether the user has a client that tells of its requests with their responses."""
        self.arrival: Arrival | None = None
        self.started_ns = 0
        self.requests = 0
        self.outcome = EMPTY
        """How the arrival would end if it ended now."""
        self.unanswered = False
        """Whether the drain ended while a request of it was in flight."""


class Ahead:
    """The next arrival of a stream, and up to where arrivals may be handed out."""

    __slots__ = ("_ahead", "_arrivals", "ahead_ns", "before_ns", "end_ns", "lease_ns", "position_ns")

    def __init__(self, end_ns: int) -> None:
        self._arrivals: Iterator[tuple[int, int]] = iter(())
        self._ahead: tuple[int, int] | None = None
        self.ahead_ns = NEVER_NS
        """The offset of the next arrival, whether it may be handed out or not; `NEVER_NS` if there is none."""
        self.before_ns = NEVER_NS
        """Where `_advance` is to be asked, since other arrivals are to be followed."""
        self.end_ns = end_ns
        """Where the schedule ends for this worker."""
        self.lease_ns = 0
        """Up to where this worker may serve arrivals."""
        self.position_ns = 0
        """Every arrival before this offset has been handed out."""

    def _advance(self) -> None:
        raise NotImplementedError

    def follow(self, arrivals: Iterator[tuple[int, int]]) -> None:
        """Hand out these arrivals from now on instead of the earlier ones."""
        self._arrivals = arrivals
        self._step()

    def peek_ns(self) -> int | None:
        """The offset of the next arrival, or None if there is none before the end; it may lie past the lease."""
        if self.ahead_ns >= self.before_ns:
            self._advance()
        return None if self.ahead_ns >= self.end_ns else self.ahead_ns

    def due(self, now_ns: int) -> tuple[int, int] | None:
        """Hand out the next arrival intended at or before `now_ns` and within the lease, if there is one."""
        if self.ahead_ns >= self.before_ns:
            self._advance()
        offset_ns = self.ahead_ns
        if offset_ns > now_ns or offset_ns >= self.end_ns or offset_ns >= self.lease_ns:
            return None
        arrival = self._ahead
        self.position_ns = offset_ns + 1
        self._ahead = ahead = next(self._arrivals, None)
        self.ahead_ns = NEVER_NS if ahead is None else ahead[0]
        return arrival

    def _step(self) -> None:
        self._ahead = ahead = next(self._arrivals, None)
        self.ahead_ns = NEVER_NS if ahead is None else ahead[0]


class _Itimerspec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class TimerFd:
    """A timerfd on the current hub's loop; `callback` runs in the hub and must not block."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _Itimerspec()
        self._spec_ref = ctypes.byref(self._spec)
        self._callback = callback
        self._watcher: Any = gevent.get_hub().loop.io(self._fd, READ_EVENT)
        self._watcher.start(self._fired)

    def arm(self, at_ns: int) -> None:
        """See `Timer.arm`."""
        at_ns = max(at_ns, 1)  # zero would disarm
        self._spec.value_s, self._spec.value_ns = divmod(at_ns, NS_PER_S)
        if self._libc.timerfd_settime(self._fd, TFD_TIMER_ABSTIME, self._spec_ref, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def close(self) -> None:
        """See `Timer.close`."""
        if self._fd >= 0:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._fd)
            self._fd = -1

    def _fired(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # re-armed between becoming readable and being read
        self._callback()


class Dispatch:
    """Who waits for an arrival, which arrivals wait for a user, and what has become of both.

    `transactions[i]` tells whether the arrivals of scenario `i` are transactions; a wake-up hands out at most
    `most_at_once`, and no more once it has taken `longest_turn_ns`. An arrival waits for `patience_ns` at most. When
    to wake is `OpenLoop`'s, and what to do about arrivals that are reached over `stood_still_ns` late.
    """

    open_seconds: Any
    stream: Any
    stood_still_ns: int
    _timer: Any

    def __init__(
        self,
        transactions: Sequence[bool],
        patience_ns: int,
        now_ns: Callable[[], int],
        most_at_once: int,
        longest_turn_ns: int,
    ) -> None:
        self.in_flight = 0
        self._patience_ns = patience_ns
        self._transactions = tuple(transactions)
        self._now_ns = now_ns
        self._most_at_once = most_at_once
        self._longest_turn_ns = longest_turn_ns
        self._idle: list[list[Any]] = [[] for _ in transactions]
        self._backlog: list[deque[tuple[Arrival, int]]] = [deque() for _ in transactions]
        self._hub = gevent.get_hub()
        self._closed = False
        self._zero_ns = 0

    def _drop(self, arrival: Arrival, now_ns: int) -> None:
        raise NotImplementedError

    def _miss(self, now_ns: int) -> None:
        raise NotImplementedError

    def _next_wake_ns(self, woke_ns: int, now_ns: int) -> int:
        raise NotImplementedError

    def _count_end(self, arrival: Arrival, outcome: str, now_ns: int) -> None:
        raise NotImplementedError

    @property
    def backlog(self) -> int:
        """Arrivals that wait for an idle user."""
        return sum(len(queue) for queue in self._backlog)

    def count_in(self, open_seconds: Any) -> None:
        """Count in `open_seconds` from now on."""
        self.open_seconds, self._zero_ns = open_seconds, open_seconds.zero_ns

    def take(self, scenario: int) -> Arrival:
        """Wait for the next arrival of a scenario; called by a user's greenlet, which then serves it."""
        waiting = self._next_waiting(scenario)
        if waiting is not None:
            return waiting
        current = getcurrent()
        idle = self._idle[scenario]
        idle.append(current)
        try:
            arrival: Arrival = self._hub.switch()
        except BaseException:
            if current in idle:  # killed while waiting: it must not be handed an arrival
                idle.remove(current)
            raise
        return arrival

    def finish(self, arrival: Arrival, outcome: str, started_ns: int) -> None:
        """Count an arrival that a user has served since `started_ns`; `outcome` is one of those in `records`."""
        if self._closed:
            return  # it was counted as cancelled when the run was closed
        self.in_flight -= 1
        now_ns = self._now_ns()
        second = self.open_seconds.second(now_ns)
        second.busy_us += (now_ns - started_ns) // 1000
        if outcome is not OK:
            self._count_end(arrival, outcome, now_ns)
            return
        second.ok += 1
        if self._transactions[arrival.scenario]:
            second.transactions_ok += 1

    def wake(self) -> None:
        """Hand out what is due, then arm the timer for what comes next."""
        zero_ns, stream = self._zero_ns, self.stream
        woke_ns = now_ns = self._now_ns()
        if now_ns - zero_ns - self.stood_still_ns > stream.ahead_ns:
            self._miss(now_ns)
        for _ in range(self._most_at_once):
            due = stream.due(now_ns - zero_ns)
            if due is None:
                break
            offset_ns, scenario = due
            self._dispatch(Arrival(zero_ns + offset_ns, scenario), now_ns)
            now_ns = self._now_ns()
            if now_ns - woke_ns > self._longest_turn_ns:
                break
        self._drop_impatient(now_ns)
        if not self._closed:
            self._timer.arm(self._next_wake_ns(woke_ns, now_ns))

    def hand_in(self) -> None:
        """Put what has been counted into its seconds: it is there."""

    def drop_all(self, now_ns: int) -> None:
        """Drop whatever waits for a user."""
        for queue in self._backlog:
            while queue:
                self._drop(queue.popleft()[0], now_ns)

    def _drop_impatient(self, now_ns: int) -> None:
        """Drop arrivals that waited longer than a customer would; they count as failed in availability."""
        for queue in self._backlog:
            while queue and now_ns - queue[0][0].intended_ns > self._patience_ns:
                self._drop(queue.popleft()[0], now_ns)

    def _dispatch(self, arrival: Arrival, now_ns: int) -> None:
        open_seconds = self.open_seconds
        open_seconds.second(arrival.intended_ns).scheduled += 1
        second = open_seconds.second(now_ns)
        second.dispatch_lag.record_ns(now_ns - arrival.intended_ns)
        idle = self._idle[arrival.scenario]
        if idle:
            self._count_start(arrival, now_ns, now_ns)
            idle.pop().switch(arrival)
        else:
            self._backlog[arrival.scenario].append((arrival, now_ns))

    def _count_start(self, arrival: Arrival, now_ns: int, reached_ns: int) -> None:
        second = self.open_seconds.second(now_ns)
        second.started += 1
        second.queueing.record_ns(now_ns - reached_ns)
        if self._transactions[arrival.scenario]:
            second.transactions_started += 1
        self.in_flight += 1

    def _next_waiting(self, scenario: int) -> Arrival | None:
        queue = self._backlog[scenario]
        if not queue:
            return None
        now_ns = self._now_ns()
        self._drop_impatient(now_ns)
        if not queue:
            return None
        arrival, reached_ns = queue.popleft()
        self._count_start(arrival, now_ns, reached_ns)
        return arrival


class ServingCore:
    """How users take arrivals and finish them."""

    def __init__(self, loop: Any, now_ns: Callable[[], int]) -> None:
        self.loop = loop
        self._now_ns = now_ns
        self._sink: Callable[[Any], None] | None = None
        self._first_asked: dict[int, tuple[str, str]] = {}
        """(method, name) of what the arrivals of each scenario ask first."""

    def _finish_other(self, state: UserState, arrival: Arrival) -> None:
        raise NotImplementedError

    def take(self, state: UserState) -> None:
        """Wait for the next arrival; the user serves it from now on."""
        arrival = self.loop.take(state.scenario)
        state.arrival, state.requests, state.outcome = arrival, 0, EMPTY
        state.started_ns = self._now_ns()
        client = state.client
        if client is not None:
            client.intended_ns = arrival.intended_ns
            if client.user_state is None and state.scenario in self._first_asked:
                client.user_state = state

    def finish(self, state: UserState) -> None:
        """Count the user's arrival, and a journey of several requests as an entry of its own."""
        arrival = state.arrival
        if arrival is None:
            return
        state.arrival = None
        if state.requests != 1:
            self._finish_other(state, arrival)
        if state.client is not None:
            state.client.intended_ns = (
                None  # what is sent before the next arrival is not timed from this one's
            )
        self.loop.finish(arrival, state.outcome, state.started_ns)


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
        self.auth_header: str | None = None
        self._cookies: Any = None

    def request(self, method: str, url: str, *arguments: Any, **keywords: Any) -> Any:
        """Send a request."""
        raise NotImplementedError

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


def equip_dispatch(*_tools: Any) -> None:
    """Tell a native core which Python classes it makes arrivals of; here nothing is to be told."""


def equip(**_tools: Any) -> None:
    """Tell a native core which Python objects it calls and makes; here nothing is to be told."""
