"""The formats of access logs, each as columns: second, method, target, protocol, status, client.

Formats of text have the request in the first quotes, so a line is cut at its quotes once and the pieces are cut
again, by polars, a batch at a time. In quotes a quote is escaped (nginx: `\\x22`, Apache: `\\"`), and what comes
after the request and its status is not looked at, so an escaped quote in a browser's name breaks nothing. Formats of
JSON are read a line at a time by msgspec, which is as fast as by the batch and counts a broken line for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    import polars as pl

COLUMNS = ("second", "method", "target", "protocol", "status", "client")
"""All text. `second` is as the log has it, cut to whole seconds; `log_time` reads it."""
_BLANK = re.compile(rb"\n\s*(?=\n)")
_PIECES = ("head", "request", "tail", "fourth")
_AGENT = "sixth"
ANONYMOUS = {"-", ""}


class Who(NamedTuple):
    """What of a line tells clients apart, besides the address."""

    agent: bool = False
    """The browser, so that those behind one address are several."""
    field: str | None = None
    """A field of JSON lines in place of both."""


BY_ADDRESS = Who()


class LogFormat(NamedTuple):
    """One format by its name."""

    name: str
    example: str
    """The beginning of a line, for errors."""
    rows: Callable[[bytes, Who], pl.DataFrame]
    """Whole lines to a frame of `COLUMNS`, a row for each line that is not blank; what is not there is null."""
    has_fields: bool = False
    """Whether its lines have fields with names, of which one may tell who is who."""


def _cut(data: bytes, *more: str) -> pl.DataFrame:
    """Lines cut at their quotes into the first four pieces, and `more`; blank lines are left out."""
    import polars as pl  # noqa: PLC0415 - the extra `import`; and nobody else needs it

    lines = b'head"request"tail"fourth"fifth"sixth"rest\n' + data
    if b"\n\n" in lines or b"\n\r" in lines:
        lines = _BLANK.sub(b"", lines)
    return pl.read_csv(
        lines,
        separator='"',
        quote_char=None,
        infer_schema=False,
        truncate_ragged_lines=True,
        encoding="utf8-lossy",
        columns=[*_PIECES, *more],
    )


def _with_request(pieces: pl.DataFrame, **columns: pl.Expr) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415

    request = pl.col("request").str.splitn(" ", 3).struct.rename_fields(["method", "target", "protocol"])
    return pieces.select(request.alias("parts"), **columns).unnest("parts").select(COLUMNS)


def _word(column: str, number: int) -> pl.Expr:
    """The `number`-th of the words of a column, from 0."""
    import polars as pl  # noqa: PLC0415

    return pl.col(column).str.splitn(" ", number + 2).struct.field(f"field_{number}")


def _with_agent(address: pl.Expr, who: Who, column: str) -> tuple[pl.Expr, tuple[str, ...]]:
    """Who a line is of, and the column that has to be cut for it."""
    import polars as pl  # noqa: PLC0415

    if not who.agent:
        return address, ()
    return pl.concat_str(address, pl.col(column).fill_null(""), separator=" "), (column,)


def _combined(data: bytes, who: Who) -> pl.DataFrame:
    """`1.2.3.4 - - [10/Nov/2025:23:59:59 +0800] "GET / HTTP/1.1" 200 …`; the zone goes with the second."""
    import polars as pl  # noqa: PLC0415

    time = pl.col("head").str.splitn("[", 2).struct.field("field_1").str.head(26)
    client, more = _with_agent(_word("head", 0), who, _AGENT)
    return _with_request(_cut(data, *more), second=time, status=pl.col("tail").str.slice(1, 3), client=client)


def _envoy(data: bytes, who: Who) -> pl.DataFrame:
    """`[2025-11-10T23:59:59.310Z] "GET / HTTP/1.1" 200 - 0 …  "1.2.3.4" …`, Envoy's default."""
    import polars as pl  # noqa: PLC0415

    client, more = _with_agent(pl.col("fourth"), who, _AGENT)
    return _with_request(
        _cut(data, *more),
        second=pl.col("head").str.slice(1, 19) + "Z",
        status=pl.col("tail").str.slice(1, 3),
        client=client,
    )


def _alb(data: bytes, who: Who) -> pl.DataFrame:
    """`https 2025-11-10T23:59:59.186641Z app/… 1.2.3.4:2817 … 200 200 34 366 "GET https://shop:443/ HTTP/1.1" …`."""
    import polars as pl  # noqa: PLC0415

    client, _ = _with_agent(_word("head", 3).str.replace(":[0-9]+$", ""), who, "fourth")
    rows = _with_request(
        _cut(data),
        second=_word("head", 1).str.head(19) + "Z",
        status=_word("head", 8),
        client=client,
    )
    return rows.with_columns(pl.col("target").str.replace("^[a-z]+://[^/?]*", ""))


class _NginxLine(msgspec.Struct, gc=False):
    """Names that nginx's variables have in `log_format … escape=json`; whoever writes one may call them otherwise."""

    time_iso8601: str | None = None
    time_local: str | None = None
    msec: str | float | None = None
    time: str | float | None = None
    timestamp: str | float | None = None
    request: str | None = None
    request_method: str | None = None
    method: str | None = None
    request_uri: str | None = None
    uri: str | None = None
    status: str | int | None = None
    remote_addr: str | None = None
    remote_ip: str | None = None
    http_user_agent: str | None = None
    user_agent: str | None = None


class _EnvoyLine(msgspec.Struct, gc=False):
    start_time: str | None = None
    method: str | None = None
    path: str | None = None
    protocol: str | None = None
    response_code: int | str | None = None
    downstream_remote_address: str | None = None
    user_agent: str | None = None
    x_forwarded_for: str | None = msgspec.field(default=None, name="x-forwarded-for")


class _CloudflareLine(msgspec.Struct, gc=False):
    EdgeStartTimestamp: str | int | None = None
    ClientRequestMethod: str | None = None
    ClientRequestURI: str | None = None
    ClientRequestPath: str | None = None
    ClientRequestProtocol: str | None = None
    EdgeResponseStatus: int | str | None = None
    ClientIP: str | None = None
    ClientRequestUserAgent: str | None = None


_Row = tuple[str | float | None, str | None, str | None, str | None, str | int | None, str | None]
"""The columns; the last is the address."""


def _nginx_row(line: _NginxLine) -> _Row:
    words = (line.request or "").split(" ")
    method = line.request_method or line.method or words[0] or None
    target = line.request_uri or (words[1] if len(words) > 1 else None) or line.uri
    time = line.time_iso8601 or line.time_local or line.msec or line.time or line.timestamp
    return time, method, target, "HTTP", line.status, line.remote_addr or line.remote_ip


def _envoy_row(line: _EnvoyLine) -> _Row:
    client = line.x_forwarded_for or line.downstream_remote_address
    return line.start_time, line.method, line.path, line.protocol or "HTTP", line.response_code, client


def _cloudflare_row(line: _CloudflareLine) -> _Row:
    target = line.ClientRequestURI or line.ClientRequestPath
    return (
        line.EdgeStartTimestamp,
        line.ClientRequestMethod,
        target,
        line.ClientRequestProtocol or "HTTP",
        line.EdgeResponseStatus,
        line.ClientIP,
    )


_BROKEN: _Row = (None,) * 6
_FIELD = "chosen_field"
_AGENTS = ("http_user_agent", "user_agent", "ClientRequestUserAgent")


def _json_lines(kind: type[Any], row: Callable[[Any], _Row]) -> Callable[[bytes, Who], pl.DataFrame]:
    def rows(data: bytes, who: Who) -> pl.DataFrame:
        import polars as pl  # noqa: PLC0415

        line_kind, attribute = _with_field(kind, who.field)
        decode = msgspec.json.Decoder(line_kind).decode
        told = _client_of(who, attribute)
        found = []
        for line in data.split(b"\n"):
            if not line or line.isspace():
                continue
            try:
                read = decode(line)
                found.append(row(read) if told is None else (*(whole := row(read))[:5], told(read, whole[5])))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                found.append(_BROKEN)
        columns = list(zip(*found, strict=True)) or [()] * len(COLUMNS)
        texts = [[None if value is None else str(value) for value in column] for column in columns]
        return pl.DataFrame(dict(zip(COLUMNS, texts, strict=True)), dict.fromkeys(COLUMNS, pl.String))

    return rows


def _with_field(kind: type[Any], field: str | None) -> tuple[type[Any], str]:
    """The kind of line with the field that tells who is who, and the attribute that holds it."""
    taken = {each.encode_name: each.name for each in msgspec.structs.fields(kind)}
    if field is None or field in taken:
        return kind, taken.get(field or "", "")
    chosen = (_FIELD, str | int | None, msgspec.field(default=None, name=field))
    return msgspec.defstruct(kind.__name__, [chosen], bases=(kind,), gc=False), _FIELD


def _client_of(who: Who, attribute: str) -> Callable[[Any, str | None], str | None] | None:
    """Who a line is of, by the line and its address; None where that is the address alone."""
    if who.field is not None:

        def by_field(line: Any, _: str | None) -> str | None:
            value = getattr(line, attribute)
            return None if value is None or str(value) in ANONYMOUS else str(value)

        return by_field
    if not who.agent:
        return None

    def by_agent(line: Any, address: str | None) -> str | None:
        agent = next((value for name in _AGENTS if (value := getattr(line, name, None))), "")
        return None if address is None else f"{address} {agent}"

    return by_agent


FORMATS = {
    each.name: each
    for each in (
        LogFormat("combined", '1.2.3.4 - - [10/Nov/2025:23:59:59 +0000] "GET / HTTP/1.1" 200', _combined),
        LogFormat(
            "nginx-json",
            '{"time_iso8601": …, "request": …, "status": …}',
            _json_lines(_NginxLine, _nginx_row),
            has_fields=True,
        ),
        LogFormat("envoy", '[2025-11-10T23:59:59.310Z] "GET / HTTP/1.1" 200', _envoy),
        LogFormat(
            "envoy-json",
            '{"start_time": …, "method": …, "path": …}',
            _json_lines(_EnvoyLine, _envoy_row),
            has_fields=True,
        ),
        LogFormat("alb", "https 2025-11-10T23:59:59.186641Z app/shop/50dc 1.2.3.4:2817", _alb),
        LogFormat(
            "cloudflare",
            '{"EdgeStartTimestamp": …, "ClientRequestMethod": …}',
            _json_lines(_CloudflareLine, _cloudflare_row),
            has_fields=True,
        ),
    )
}
"""The formats by their names."""
