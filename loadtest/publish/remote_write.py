"""Encodes Prometheus' remote write 1.0: a WriteRequest in protobuf, compressed as a snappy block.

For machines that nobody scrapes. The messages are those of the specification
(prometheus.io/docs/specs/prw/remote_write_spec), described here instead of in a generated module: four messages of
two fields each. Labels are sorted by name, timestamps are milliseconds, as it demands.

*Staleness.* A series that is not there any more gets the marker that a scraping Prometheus would write, so that a
phase does not last five minutes longer than it did. The last values of a run get none: they are its result, and
stay what an instant query answers until Prometheus' look-back (5 minutes) has passed; `last_over_time` finds them
after that.

Needs the extra `remote-write`.
"""

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from loadtest.release import installs

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
STALE: float = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""The NaN that ends a series (prometheus/model/value: StaleNaN)."""

Series = tuple[tuple[str, str], ...]
"""Labels, the name among them as `__name__`, sorted."""


class MissingExtraError(Exception):
    """The packages that encode are not installed; the message says how to get them."""


class WriteRequests:
    """Turns metrics into the bodies of remote writes, one after another.

    `labels` are added to every series. Raises `MissingExtraError`.
    """

    def __init__(self, **labels: str) -> None:
        self._labels = labels
        self._message, self._compress = _message_class(), _compressor()
        self._present: set[Series] = set()
        self._last_ms = 0

    def body(self, metrics: Iterable["Metric"], at_ms: int) -> bytes:
        """All samples of `metrics` at one instant, and an end to every series of the last body that is gone.

        Prometheus takes one value of a series an instant, so one that does not follow the last is moved.
        """
        self._last_ms = at_ms = max(at_ms, self._last_ms + 1)
        values = {
            self._series(sample.name, sample.labels): sample.value
            for metric in metrics
            for sample in metric.samples
        }
        gone = self._present - values.keys()
        self._present = set(values)
        request = self._message()
        for series, value in [*values.items(), *((series, STALE) for series in sorted(gone))]:
            entry = request.timeseries.add()
            for name, text in series:
                entry.labels.add(name=name, value=text)
            entry.samples.add(value=value, timestamp=at_ms)
        body: bytes = self._compress(request.SerializeToString())
        return body

    def _series(self, name: str, labels: dict[str, str]) -> Series:
        # An empty label is none (Prometheus' data model), and the protocol wants none sent.
        present = {key: value for key, value in labels.items() if value}
        return tuple(sorted((self._labels | present | {"__name__": name}).items()))


def _compressor() -> Any:
    try:
        from cramjam import snappy  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError(
            f"needs packages that are not installed: {installs('remote-write')}"
        ) from error
    return lambda data: bytes(snappy.compress_raw(data))


def _message_class() -> Any:
    """The class of `prometheus.WriteRequest`. Raises `MissingExtraError`."""
    try:
        from google.protobuf import (  # noqa: PLC0415 - an extra
            descriptor_pb2,
            descriptor_pool,
            message_factory,
        )
    except ImportError as error:
        raise MissingExtraError(
            f"needs packages that are not installed: {installs('remote-write')}"
        ) from error
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="remote.proto", package="prometheus", syntax="proto3")
    messages: dict[str, list[tuple[str, Any]]] = {
        "Label": [("name", field.TYPE_STRING), ("value", field.TYPE_STRING)],
        "Sample": [("value", field.TYPE_DOUBLE), ("timestamp", field.TYPE_INT64)],
        "TimeSeries": [("labels", "Label"), ("samples", "Sample")],
        "WriteRequest": [("timeseries", "TimeSeries")],
    }
    for message, fields in messages.items():
        described = file.message_type.add(name=message)
        for number, (name, kind) in enumerate(fields, start=1):
            if isinstance(kind, str):
                described.field.add(
                    name=name, number=number, label=field.LABEL_REPEATED,
                    type=field.TYPE_MESSAGE, type_name=f".prometheus.{kind}",
                )  # fmt: skip
            else:
                described.field.add(name=name, number=number, label=field.LABEL_OPTIONAL, type=kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest"))
