"""The master's side of relays: which worker is reached by way of which, and what is said to them.

Locust calls a worker by the name under which it sends. By way of a relay it sends under the relay's, and its own name
stands in the message; so where the two differ, the answer goes to the relay, which passes it on.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from locust.runners import HEARTBEAT_LIVENESS, STATE_MISSING, Runner

from loadtest.fleet.bundle import (
    FROM_RELAY,
    TO_RELAY,
    Apart,
    Bundle,
    Deliver,
    Down,
    Presence,
    Present,
    Taken,
    decode_up,
)
from loadtest.fleet.bundle import encode as encode_down
from loadtest.fleet.messages import Message, MessageError, decode, encode
from loadtest.fleet.transport import OnMessage, send_to_worker

MOST_ROUTES = 200_000
"""Workers and visitors that came by way of relays; beyond that the oldest are forgotten."""

logger = logging.getLogger(__name__)


class Routes:
    """By way of which relay each worker speaks; those that are not here speak for themselves."""

    def __init__(self) -> None:
        self.relays: set[str] = set()
        """All that have spoken."""
        self._by_worker: dict[str, str] = {}

    def note(self, sender: str, worker: object) -> str:
        """Note who sent a message in whose name; returns whose message it is."""
        if not isinstance(worker, str) or not worker:
            return sender
        if worker != sender:
            if len(self._by_worker) >= MOST_ROUTES and worker not in self._by_worker:
                del self._by_worker[next(iter(self._by_worker))]
            self._by_worker[worker] = sender
        elif worker in self._by_worker:
            del self._by_worker[worker]
        return worker

    def of(self, worker: str) -> str | None:
        """The relay that a worker spoke through last."""
        return self._by_worker.get(worker)


_routes: WeakKeyDictionary[Any, Routes] = WeakKeyDictionary()


def routes_of(runner: object) -> Routes:
    """The routes of a runner's workers."""
    return _routes.setdefault(runner, Routes())


class Outbox:
    """Messages of a run for its workers; what goes by way of a relay waits for `flush`, and goes as one."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._routes = routes_of(runner)
        self._waiting: defaultdict[str, dict[bytes, list[str]]] = defaultdict(dict)
        """Workers by message by relay."""
        self._encoded: tuple[Message | None, bytes] = None, b""
        """The last message that was sent by way of a relay."""

    def send(self, worker: str, message: Message) -> None:
        """Send to one worker, at most once."""
        relay = self._routes.of(worker)
        if relay is None:
            send_to_worker(self._runner, worker, message)
        else:
            if message is not self._encoded[0]:  # a lease is the same for all
                self._encoded = message, encode(message)
            self._waiting[relay].setdefault(self._encoded[1], []).append(worker)

    def flush(self) -> None:
        """Let go what waits."""
        while self._waiting:
            relay, messages = self._waiting.popitem()
            say(self._runner, relay, *(Deliver(workers, frame) for frame, workers in messages.items()))

    def answer(self, relay: str, bundle: Bundle, saved: dict[str, int], *, taken: bool) -> None:
        """Say that a bundle is in the totals, with what a checkpoint has of its workers; or that it cannot be."""
        if taken:
            known = {sums.worker: saved[sums.worker] for sums in bundle.workers if sums.worker in saved}
            say(self._runner, relay, Taken(bundle.run_id, bundle.number, known))
        else:
            say(self._runner, relay, Apart(bundle.run_id, bundle.number))


def say(runner: Runner, relay: str, *downs: Down) -> None:
    """Send to a relay."""
    runner.send_message(TO_RELAY, encode_down(downs), relay)


class OnBundle(Protocol):
    """Takes a relay's bundle."""

    def __call__(self, relay: str, bundle: Bundle) -> None:
        """Raises `MessageError` for a malformed one."""


def listen_to_relays(runner: Any, on_message: OnMessage, on_bundle: OnBundle) -> None:
    """Answer relays; `on_message` is told of hellos as if each had come by itself.

    What they say does not reach Locust, which would take a relay for a worker and number it. `control_port.guard`,
    called afterwards, catches what goes wrong here.
    """
    routes = routes_of(runner)
    handle = runner.handle_message

    def handle_message(client_id: str, message: Any) -> None:
        if message.type != FROM_RELAY:
            handle(client_id, message)
            return
        routes.relays.add(client_id)
        try:
            up = decode_up(message.data)
            if isinstance(up, Bundle):
                on_bundle(client_id, up)
            else:
                say(runner, client_id, Present(up.sent_ns, time.time_ns()))
                _be_told(runner, up, on_message)
        except MessageError as error:
            logger.warning("ignored a frame from %s: %s", client_id, error)

    runner.handle_message = handle_message


def _be_told(runner: Any, presence: Presence, on_message: Callable[[str, Message], None]) -> None:
    for worker in presence.beating:
        client = runner.clients.get(worker)
        if client is not None and client.state != STATE_MISSING:  # else a heartbeat of its own brings it back
            client.heartbeat = HEARTBEAT_LIVENESS
    for worker, frame in presence.hellos:
        on_message(worker, decode(frame))


def dismiss_relays(runner: Runner) -> None:
    """Tell all relays that it is over."""
    for relay in routes_of(runner).relays:
        runner.send_message("quit", None, relay)
