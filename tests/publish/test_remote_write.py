"""Remote write: what is on the wire, what waits, and whom we push to."""

import struct
from typing import Any

import pytest
import requests
from cramjam import snappy
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from loadtest.publish import outbox, remote_write
from loadtest.publish.outbox import Outbox
from loadtest.publish.receiver import BadReceiverError, Receiver
from loadtest.publish.remote_write import STALE, MissingExtraError, WriteRequests


def gauge(name: str, **values: float) -> Metric:
    family = GaugeMetricFamily(name, "Some gauge.", labels=["who"])
    for who, value in values.items():
        family.add_metric([who], value)
    return family


def read(body: bytes) -> dict[str, tuple[bytes, int]]:
    """What a receiver finds: series as text -> (the value's bytes, its milliseconds)."""
    request: Any = remote_write._message_class().FromString(bytes(snappy.decompress_raw(body)))
    found = {}
    for entry in request.timeseries:
        names = [label.name for label in entry.labels]
        assert names == sorted(names)
        [sample] = entry.samples
        series = ",".join(f"{label.name}={label.value}" for label in entry.labels)
        found[series] = (struct.pack("<d", sample.value), sample.timestamp)
    return found


def test_a_body_holds_every_sample_once_with_the_names_a_scrape_gives_them() -> None:
    counter = CounterMetricFamily("done", "Done.")
    counter.add_metric([], 7)
    body = WriteRequests(job="loadtest", instance="here").body([counter, gauge("up", a=1)], 1000)
    assert read(body) == {
        "__name__=done_total,instance=here,job=loadtest": (struct.pack("<d", 7), 1000),
        "__name__=up,instance=here,job=loadtest,who=a": (struct.pack("<d", 1), 1000),
    }


def test_a_label_without_a_value_is_not_sent() -> None:
    nobody = GaugeMetricFamily("up", "Some gauge.", labels=["who"])
    nobody.add_metric([""], 1)
    assert set(read(WriteRequests().body([nobody], 1000))) == {"__name__=up"}


def test_a_series_that_is_gone_is_ended_once_with_prometheus_stale_marker() -> None:
    writes = WriteRequests()
    writes.body([gauge("up", a=1, b=1)], 1000)
    ended = read(writes.body([gauge("up", a=1)], 2000))["__name__=up,who=b"]
    assert ended == (struct.pack("<Q", 0x7FF0000000000002), 2000)
    assert struct.pack("<d", STALE) == ended[0]
    assert "__name__=up,who=b" not in read(writes.body([gauge("up", a=1)], 3000))


def test_two_bodies_never_carry_the_same_instant() -> None:
    writes = WriteRequests()
    instants = [next(iter(read(writes.body([gauge("up", a=1)], at)).values()))[1] for at in (1000, 1000, 990)]
    assert instants == [1000, 1001, 1002]


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cramjam", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'singlesday-loadtest\[remote-write\]'"):
        WriteRequests()


def test_what_failed_is_tried_again_in_order_and_ever_more_slowly() -> None:
    box = Outbox()
    box.put(b"1")
    box.put(b"2")
    waits = []
    now_s = 0.0
    for _ in range(7):
        assert box.due(now_s) == b"1"
        box.failed("away", now_s)
        before_s = now_s
        while box.due(now_s) is None:
            now_s += 0.5
        waits.append(now_s - before_s)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    box.delivered()
    assert box.due(now_s) == b"2"


def test_a_receiver_that_stays_away_costs_the_oldest_and_says_how_many() -> None:
    box = Outbox()
    for number in range(outbox.MOST + 3):
        box.put(b"%d" % number)
    assert (len(box), box.lost, box.due(0.0)) == (outbox.MOST, 3, b"3")
    box.give_up()
    assert (len(box), box.lost) == (0, outbox.MOST + 3)


def test_what_is_refused_is_lost_and_the_next_is_sent_at_once() -> None:
    box = Outbox()
    box.put(b"1")
    box.put(b"2")
    box.refused("400 bad")
    assert (box.lost, box.why, box.due(0.0)) == (1, "400 bad", b"2")


@pytest.mark.parametrize(
    ("url", "environ", "message"),
    [
        ("prometheus:9090", {}, "expected an address such as http://"),
        ("http://user:secret@localhost/write", {}, "credentials belong in the environment"),
        ("http://[::1/api", {}, "expected an address as SCHEME"),
        ("http://localhost:99999", {}, "a number up to 65535"),
        ("http://user:pass/secret@localhost/write", {}, "/ is written as %2F"),
        ("http://ci.example/write", {"LOADTEST_REMOTE_WRITE_TOKEN": "t"}, "need https"),
        (
            "https://ci.example/write",
            {"LOADTEST_REMOTE_WRITE_TOKEN": "t", "LOADTEST_REMOTE_WRITE_USER": "u"},
            "are both set",
        ),
    ],
)
def test_a_receiver_that_cannot_be_pushed_to_safely_is_refused(
    url: str, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(BadReceiverError, match=message) as refused:
        Receiver.of(url, environ)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("environ", "header"),
    [
        ({"LOADTEST_REMOTE_WRITE_TOKEN": "t"}, "Bearer t"),
        ({"LOADTEST_REMOTE_WRITE_USER": "u", "LOADTEST_REMOTE_WRITE_PASSWORD": "p"}, "Basic dTpw"),
        ({}, None),
    ],
)
def test_credentials_of_the_environment_are_sent_and_no_others(
    environ: dict[str, str], header: str | None
) -> None:
    session = Receiver.of("https://ci.example/write", environ).session
    prepared = session.prepare_request(requests.Request("POST", "https://ci.example/write", data=b""))
    assert prepared.headers.get("Authorization") == header
