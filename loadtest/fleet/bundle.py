"""What a relay and its master say to each other: what many workers report, as one.

A relay (`fleet.relay`) stands between a master and some of its workers. Twice a second it sends a `Bundle`: the sums
of all seconds that its workers have reported since, and each one's `WorkerSums`, with what the master must know of it
alone: which of its reports are in the sums, so that none counts twice, and its own counters, so that the totals are
right when it is lost. A `Presence` tells which workers were heard. The master answers with a list of `Down`.

All of it travels in Locust's messages, of the types `FROM_RELAY` and `TO_RELAY`.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from loadtest.fleet.messages import MAX_SCENARIOS, Count, MessageError, PackedSecond, Text, bounded
from loadtest.measure.evidence import MOST_KEPT as MOST_SAMPLES
from loadtest.measure.evidence import Sample
from loadtest.measure.exemplar import MOST_REPORTED, Exemplar
from loadtest.measure.second import COUNTERS

FROM_RELAY = "singlesday_from_relay"
TO_RELAY = "singlesday_to_relay"


class WorkerSums(msgspec.Struct, frozen=True, array_like=True):
    """What one worker has in a bundle."""

    worker: Text
    numbers: list[Count]
    """Of its reports, those that are in the bundle's sums."""
    counted: Annotated[list[Count], Meta(min_length=len(COUNTERS), max_length=len(COUNTERS))]
    """Sums of the counters of their seconds, in the order of `second.COUNTERS`."""
    newest: int
    """The newest second among them; -1 where there is none."""
    in_flight: int
    backlog: int
    cpu: list[tuple[float, float]]
    """(used, waited for), as shares of a core, of each of these reports."""
    missed: Count = 0
    final: bool = False
    ended_ns: int = 0
    dispatch_lag: bytes = b""
    """Of this worker alone, since it was last told; empty while it is not time to tell again."""
    left: Annotated[dict[Text, Count], Meta(max_length=MAX_SCENARIOS)] | None = None
    """As in `messages.Report`; None: as it was told last."""
    asked: Annotated[list[Text], Meta(max_length=MAX_SCENARIOS)] = []
    silent: Annotated[list[Text], Meta(max_length=MAX_SCENARIOS)] = []


class Bundle(msgspec.Struct, frozen=True, tag=True):
    """Relay to master: the reports of some workers as one. It is sent again until it is answered."""

    run_id: str
    number: int
    """Comes back in the answer."""
    seconds: list[PackedSecond]
    workers: list[WorkerSums]
    exemplars: Annotated[list[Exemplar], Meta(max_length=MOST_REPORTED)] = []
    samples: Annotated[list[Sample], Meta(max_length=MOST_SAMPLES)] = []


class Presence(msgspec.Struct, frozen=True, tag=True):
    """Relay to master, twice a second: who was heard of those whose words were not passed on."""

    sent_ns: int
    """The relay's run clock, which comes back in `Present`."""
    beating: list[str]
    """Workers whose heartbeat said nothing new; the relay has answered it."""
    hellos: list[tuple[str, bytes]]
    """(worker, its newest `Hello` as it travels); the relay has answered each."""


class Present(msgspec.Struct, frozen=True, tag=True):
    """Master to relay, at once after a `Presence`: what my wall clock says."""

    sent_ns: int
    wall_ns: int


class Taken(msgspec.Struct, frozen=True, tag=True):
    """Master to relay: every report of a bundle is in the totals; tell its workers so."""

    run_id: str
    number: int
    saved: dict[str, int]
    """Reports of a worker with lower numbers than that are in a checkpoint on the master's disk."""


class Apart(msgspec.Struct, frozen=True, tag=True):
    """Master to relay: some of a bundle's reports have come by another way, so send me each by itself."""

    run_id: str
    number: int


class Deliver(msgspec.Struct, frozen=True, tag=True):
    """Master to relay: give this message of `fleet.messages` to these workers."""

    workers: list[str]
    frame: bytes


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Relay to a relay that took it for the master: between a worker and its master is one relay at most."""


Up = Bundle | Presence
Down = Present | Taken | Apart | Deliver | Refused
_up: msgspec.msgpack.Decoder[Up] = msgspec.msgpack.Decoder(Up)
_down: msgspec.msgpack.Decoder[list[Down]] = msgspec.msgpack.Decoder(list[Down])
encode = msgspec.msgpack.encode


def decode_up(frame: object) -> Up:
    """What a relay said. Raises `MessageError`."""
    try:
        return _up.decode(bounded(frame))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"not a message of a relay: {error}") from error


def decode_down(frame: object) -> list[Down]:
    """What a master said to its relay. Raises `MessageError`."""
    try:
        return _down.decode(bounded(frame))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"not a message for a relay: {error}") from error


def check_sums(bundle: Bundle) -> None:
    """Raise `MessageError` unless its workers add up to its seconds and no report is named twice."""
    of_workers = [sum(column) for column in zip(*(sums.counted for sums in bundle.workers), strict=True)]
    of_seconds = [sum(column) for column in zip(*(s.counters for s in bundle.seconds), strict=True)]
    nothing = [0] * len(COUNTERS)
    if (of_workers or nothing) != (of_seconds or nothing):
        raise MessageError("the counters of a bundle's workers do not add up to those of its seconds")
    if len({sums.worker for sums in bundle.workers}) < len(bundle.workers):
        raise MessageError("a bundle has a worker twice")
    if any(len(set(sums.numbers)) < len(sums.numbers) for sums in bundle.workers):
        raise MessageError("a bundle has a report twice")
