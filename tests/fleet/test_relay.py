"""A relay: whatever happens to it and its messages, the totals are those of a fleet without one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

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
    encode,
)
from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import Ack, Hello, Lease, MessageError, Report, decode
from loadtest.fleet.messages import Clock as MasterClock
from loadtest.fleet.messages import encode as encode_message
from loadtest.fleet.relay import FORGET_NS, SAME_BEAT_NS, Relay
from loadtest.fleet.stats_sums import StatsSums
from loadtest.fleet.transport import TO_MASTER, TO_WORKER
from loadtest.fleet.worker_report import Load, Reporter, Users
from loadtest.measure.evidence import Sample, Samples
from loadtest.virtual_time import VirtualClock
from tests.fleet.sample_report import second

NS = 1_000_000_000
unpack: Callable[[bytes], Any] = msgspec.msgpack.decode


@dataclass
class Master:
    """Folds what comes, as `Coordinator` and `relayed` do, and answers."""

    merge: Merge = field(default_factory=lambda: Merge([(0.0, 2.0)]))
    hellos: dict[str, Hello] = field(default_factory=dict)

    def answers(self, frame: bytes, wall_ns: int) -> list[Down]:
        kind, data, name = unpack(frame)
        if kind == TO_MASTER:
            report = decode(data)
            assert isinstance(report, Report)
            self.merge.fold(name, report)
            return [Deliver([name], encode_message(Ack("run", report.number)))]
        up = decode_up(data)
        if isinstance(up, Presence):
            self.hellos |= {
                worker: told for worker, hello in up.hellos if isinstance(told := decode(hello), Hello)
            }
            return [Present(up.sent_ns, wall_ns)]
        taken = self.merge.fold_bundle(up)
        return [Taken(up.run_id, up.number, {}) if taken else Apart(up.run_id, up.number)]


class Tree:
    """Workers, a relay that may be replaced, and a master, on one virtual clock; any message may be lost."""

    def __init__(self, workers: int) -> None:
        self.clock = VirtualClock()
        self.master = Master()
        self.direct = Merge([(0.0, 2.0)])
        self.reporters = {f"w{number}": Reporter("run") for number in range(workers)}
        self.samples = {worker: Samples() for worker in self.reporters}
        self.up: list[bytes] = []
        self.down: list[tuple[str, bytes]] = []
        self.replace_relay()

    def replace_relay(self) -> None:
        self.up, self.down = [], []
        self.relay = Relay(
            "relay_1",
            to_master=self.up.append,
            to_worker=lambda name, frame: self.down.append((name, frame)),
            clock=self.clock,
            stats=StatsSums(),
        )

    def report(self, worker: str, took_ms: tuple[int, ...], index: int, *, final: bool = False) -> None:
        reporter = self.reporters[worker]
        made = reporter.report(
            [second(index, took_ms)] if took_ms else [],
            self.clock.now_ns(),
            load=Load(0, 0, 0.3, 0.1),
            users=Users({"Look": index}, ["Look"], ["Buy"]),
            samples=self.new_samples(worker, index),
            ended_ns=5 * NS if final else None,
        )
        self.direct.fold(worker, made)
        self.send(worker, made)

    def new_samples(self, worker: str, index: int) -> list[Sample]:
        """A failure whose class this worker may have told already."""
        samples, error = self.samples[worker], f"error {index}"
        if samples.wants("GET", "look", error):
            samples.add(Sample("GET", "look", error))
        return samples.take()

    def send(self, worker: str, report: Report) -> None:
        self.relay.on_worker(worker, encode((TO_MASTER, encode_message(report), worker)))

    def step(self, *, lose_up: bool = False, lose_down: bool = False) -> None:
        """Half a second: what was not acknowledged is sent again, and messages cross."""
        self.clock.advance(NS // 2)
        for worker, reporter in self.reporters.items():
            for report in reporter.due(self.clock.now_ns()):
                self.send(worker, report)
        self.relay.beat()
        self.cross(lose_up=lose_up, lose_down=lose_down)

    def cross(self, *, lose_up: bool, lose_down: bool) -> None:
        frames, self.up[:] = list(self.up), []
        for frame in [] if lose_up else frames:
            answers = self.master.answers(frame, self.clock.wall_ns())
            if not lose_down:
                self.relay.on_master(encode((TO_RELAY, encode(answers), self.relay.name)))
        if self.up:  # reports that were asked for by themselves
            self.cross(lose_up=lose_up, lose_down=lose_down)
        messages, self.down[:] = list(self.down), []
        for worker, frame in messages:
            message = decode(unpack(frame)[1])
            if isinstance(message, Ack):
                self.reporters[worker].acknowledge(message.number)

    @property
    def settled(self) -> bool:
        return all(reporter.settled for reporter in self.reporters.values())


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("report"),
            st.integers(0, 2),
            st.lists(st.integers(1, 3000), max_size=4),
            st.integers(0, 4),
        ),
        st.sampled_from(["step", "lose up", "lose down", "replace"]),
    ),
    max_size=25,
)


def assert_same(one: Merge, other: Merge) -> None:
    """Everything that does not depend on the order in which reports came."""
    assert one.total == other.total
    assert one.period_totals == other.period_totals
    assert one.peak_tps == other.peak_tps
    assert list(one.timeline.points(lambda *_: 0.0)) == list(other.timeline.points(lambda *_: 0.0))
    assert one._failures._samples.keys() == other._failures._samples.keys()
    assert set(one.workers) == set(other.workers)
    for name, totals in one.workers.items():
        same = other.workers[name]
        assert (totals.counted, totals.newest, totals.reports, totals.gaps) == (
            same.counted,
            same.newest,
            same.reports,
            same.gaps,
        )
        assert (totals.final, totals.ended_ns, totals.asked, totals.silent) == (
            same.final,
            same.ended_ns,
            same.asked,
            same.silent,
        )
        assert totals.dispatch_lag.count <= same.dispatch_lag.count, (
            "a worker's lag may be missing, never twice"
        )
        assert totals.cpu_max == pytest.approx(same.cpu_max)


@settings(max_examples=150, deadline=None)
@given(steps)
@example([("report", 0, [], 0), "lose up", ("report", 0, [], 0), "lose down", "replace", "step"])
@example(
    [
        ("report", 0, [], 0),
        "lose up",
        ("report", 0, [], 0),
        "lose down",
        "replace",
        ("report", 1, [], 0),
        "step",
    ]
)
def test_totals_are_the_same_whatever_is_lost_and_however_often_the_relay_is_replaced(
    script: list[Any],
) -> None:
    tree = Tree(3)
    for step in script:
        match step:
            case ("report", worker, took_ms, index):
                tree.report(f"w{worker}", tuple(took_ms), index)
            case "replace":
                tree.replace_relay()
            case _:
                tree.step(lose_up=step == "lose up", lose_down=step == "lose down")
    for number in range(3):
        tree.report(f"w{number}", (5,), 4, final=True)
    for _ in range(60):
        tree.step()
    assert tree.settled, "a report was never acknowledged"
    assert_same(tree.master.merge, tree.direct)


def test_without_losses_each_workers_own_figures_are_the_same_too() -> None:
    tree = Tree(3)
    for index in range(4):
        for worker in tree.reporters:
            tree.report(worker, (1 + index, 20), index)
        tree.step()
    for worker in tree.reporters:
        tree.report(worker, (), 4, final=True)
    tree.step()
    assert tree.settled
    for name, totals in tree.direct.workers.items():
        assert tree.master.merge.workers[name].dispatch_lag == totals.dispatch_lag
        assert tree.master.merge.workers[name].left == totals.left


def test_a_report_is_acknowledged_when_the_master_has_it_and_not_before() -> None:
    tree = Tree(1)
    tree.report("w0", (1,), 0)
    tree.step(lose_up=True)
    assert not tree.settled
    tree.step(lose_up=True)
    tree.step()
    tree.step()
    assert tree.settled


def test_what_a_bundle_told_is_told_again_when_no_answer_came() -> None:
    tree = Tree(1)
    tree.report("w0", (1,), 0)
    for _ in range(2 * FORGET_NS // NS + 2):
        tree.step(lose_up=True)
    for _ in range(4):
        tree.step()
    assert tree.settled
    [totals], [direct] = tree.master.merge.workers.values(), tree.direct.workers.values()
    assert totals.left == direct.left != {}
    assert totals.asked == direct.asked != set()


@pytest.mark.parametrize("seconds", [1, 9, 10, 11, 12])
def test_a_workers_dispatch_lag_counts_once_where_a_bundle_was_taken_apart(seconds: int) -> None:
    tree = Tree(2)
    for index in range(seconds):
        for worker in tree.reporters:
            tree.report(worker, (1, 20), index)
        tree.step()
    tree.report("w0", (3,), seconds)
    [mine] = tree.reporters["w0"].due(tree.clock.now_ns() + NS)
    tree.master.merge.fold("w0", mine)  # by another way
    tree.report("w1", (3,), seconds)
    tree.step()
    tree.report("w0", (), seconds, final=True)
    tree.report("w1", (), seconds, final=True)
    tree.step()
    assert tree.settled
    assert_same(tree.master.merge, tree.direct)
    for name, totals in tree.direct.workers.items():
        assert tree.master.merge.workers[name].dispatch_lag == totals.dispatch_lag


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
