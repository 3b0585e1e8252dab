"""What a relay passes on, answers itself, adds up and refuses."""

from typing import Any

import msgspec
import pytest

from loadtest.fleet.bundle import (
    FROM_RELAY,
    TO_RELAY,
    Bundle,
    Deliver,
    Presence,
    decode_up,
    encode,
)
from loadtest.fleet.messages import Clock as MasterClock
from loadtest.fleet.messages import Hello, Lease, MessageError, decode
from loadtest.fleet.messages import encode as encode_message
from loadtest.fleet.relay import SAME_BEAT_NS
from loadtest.fleet.stats_sums import StatsSums
from loadtest.fleet.transport import TO_MASTER, TO_WORKER
from tests.fleet.relay_tree import NS, Tree, unpack


def test_a_thousand_workers_reports_go_up_as_one_message() -> None:
    tree = Tree(1000)
    for worker in tree.reporters:
        tree.report(worker, (3,), 0)
    tree.relay.beat()
    kinds = [type(decode_up(unpack(frame)[1])) for frame in tree.up]
    assert kinds == [Presence, Bundle]


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": []},
        {"seconds": []},
        {"twice": True},
        {"numbers": [0, 0]},
        {"dispatch_lag": b"nonsense"},
        {"counted": [1]},
    ],
)
def test_a_bundle_whose_sums_do_not_fit_changes_nothing(wrong: dict[str, Any]) -> None:
    tree = Tree(1)
    tree.report("w0", (3,), 0)
    tree.relay.beat()
    good = decode_up(unpack(tree.up[-1])[1])
    assert isinstance(good, Bundle)
    [sums] = good.workers
    if "workers" in wrong or "seconds" in wrong:
        bad = msgspec.structs.replace(good, **wrong)
    elif "twice" in wrong:
        other = msgspec.structs.replace(sums, counted=[0] * len(sums.counted), numbers=[7])
        bad = msgspec.structs.replace(good, workers=[sums, other])
    else:
        bad = msgspec.structs.replace(good, workers=[msgspec.structs.replace(sums, **wrong)])
    with pytest.raises(MessageError):
        tree.master.merge.fold_bundle(decode_up(encode(bad)))  # type: ignore[arg-type]
    assert tree.master.merge.workers == {}
    assert tree.master.merge.fold_bundle(good)


def heartbeat(name: str, state: str = "running") -> bytes:
    data = {"state": state, "current_cpu_usage": 3.0, "current_memory_usage": 1}
    return encode(("heartbeat", data, name))


def test_a_heartbeat_that_says_nothing_new_is_answered_and_only_named() -> None:
    tree = Tree(1)
    answer = encode(("heartbeat", None, "w0"))
    tree.relay.on_worker("w0", heartbeat("w0"))
    tree.relay.on_master(answer)
    tree.relay.on_worker("w0", heartbeat("w0"))
    assert tree.down == [("w0", answer)] * 2
    tree.relay.on_worker("w0", heartbeat("w0", "spawning"))
    assert tree.up == [heartbeat("w0"), heartbeat("w0", "spawning")], "a state that is new goes up"
    tree.relay.beat()
    presence = decode_up(unpack(tree.up[-1])[1])
    assert isinstance(presence, Presence)
    assert presence.beating == ["w0"]
    tree.clock.advance(SAME_BEAT_NS)
    tree.relay.on_master(encode((TO_RELAY, encode([]), tree.relay.name)))
    tree.relay.on_worker("w0", heartbeat("w0", "spawning"))
    assert tree.up[-1] == heartbeat("w0", "spawning"), "now and then its CPU and memory are told"


def test_no_heartbeat_is_answered_for_a_master_that_does_not_know_the_worker() -> None:
    tree = Tree(1)
    for _ in range(3):  # it speaks, but a resumed run knows none of the workers that outlived its master
        tree.relay.on_worker("w0", heartbeat("w0"))
        tree.relay.on_master(encode((TO_RELAY, encode([]), tree.relay.name)))
    assert tree.up == [heartbeat("w0")] * 3
    assert tree.down == []


def test_no_heartbeat_is_answered_for_a_master_that_is_silent() -> None:
    tree = Tree(1)
    tree.relay.on_worker("w0", heartbeat("w0"))
    tree.relay.on_master(encode(("heartbeat", None, "w0")))
    tree.down.clear()
    tree.clock.advance(6 * NS)
    tree.relay.on_worker("w0", heartbeat("w0"))
    assert tree.down == []


def test_a_hello_is_answered_with_the_masters_clock_and_told_with_its_doubt() -> None:
    tree = Tree(1)
    tree.step()
    tree.relay.on_worker("w0", encode((TO_MASTER, encode_message(Hello("run", 1, True, sent_ns=77)), "w0")))
    [(_, frame)] = tree.down
    answer = decode(unpack(frame)[1])
    assert isinstance(answer, MasterClock)
    assert (answer.sent_ns, answer.wall_ns) == (77, tree.clock.wall_ns())
    tree.step()
    assert tree.master.hellos["w0"].ready


def test_a_relay_behind_a_relay_is_refused_and_counts_as_no_worker() -> None:
    upper, lower = Tree(0), Tree(1)
    lower.relay.beat()
    [frame] = lower.up
    upper.relay.on_worker("relay_1", frame)
    assert upper.up == []
    assert upper.relay.workers == {}
    [(name, answer)] = upper.down
    assert name == "relay_1"
    lower.relay.on_master(answer)
    assert lower.relay.refused


def test_one_lease_of_the_master_reaches_every_worker_that_it_names() -> None:
    tree = Tree(2)
    lease = encode_message(Lease("run", 5))
    tree.relay.on_master(encode((TO_RELAY, encode([Deliver(["w0", "w1"], lease)]), tree.relay.name)))
    assert tree.down == [(name, encode((TO_WORKER, lease, name))) for name in ("w0", "w1")]


@pytest.mark.parametrize("kind", ["client_ready", "spawning", "exception", "singlesday_greeting"])
def test_what_a_relay_does_not_know_passes_unchanged_both_ways(kind: str) -> None:
    tree = Tree(1)
    frame = encode((kind, {"a": 1}, "w0"))
    tree.relay.on_worker("w0", frame)
    tree.relay.on_master(frame)
    assert (tree.up, tree.down) == ([frame], [("w0", frame)])


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1\xc1\xc1",
        encode(("heartbeat", 5, "w0")),
        encode(("stats", None, "w0")),
        encode((TO_MASTER, b"nonsense", "w0")),
        encode(("client_ready", None, "another")),
        b"\x93\xa9heartbeat\x81\xa1\xff\x01\xa2w0",
    ],
)
def test_a_malformed_message_is_an_error_and_changes_nothing(frame: bytes) -> None:
    tree = Tree(1)
    with pytest.raises(MessageError):
        tree.relay.on_worker("w0", frame)
    with pytest.raises(MessageError):
        tree.relay.on_master(encode((TO_RELAY, b"nonsense", tree.relay.name)))
    assert (tree.up, tree.down) == ([], [])


def stats(requests: int, users: int = 3, **more: Any) -> dict[str, Any]:
    """A worker's statistics as Locust makes them."""
    sums = StatsSums()
    sums._stats.log_request("GET", "/x", 5, 10)
    for _ in range(requests - 1):
        sums._stats.log_request("GET", "/x", 7, 10)
    sums._last = "w", {}
    [(_, data)] = sums.take()
    return data | {"user_classes_count": {"Look": users}, "user_count": users} | more


def test_locusts_own_statistics_are_added_up_by_its_own_code() -> None:
    tree = Tree(2)
    for name in ("w0", "w1"):
        for requests in (4, 2, 3):
            tree.relay.on_worker(name, encode(("stats", stats(requests), name)))
    passed = [unpack(frame) for frame in tree.up]
    assert [(name, data["stats_total"]["num_requests"]) for _, data, name in passed] == [("w0", 4), ("w1", 4)]
    tree.relay.beat()
    [(data, name)] = [(data, name) for kind, data, name in map(unpack, tree.up[2:]) if kind == "stats"]
    assert (name, data["user_classes_count"]) == ("w1", {"Look": 3})
    assert data["stats_total"]["num_requests"] == data["stats"][0]["num_requests"] == 2 * (2 + 3)
    assert data["stats"][0]["response_times"] == {5: 4, 7: 6}


def test_statistics_with_the_users_that_were_told_already_are_added_up_from_the_first_on() -> None:
    tree = Tree(1)
    tree.relay.on_worker(
        "w0", encode(("spawning_complete", {"user_classes_count": {"Look": 3}, "user_count": 3}, "w0"))
    )
    tree.relay.on_worker("w0", encode(("stats", stats(1), "w0")))
    assert [unpack(frame)[0] for frame in tree.up] == ["spawning_complete"]


def test_what_a_script_adds_to_locusts_statistics_passes_as_it_is() -> None:
    tree = Tree(1)
    frames = [encode(("stats", stats(1, mine=1), "w0")) for _ in range(3)]
    for frame in frames:
        tree.relay.on_worker("w0", frame)
    assert tree.up == frames


def test_a_relay_goes_when_the_master_says_so_and_its_workers_have_gone() -> None:
    tree = Tree(1)
    tree.relay.on_worker("w0", heartbeat("w0"))
    tree.relay.on_master(encode(("quit", None, tree.relay.name)))
    assert tree.relay.leaving
    assert tree.relay.workers
    tree.relay.on_worker("w0", encode(("quit", None, "w0")))
    assert not tree.relay.workers


def test_messages_of_a_relay_are_of_one_kind() -> None:
    tree = Tree(1)
    tree.relay.beat()
    assert [unpack(frame)[::2] for frame in tree.up] == [[FROM_RELAY, tree.relay.name]]
