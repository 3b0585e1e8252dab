"""Messages: what is sent arrives as it was, and whatever is not a message is refused whole."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.fleet.messages import (
    MAX_MESSAGE_BYTES,
    Ack,
    Assign,
    Clock,
    Halt,
    Hello,
    Lease,
    Message,
    MessageError,
    PackedEndpoint,
    PackedSecond,
    Report,
    UserCount,
    decode,
    encode,
    pack_second,
    unpack_second,
)
from loadtest.measure import codec
from loadtest.measure.evidence import Sample
from loadtest.measure.histogram import Histogram
from loadtest.measure.second import COUNTERS, Second
from tests.fleet.sample_report import ORDERS, report, second

EMPTY = codec.encode(Histogram())

MESSAGES: list[Message] = [
    Hello("run", 3, True),
    Hello("run", 3, False, [UserCount("Buyer", 5, 3, 2, "IndexError")], 77, -5_000, 400),
    Clock("run", 77, 1_800_000_000_000_000_000),
    Assign("run", 1, 2, 3, 4, 5),
    Lease("run", 7),
    Halt("run", 8, 0.5),
    Ack("run", 9),
    report(10, second(0), second(1), final=True, ended_ns=2_000),
    report(11, samples=[Sample("GET", "/", "status-503", 503, "bad", "body", "GET /")], left={"Buyer": 2}),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_arrives_as_it_was_sent(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1\xc1\xc1",
        b"GET / HTTP/1.1\r\n\r\n",
        msgspec.msgpack.encode({"type": "Quit", "run_id": "run"}),
        msgspec.msgpack.encode({"run_id": "run", "number": 1}),
        msgspec.msgpack.encode({"type": "Ack", "run_id": "run", "number": "1"}),
        msgspec.msgpack.encode({"type": "Lease", "run_id": "run", "until_ns": 1.5}),
        msgspec.msgpack.encode({"type": "Halt", "run_id": None, "at_ns": 1, "drain_s": 1.0}),
        encode(MESSAGES[-1])[:-1],
        encode(MESSAGES[4]).replace(b"run", b"r\x80n"),  # not UTF-8
        b"\x91" * 100_000,  # lists in lists
        b"\x00" * (MAX_MESSAGE_BYTES + 1),
        "a text",
        None,
        {"type": "Ack"},
    ],
)
def test_a_frame_that_is_not_a_message_is_refused(frame: object) -> None:
    with pytest.raises(MessageError):
        decode(frame)


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.integers(0, 40))
def test_a_damaged_frame_is_refused_or_still_a_message_but_never_another_error(
    at: int, byte: int, cut: int
) -> None:
    frame = bytearray(encode(MESSAGES[-1]))
    frame[at % len(frame)] = byte
    try:
        message = decode(bytes(frame[: len(frame) - cut]))
        if isinstance(message, Report):
            for packed in message.seconds:
                unpack_second(packed)
    except MessageError:
        pass


def test_a_second_arrives_with_every_counter_and_histogram() -> None:
    sent = second(7, (10, 20, 3_000), error="status-503")
    for n, name in enumerate(COUNTERS):
        setattr(sent, name, n + 1)
    sent.queueing.record_us(12_345)
    assert unpack_second(pack_second(sent)) == sent


def packed(**changes: object) -> PackedSecond:
    return msgspec.structs.replace(pack_second(second(1)), **changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"counters": [1, 2]}, f"{len(COUNTERS)} counters, not 2"),
        ({"counters": [-1] + [0] * (len(COUNTERS) - 1)}, "negative"),
        ({"dispatch_lag": b"nonsense"}, "second 1"),
        ({"queueing": codec.encode(Histogram())[:-1]}, "second 1"),
    ],
)
def test_a_second_that_no_worker_can_have_made_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(MessageError, match=complaint):
        unpack_second(packed(**changes))


def test_an_endpoint_with_fewer_requests_than_failures_is_refused() -> None:
    (entry,) = pack_second(second(1, error="refused")).endpoints
    lying = msgspec.structs.replace(entry, errors={"refused": 5})
    with pytest.raises(MessageError, match="5 failures"):
        unpack_second(packed(endpoints=[lying]))


def test_a_negative_count_of_errors_is_refused() -> None:
    (entry,) = pack_second(second(1, (10, 10), error="refused")).endpoints
    lying = msgspec.structs.replace(entry, errors={"refused": 3, "reset": -1})
    with pytest.raises(MessageError, match="negative"):
        unpack_second(packed(endpoints=[lying]))


def test_an_empty_second_is_a_second() -> None:
    assert unpack_second(pack_second(Second(-3))) == Second(-3)


def test_a_second_with_everything_in_it_arrives_as_it_was_sent() -> None:
    sent = second(3, (10, 20), error="refused")
    sent.pattern("POST *").merge(sent.endpoints[ORDERS])
    sent.add_script_error(("Buyer", "KeyError: 'id'", "shop.py:9 in buy"), 4)
    assert unpack_second(pack_second(sent)) == sent


HOSTILE: dict[str, dict[str, object]] = {
    "a negative count of script errors": {"script_errors": [("Buyer", "KeyError", "shop.py", -1)]},
    "a script error as long as a book": {"script_errors": [("Buyer", "x" * 10_000, "shop.py", 1)]},
    "more script errors than are kept": {
        "script_errors": [("Buyer", f"KeyError: {n}", "", 1) for n in range(1_000)]
    },
    "more patterns than there can be": {
        "patterns": [PackedEndpoint("", str(n), 0, 0, {}, EMPTY, EMPTY) for n in range(1_000)]
    },
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_report_with_more_than_a_worker_can_have_is_no_message(case: str) -> None:
    hostile = msgspec.structs.replace(report(0), seconds=[packed(**HOSTILE[case])])
    with pytest.raises(MessageError):
        decode(encode(hostile))


@pytest.mark.parametrize(
    "changes",
    [
        {"failed": b"nonsense"},
        {"requests": -1},
        {"errors": {"reset": 9}},
    ],
)
def test_a_pattern_that_no_worker_can_have_counted_is_refused(changes: dict[str, object]) -> None:
    entry = PackedEndpoint("", "GET /*", 1, 0, {}, EMPTY, EMPTY)
    with pytest.raises(MessageError):
        unpack_second(packed(patterns=[msgspec.structs.replace(entry, **changes)]))


@pytest.mark.parametrize(
    "hostile",
    [
        Hello("run", 1, True, [UserCount("Buyer", -1, 0)]),
        Hello("run", 1, True, [UserCount("x" * 10_000, 1, 0)]),
        Hello("run", 1, True, [UserCount("Buyer", 1, 0)] * 1_000),
        Hello("run", 1, True, [], 0, 0, -5),
        msgspec.structs.replace(report(0), samples=[Sample("GET", "/", "reset")] * 1_000),
        msgspec.structs.replace(report(0), samples=[Sample("GET", "/", "reset", 503, "", "x" * 10_000)]),
        msgspec.structs.replace(report(0), left={str(n): 1 for n in range(1_000)}),
    ],
)
def test_what_a_worker_says_of_users_clocks_and_samples_is_bounded(hostile: Message) -> None:
    with pytest.raises(MessageError):
        decode(encode(hostile))
