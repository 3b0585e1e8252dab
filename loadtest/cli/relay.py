"""`singlesday relay`: stands between a master and some of its workers (`fleet.relay`), with a socket to each side.

It greets the master as a worker does, so that a wrong token or another release is one sentence, then listens for
workers until the master says that all is over.
"""

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any
from uuid import uuid4

import zmq
from rich.console import Console

from loadtest.cli.children import signals_go_to
from loadtest.cli.place import listening_place, place_of
from loadtest.clock import SystemClock
from loadtest.configuration.config_error import ConfigError
from loadtest.exit_codes import INTERRUPTED, ExitCode
from loadtest.fleet.build import build_of
from loadtest.fleet.curve import REFUSALS, encrypt, event_in, why_refused
from loadtest.fleet.joining import Joining, Master, addresses_of
from loadtest.fleet.messages import MessageError
from loadtest.fleet.relay import Relay
from loadtest.fleet.stats_sums import StatsSums
from loadtest.fleet.token import check_door
from loadtest.judge.validity import CPU_JUDGED_S, MAX_CPU
from loadtest.place import Place

BEAT_MS = 100
FRAMES_AT_ONCE = 100
"""Messages that are read from one side before the other is looked at."""
LEAVE_S = 5.0
"""How long workers are waited for once the master has said that all is over."""
SILENCE_S = 60.0
"""A master that is not heard for so long has gone, as Locust's workers have it."""
COMPLAIN_EVERY_S = 10.0


def serve(master: Master, bind: str, wait_s: float, console: Console) -> int:
    """Relay until the master ends; an exit code. Raises `ConfigError`, `TokenError`, `JoiningError`."""

    def tell(text: str) -> None:
        console.print(text, style="dim", soft_wrap=True, markup=False)

    place = listening_place(asked := place_of(bind, "--bind"), "--bind")
    check_door(asked.host, master.token, "--bind")
    if asked.port == master.port and place.host in addresses_of(master):
        said = f"--bind {bind}: is the --master; expected an address or a port of the relay's own"
        raise ConfigError("--bind", said, value=bind)
    with Joining(master, wait_s, tell) as joining:
        joining.greet(build_of())
        met = joining.place
    with Sockets(master.token, met, place) as sockets:
        tell(f"relaying for the master at {master}; workers connect to {asked}")
        return _pass_on(sockets, master, console)


class Sockets:
    """A relay's two sides: it dials `above` and listens at `below`. Raises `ConfigError` where it cannot.

    Nobody is let in before there is a master to answer, or they would take us for somebody else.
    """

    def __init__(self, token: str, above: Place, below: Place) -> None:
        self.name = f"relay_{uuid4().hex}"
        self._context = zmq.Context()
        self.above: Any = self._socket(zmq.DEALER, above)
        self.below: Any = self._socket(zmq.ROUTER, below)
        self.above.identity = self.name.encode()
        # A worker that was cut off may come back before its old connection is gone.
        self.below.router_handover = 1
        if token:
            encrypt(self.above, token, serves=False)
            encrypt(self.below, token, serves=True)
        self.strangers: Any = self.below.get_monitor_socket(REFUSALS)
        try:
            self.below.bind(f"tcp://{below}")
        except zmq.ZMQError as error:
            self.close()
            refused = f"--bind {below}: cannot listen there ({error.strerror})"
            raise ConfigError("--bind", refused, value=str(below)) from error
        self.above.connect(f"tcp://{above}")

    def __enter__(self) -> "Sockets":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of everything; what was just sent still goes out."""
        self.below.disable_monitor()
        self.strangers.close()
        self.above.close(linger=500)
        self.below.close(linger=500)
        self._context.term()

    def to_worker(self, name: str, frame: bytes) -> None:
        """Send below; lost if nobody of that name is there."""
        self.below.send_multipart([name.encode(), frame], zmq.NOBLOCK)

    def _socket(self, kind: int, place: Place) -> Any:
        made: Any = self._context.socket(kind)
        made.ipv6, made.tcp_keepalive, made.tcp_keepalive_idle = ":" in place.host, 1, 30
        made.set_hwm(0)  # whatever is beyond a limit would be lost without a word
        return made


def _pass_on(sockets: Sockets, master: Master, console: Console) -> int:
    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    relay = Relay(
        sockets.name,
        to_master=sockets.above.send,
        to_worker=sockets.to_worker,
        clock=SystemClock(),
        stats=StatsSums(),
    )
    loop = _Loop(relay, sockets, console)
    with signals_go_to(ask), _cpu_told(loop):
        leave_at_s: float | None = None
        while not asked:
            loop.once()
            if relay.leaving and leave_at_s is None:
                leave_at_s = time.monotonic() + LEAVE_S
            if leave_at_s is not None and (not relay.workers or time.monotonic() >= leave_at_s):
                return ExitCode.PASS
            if relay.refused:
                said = f"--master {master}: a relay listens there; expected the run's master, as relays have no relay"
                raise ConfigError("--master", said, value=str(master))
            if relay.unheard_s > SILENCE_S:
                loop.say(f"error: nothing was heard from the master at {master} for {SILENCE_S:.0f} s")
                return ExitCode.INTERNAL_ERROR
    return INTERRUPTED if asked[0] == signal.SIGINT else ExitCode.PASS


@contextlib.contextmanager
def _cpu_told(loop: "_Loop") -> Iterator[None]:
    """Say at the end how much of a core the relay took; one that had none left made its workers wait."""
    began_s, spent_s = time.monotonic(), time.process_time()
    try:
        yield
    finally:
        lasted_s, used_s = time.monotonic() - began_s, time.process_time() - spent_s
        most = max(loop.busiest, used_s / lasted_s)
        text = f"used {used_s:.1f} s of a core in {lasted_s:.0f} s, at most {most:.0%} of it"
        loop.say(text + ("; give some of its workers to another relay" if most > MAX_CPU else ""))


class _Loop:
    """Hands a relay what comes from both sides, and beats."""

    def __init__(self, relay: Relay, sockets: Sockets, console: Console) -> None:
        self._relay = relay
        self._sockets = sockets
        self._console = console
        self._poller = zmq.Poller()
        for side in (sockets.above, sockets.below, sockets.strangers):
            self._poller.register(side, zmq.POLLIN)
        self._beat_at_s = 0.0
        self._complain_at_s = 0.0
        self._window_s, self._window_spent_s = time.monotonic(), time.process_time()
        self.busiest = 0.0
        """The highest share of a core that any five seconds took."""

    def once(self) -> None:
        """Wait for messages until the next beat, at most."""
        left_ms = max(0, round((self._beat_at_s - time.monotonic()) * 1000))
        ready = {side for side, _ in self._poller.poll(left_ms)}
        if self._sockets.above in ready:
            self._read(self._sockets.above)
        if self._sockets.below in ready:
            self._read(self._sockets.below)
        if self._sockets.strangers in ready:
            self._note_stranger()
        if time.monotonic() >= self._beat_at_s:
            self._beat_at_s = time.monotonic() + BEAT_MS / 1000
            self._relay.beat()
            self._note_cpu()

    def _note_cpu(self) -> None:
        now_s, spent_s = time.monotonic(), time.process_time()
        if now_s - self._window_s >= CPU_JUDGED_S:
            self.busiest = max(self.busiest, (spent_s - self._window_spent_s) / (now_s - self._window_s))
            self._window_s, self._window_spent_s = now_s, spent_s

    def say(self, text: str) -> None:
        """Tell whoever started us."""
        self._console.print(text, soft_wrap=True, markup=False)

    def _read(self, side: Any) -> None:
        for _ in range(FRAMES_AT_ONCE):
            try:
                parts = side.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                if side is self._sockets.above:
                    self._relay.on_master(parts[-1])
                elif len(parts) == 2:
                    self._relay.on_worker(parts[0].decode(), parts[1])
            except (MessageError, UnicodeDecodeError) as error:
                self._complain(f"ignored a message: {error}")

    def _note_stranger(self) -> None:
        refusal = event_in(self._sockets.strangers.recv_multipart())
        self._complain(f"refused a connection: {why_refused(refusal)}")

    def _complain(self, text: str) -> None:
        if time.monotonic() >= self._complain_at_s:
            self._complain_at_s = time.monotonic() + COMPLAIN_EVERY_S
            self.say(text)
