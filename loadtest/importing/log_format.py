"""The formats of access logs, each as columns: second, request, status, client.

Formats of text have the request in the first quotes, so a line is cut at its quotes once, by polars, a batch at a
time, and only the pieces that are needed are cut again. In quotes a quote is escaped (nginx: `\\x22`, Apache:
`\\"`), and what comes after the request and its status is not looked at, so an escaped quote in a browser's name
breaks nothing. Lines of JSON are read by msgspec, all of a batch at once; where a line is broken, that batch is read
again a line at a time, so that one broken line counts for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    import polars as pl

COLUMNS = ("second", "request", "status", "client")
"""All text. `request` is `GET /path HTTP/1.1`; `second` is as the log has it, cut to whole seconds."""
_BLANK = re.compile(rb"\n\s*(?=\n)")
_PIECES = ("head", "request", "tail")
_AGENT = "sixth"
ANONYMOUS = {"-", ""}


class Who(NamedTuple):
    """What of a line tells clients apart, besides the address."""

    agent: bool = False
    """The browser, so that those behind one address are several."""
    field: str | None = None
    """A field of JSON lines in place of both."""


BY_ADDRESS = Who()
NOBODY: Final = None
"""Where nobody asks whose a request is, which is then not looked for."""


class LogFormat(NamedTuple):
    """One format by its name."""

    name: str
    example: str
    """The beginning of a line, for errors."""
    rows: Callable[[bytes, Who | None], pl.DataFrame]
    """Whole lines to a frame of `COLUMNS`, a row for each line that is not blank; what is not there is null."""
    has_fields: bool = False
    """Whether its lines have fields with names, of which one may tell who is who."""


def _cut(data: bytes, *more: str) -> pl.DataFrame:
    """Lines cut at their quotes into the first three pieces, and `more`; blank lines are left out."""
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


def _word(column: str, number: int) -> pl.Expr:
    """The `number`-th of the words of a column, from 0."""
    import polars as pl  # noqa: PLC0415

    return pl.col(column).str.splitn(" ", number + 2).struct.field(f"field_{number}")


def _client(address: pl.Expr, who: Who | None, agent: str) -> tuple[pl.Expr, tuple[str, ...]]:
    """Who a line is of, and the column that has to be cut for it."""
    import polars as pl  # noqa: PLC0415

    if who is None:
        return pl.lit(None, pl.String), ()
    if not who.agent:
        return address, ()
    return pl.concat_str(address, pl.col(agent).fill_null(""), separator=" "), (agent,)


def _status() -> pl.Expr:
    import polars as pl  # noqa: PLC0415

    return pl.col("tail").str.slice(1, 3).alias("status")


def _combined(data: bytes, who: Who | None) -> pl.DataFrame:
    """`1.2.3.4 - - [10/Nov/2025:23:59:59 +0800] "GET / HTTP/1.1" 200 …`; the zone goes with the second."""
    import polars as pl  # noqa: PLC0415

    client, more = _client(_word("head", 0), who, _AGENT)
    pieces = _cut(data, *more)
    head = pl.col("head")
    if len(pieces) and str(pieces["head"][0]).endswith("] "):
        time = head.str.slice(-28, 26)  # half the work of looking for the bracket
    else:
        time = head.str.splitn("[", 2).struct.field("field_1").str.head(26)
    return pieces.select(second=time, request="request", status=_status(), client=client)


def _envoy(data: bytes, who: Who | None) -> pl.DataFrame:
    """`[2025-11-10T23:59:59.310Z] "GET / HTTP/1.1" 200 - 0 …  "1.2.3.4" …`, Envoy's default."""
    import polars as pl  # noqa: PLC0415

    client, more = _client(pl.col("fourth"), who, _AGENT)
    time = pl.col("head").str.slice(1, 19) + "Z"
    return _cut(data, "fourth", *more).select(second=time, request="request", status=_status(), client=client)


def _alb(data: bytes, who: Who | None) -> pl.DataFrame:
    """`https 2025-11-10T23:59:59.186641Z app/… 1.2.3.4:2817 … 200 200 34 366 "GET https://shop:443/ HTTP/1.1" …`."""
    import polars as pl  # noqa: PLC0415

    client, more = _client(_word("head", 3).str.replace(":[0-9]+$", ""), who, "fourth")
    return _cut(data, *more).select(
        second=_word("head", 1).str.head(19) + "Z",
        request=pl.col("request").str.replace("^([A-Z]+) [a-z]+://[^/? ]*", "$1 "),
        status=_word("head", 8),
        client=client,
    )


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


_Row = tuple[str | float | None, str | None, str | int | None, str | None]
"""The columns; the last is the address."""


def _request(method: str | None, target: str | None, protocol: str | None = None) -> str | None:
    return f"{method} {target} {protocol or 'HTTP'}" if method and target else None


def _nginx_row(line: _NginxLine) -> _Row:
    words = (line.request or "").split(" ")
    method = line.request_method or line.method or words[0] or None
    target = line.request_uri or (words[1] if len(words) > 1 else None) or line.uri
    time = line.time_iso8601 or line.time_local or line.msec or line.time or line.timestamp
    return time, _request(method, target), line.status, line.remote_addr or line.remote_ip


def _envoy_row(line: _EnvoyLine) -> _Row:
    client = line.x_forwarded_for or line.downstream_remote_address
    return line.start_time, _request(line.method, line.path, line.protocol), line.response_code, client


def _cloudflare_row(line: _CloudflareLine) -> _Row:
    target = line.ClientRequestURI or line.ClientRequestPath
    request = _request(line.ClientRequestMethod, target, line.ClientRequestProtocol)
    return line.EdgeStartTimestamp, request, line.EdgeResponseStatus, line.ClientIP


_BROKEN: _Row = (None,) * 4
_FIELD = "chosen_field"
_AGENTS = ("http_user_agent", "user_agent", "ClientRequestUserAgent")


def _json_lines(kind: type[Any], row: Callable[[Any], _Row]) -> Callable[[bytes, Who | None], pl.DataFrame]:
    def rows(data: bytes, who: Who | None) -> pl.DataFrame:
        line_kind, attribute = _with_field(kind, who.field if who else None)
        told = _client_of(who, attribute) if who else None

        def read(line: Any) -> _Row:
            return row(line) if told is None else (*(whole := row(line))[:3], told(line, whole[3]))

        return _frame(_all_at_once(data, line_kind, read) or _one_by_one(data, line_kind, read))

    return rows


def _all_at_once(data: bytes, kind: type[Any], read: Callable[[Any], _Row]) -> list[_Row] | None:
    """The rows of lines that are all whole; None if they are not."""
    try:
        found = list(map(read, msgspec.json.Decoder(kind).decode_lines(data)))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return found if all(one[0] is not None and one[1] is not None for one in found) else None


def _one_by_one(data: bytes, kind: type[Any], read: Callable[[Any], _Row]) -> list[_Row]:
    decode = msgspec.json.Decoder(kind).decode
    found = []
    for line in data.split(b"\n"):
        if not line or line.isspace():
            continue
        try:
            found.append(read(decode(line)))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            found.append(_BROKEN)
    return found


def _frame(found: list[_Row]) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415

    columns = list(zip(*found, strict=True)) or [()] * len(COLUMNS)
    texts = [
        column if all(type(value) is str for value in column) else [_text(value) for value in column]
        for column in columns
    ]
    return pl.DataFrame(dict(zip(COLUMNS, texts, strict=True)), dict.fromkeys(COLUMNS, pl.String))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


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
