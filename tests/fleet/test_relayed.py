"""The master's side of relays: who is reached by way of whom, and what is answered."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from locust.rpc.protocol import Message as LocustMessage
from locust.runners import HEARTBEAT_LIVENESS, STATE_MISSING, Runner

from loadtest.fleet import relayed
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
    WorkerSums,
    decode_down,
    encode,
)
from loadtest.fleet.messages import Hello, Lease, Message, MessageError
from loadtest.fleet.messages import encode as encode_message
from loadtest.fleet.relayed import Outbox, Routes, dismiss_relays, listen_to_relays, routes_of
from loadtest.fleet.transport import TO_WORKER
from loadtest.measure.second import COUNTERS


@dataclass
class Client:
    """A worker, as Locust's master keeps it."""

    state: str = "running"
    heartbeat: int = 0


@dataclass(eq=False)
class Master:
    """Of Locust's master runner, what relays need."""

    clients: dict[str, Client] = field(default_factory=dict)
    sent: list[tuple[str, object, str]] = field(default_factory=list)
    handled: list[tuple[str, str]] = field(default_factory=list)

    def send_message(self, kind: str, data: object = None, worker: str = "") -> None:
        self.sent.append((kind, data, worker))

    def handle_message(self, client_id: str, message: Any) -> None:
        self.handled.append((client_id, message.type))

    def said(self) -> list[tuple[str, list[Down]]]:
        """(relay, what it was told), since the last time."""
        found = [(to, decode_down(data)) for kind, data, to in self.sent if kind == TO_RELAY]
        self.sent.clear()
        return found


def runner_of(master: Master) -> Runner:
    return cast("Runner", master)


def bundle(*workers: str) -> Bundle:
    return Bundle(
        "run", 7, [], [WorkerSums(name, [1], [0] * len(COUNTERS), -1, 0, 0, []) for name in workers]
    )


@dataclass
class Heard:
    """A master that listens to relays, and what it was told."""

    master: Master = field(default_factory=Master)
    messages: list[tuple[str, Message]] = field(default_factory=list)
    bundles: list[tuple[str, Bundle]] = field(default_factory=list)
    take: Callable[[Bundle], object] = repr  # anything that takes one

    def __post_init__(self) -> None:
        def on_bundle(relay: str, bundle: Bundle) -> None:
            self.take(bundle)
            self.bundles.append((relay, bundle))

        listen_to_relays(self.master, lambda worker, told: self.messages.append((worker, told)), on_bundle)

    def hear(self, relay: str, data: object, kind: str = FROM_RELAY) -> None:
        self.master.handle_message(relay, LocustMessage(kind, data, relay))


def test_a_worker_is_reached_by_the_way_it_spoke_last() -> None:
    routes = Routes()
    for relay in ("relay", "other"):
        assert routes.note(relay, "w") == "w"
        assert routes.of("w") == relay
    assert routes.note("w", "w") == "w"
    assert routes.of("w") is None


@pytest.mark.parametrize("name", [None, "", 7, b"w"])
def test_a_message_in_nobodys_name_is_its_senders(name: object) -> None:
    routes = Routes()
    assert routes.note("relay", name) == "relay"
    assert routes.of("relay") is None


def test_routes_are_bounded_and_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relayed, "MOST_ROUTES", 2)
    routes = Routes()
    for worker in ("a", "b", "a", "c"):
        routes.note("relay", worker)
    assert [routes.of(worker) for worker in "abc"] == [None, "relay", "relay"]


def test_what_goes_by_way_of_a_relay_waits_and_goes_as_one() -> None:
    master = Master()
    for worker, relay in {"a": "left", "b": "left", "c": "right"}.items():
        routes_of(master).note(relay, worker)
    outbox, lease, other = Outbox(runner_of(master)), Lease("run", 5), Lease("run", 6)
    for worker in ("a", "b", "c", "alone"):
        outbox.send(worker, lease)
    outbox.send("a", other)
    assert master.sent == [(TO_WORKER, encode_message(lease), "alone")]
    outbox.flush()
    first, second = encode_message(lease), encode_message(other)
    assert dict(master.said()) == {
        "left": [Deliver(["a", "b"], first), Deliver(["a"], second)],
        "right": [Deliver(["c"], first)],
    }
    outbox.flush()
    assert master.sent == []


def test_a_bundle_is_answered_with_what_a_checkpoint_has_of_its_workers() -> None:
    master = Master()
    outbox = Outbox(runner_of(master))
    outbox.answer("relay", bundle("a", "b"), {"a": 4, "elsewhere": 9}, taken=True)
    outbox.answer("relay", bundle("a"), {}, taken=False)
    assert master.said() == [("relay", [Taken("run", 7, {"a": 4})]), ("relay", [Apart("run", 7)])]


def test_what_relays_say_does_not_reach_locust_and_all_else_does() -> None:
    heard = Heard()
    heard.hear("w", None, kind="client_ready")
    heard.hear("relay", encode(bundle("a")))
    assert heard.master.handled == [("w", "client_ready")]
    assert heard.bundles == [("relay", bundle("a"))]
    assert routes_of(heard.master).relays == {"relay"}


def test_a_presence_is_answered_with_the_time_and_told_as_if_each_had_come() -> None:
    heard = Heard()
    here, missing = Client(), Client(state=STATE_MISSING)
    heard.master.clients = {"here": here, "missing": missing}
    hello = Hello("run", 1, True, sent_ns=3)
    heard.hear("relay", encode(Presence(5, ["here", "missing", "gone"], [("here", encode_message(hello))])))
    [(relay, [answer])] = heard.master.said()
    assert isinstance(answer, Present)
    assert (relay, answer.sent_ns) == ("relay", 5)
    assert here.heartbeat == HEARTBEAT_LIVENESS
    assert missing.heartbeat == 0, "a heartbeat of its own brings it back"
    assert heard.messages == [("here", hello)]


def refuse(taken: Bundle) -> None:
    raise MessageError("the counters do not add up")


@pytest.mark.parametrize(
    "data",
    [b"\xc1", None, encode(bundle("a")), encode(Presence(1, [], [("a", b"\xc1")]))],
    ids=["no message", "nothing", "sums that do not fit", "a worker's word that is none"],
)
def test_a_malformed_frame_is_noted_and_ignored(data: object, caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard(take=refuse)
    heard.hear("relay", data)
    assert (heard.messages, heard.bundles, heard.master.handled) == ([], [], [])
    assert "ignored a frame from relay" in caplog.text


def test_every_relay_is_told_when_it_is_over() -> None:
    master = Master()
    routes_of(master).relays |= {"left", "right"}
    dismiss_relays(runner_of(master))
    assert sorted(to for kind, _, to in master.sent if kind == "quit") == ["left", "right"]
